# SPDX-License-Identifier: Apache-2.0
"""Documents that were altered, forged, or signed by an owner who lies: each is refused."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from watchword.core.errors import VerificationRefused, WatchwordError
from watchword.core.evidence.digest_recheck import OwnFiles
from watchword.core.evidence.verify import verify_evidence
from watchword.core.simulator import PlatformKeys

from . import made
from .made import forged, trust


@pytest.fixture(scope="module")
def other_keys():
    """Another simulated machine under another root."""
    return PlatformKeys.generate(2048)


def refusal(document, trusted, files=None):
    with pytest.raises(WatchwordError) as caught:
        verify_evidence(document, trusted, *([] if files is None else [files]))
    assert caught.value.exit_status in (3, 6)
    return caught.value.code


def test_no_bit_of_payload_signature_or_key_id_can_be_changed(plain_document, keys):
    known = trust(keys)
    assert verify_evidence(plain_document, known)
    size = len(plain_document)
    # Spread over the whole, and every bit of the end, where key id and signature are.
    places = [(at, at % 8) for at in range(0, size - 260, size // 300)]
    places += [(at, bit) for at in range(size - 260, size) for bit in range(0, 8, 3)]
    assert len(places) < 1200
    for at, bit in places:
        changed = bytearray(plain_document)
        changed[at] ^= 1 << bit
        refusal(bytes(changed), known)


def test_no_bit_of_the_statement_can_be_changed_under_the_old_signature(plain_document, keys):
    envelope = json.loads(plain_document)
    payload = made.payload_of(plain_document)
    for at in range(0, len(payload), len(payload) // 250):
        changed = bytearray(payload)
        changed[at] ^= 1 << (at % 7)
        envelope["payload"] = base64.b64encode(changed).decode()
        refusal(json.dumps(envelope).encode(), trust(keys))


def test_a_change_signed_by_another_key_is_an_unknown_signer(plain_document, keys):
    def weaken(predicate):
        predicate["policy"] = {"value": 0x20, "names": "sev"}

    document = forged(plain_document, weaken, made.OTHER_SEED)
    assert refusal(document, trust(keys)) == "unknown-signer"


def test_a_key_that_is_swapped_for_the_owners_does_not_fit_the_signature(plain_document, keys):
    payload = made.payload_of(plain_document)  # names the owner's key
    document = made.seal_by_hand(payload, made.OTHER_SEED)
    assert refusal(document, trust(keys)) == "evidence-signature"


# -- an owner who lies -----------------------------------------------------------------


def lie_about_the_digest(predicate):
    """Another firmware everywhere, as consistently as it can be said."""
    false = "ab" * 32
    predicate["contents"]["launch_digest"] = false
    predicate["contents"]["firmware"]["sha256"] = false
    predicate["contents"]["components"][0]["sha256"] = false
    predicate["approved"]["launch_digests"] = [false]


def test_an_owner_who_lies_consistently_is_caught_by_the_platforms_report(plain_document, keys):
    document = forged(plain_document, lie_about_the_digest)
    assert refusal(document, trust(keys)) == "report-digest"


def test_without_the_report_that_lie_takes_the_firmware_to_be_caught(plain_document, keys, image):
    def lie(predicate):
        lie_about_the_digest(predicate)
        predicate["report"] = None

    document = forged(plain_document, lie)
    verdict = verify_evidence(document, trust(keys))
    subjects = {f.subject: f.basis.value for f in verdict.findings}
    assert subjects["launch digest"] == "owner's word"
    assert subjects["what it is made of"] == "owner's word"
    assert refusal(document, trust(keys), OwnFiles((image,))) == "firmware-differs"


def test_a_false_launch_digest_of_a_kernel_is_caught_with_the_firmware(es_document, keys, image):
    def lie(predicate):
        predicate["contents"]["launch_digest"] = "ab" * 32
        predicate["approved"]["launch_digests"] = ["ab" * 32]
        predicate["report"] = None

    document = forged(es_document, lie)
    assert verify_evidence(document, trust(keys))
    assert refusal(document, trust(keys), OwnFiles((image,))) == "launch-digest-differs"


def test_a_policy_that_was_changed_is_caught_by_the_report(plain_document, keys):
    def lie(predicate):
        predicate["policy"] = {
            "value": 0x1100003B,
            "names": "nodbg,noks,nosend,domain,sev,min-api=0.17",
        }

    assert refusal(forged(plain_document, lie), trust(keys)) == "report-policy"


def test_another_launchs_report_and_one_of_another_nonce_are_refused(
    plain_document, es_document, keys
):
    foreign = made.predicate_of(es_document)["report"]

    def swap(predicate):
        predicate["report"] = foreign

    def renonce(predicate):
        predicate["report"]["nonce"] = "00" * 16

    def break_signature(predicate):
        data = bytearray(base64.b64decode(predicate["report"]["data"]))
        data[70] ^= 1
        predicate["report"]["data"] = base64.b64encode(data).decode()

    assert refusal(forged(plain_document, swap), trust(keys)) == "report-digest"
    assert refusal(forged(plain_document, renonce), trust(keys)) == "report-nonce"
    assert refusal(forged(plain_document, break_signature), trust(keys)) == "report-signature"


def test_a_report_by_the_pek_of_another_machine_is_refused(plain_document, keys, other_keys):
    def swap(predicate):
        nonce = bytes.fromhex(predicate["report"]["nonce"])
        body = nonce + bytes.fromhex(predicate["contents"]["launch_digest"])
        body += struct.pack("<I", predicate["policy"]["value"])
        predicate["report"]["data"] = base64.b64encode(
            body + base64.b64decode(predicate["report"]["data"])[52:]
        ).decode()
        predicate["platform"]["certificates"]["pek"] = base64.b64encode(other_keys.pek).decode()

    assert refusal(forged(plain_document, swap), trust(keys)) == "evidence-verdict-differs"


@pytest.mark.parametrize("role", ["ark", "ask", "cek", "oca", "pek", "pdh"])
def test_a_certificate_of_another_machine_differs_from_its_verdict(
    plain_document, keys, other_keys, role
):
    chain = {
        "ark": other_keys.root.ark,
        "ask": other_keys.root.ask,
        **{name: getattr(other_keys, name) for name in ("cek", "oca", "pek", "pdh")},
    }

    def swap(predicate):
        predicate["platform"]["certificates"][role] = base64.b64encode(chain[role]).decode()

    assert refusal(forged(plain_document, swap), trust(keys)) == "evidence-verdict-differs"


def test_a_bad_chain_that_is_called_good_is_refused(plain_document, keys):
    """A bit of each certificate, at places that its signatures cover."""
    for role, at in (("ask", 80), ("cek", 30), ("oca", 30), ("pek", 30), ("pdh", 30), ("pdh", 3)):

        def damage(predicate, role=role, at=at):
            held = predicate["platform"]["certificates"]
            data = bytearray(base64.b64decode(held[role]))
            data[at] ^= 1
            held[role] = base64.b64encode(data).decode()

        assert refusal(forged(plain_document, damage), trust(keys)) == "evidence-verdict-differs"


def test_a_simulated_root_is_never_amds(plain_document, keys):
    def lie(predicate):
        predicate["platform"].update(kind="verified", root="amd", generation="milan")

    code = refusal(forged(plain_document, lie), trust(keys))
    assert code == "evidence-verdict-differs"


def test_a_link_that_is_left_out_or_called_otherwise_is_refused(plain_document, keys):
    def drop(predicate):
        del predicate["platform"]["links"][3]

    def call_failed(predicate):
        predicate["platform"]["links"][3]["verdict"] = "failed"

    for lie in (drop, call_failed):
        assert refusal(forged(plain_document, lie), trust(keys)) == "evidence-verdict-differs"


CONTRADICTIONS = {
    "policy names": lambda p: p["policy"].update(names="nodbg"),
    "reserved policy bits": lambda p: p["policy"].update(value=0x40),
    "technology": lambda p: p.update(technology="sev-es"),
    "running and failed": lambda p: p.update(error={"code": "x", "title": "t", "message": "m"}),
    "refused without a reason": lambda p: p.update(outcome="refused"),
    "running without a measurement": lambda p: p.update(measurement=None),
    "running by a measurement that did not match": lambda p: p["measurement"].update(matched=False),
    "running without its packet": lambda p: p.update(packet=None),
    "running without handing over": lambda p: p["packet"].update(handed_over="no"),
    "a packet of nothing": lambda p: p.update(secrets=[]),
    "firmware before API 0.17": lambda p: p["processor"].update(api_major=0, api_minor=16),
    "firmware older than asked for": lambda p: p.update(
        minimum={"api_major": 1, "api_minor": 56, "build": 0}
    ),
    "ended before it began": lambda p: p["launch"].update(ended="2026-11-23T13:59:59Z"),
    "digest not approved": lambda p: p["approved"].update(launch_digests=["00" * 32]),
    "count of digests": lambda p: p["approved"].update(count=2),
    "no digests": lambda p: p["approved"].update(launch_digests=[], count=0),
    "two firmware images": lambda p: p["contents"]["components"][0].update(sha256="00" * 32),
    "command line without a kernel": lambda p: p["contents"].update(cmdline="quiet"),
    "platform without certificates": lambda p: p["platform"].update(certificates=None),
    "waiver of a good platform": lambda p: p.update(waivers={"platform": "because"}),
    "platform refused, and went on": lambda p: p["platform"].update(kind="refused"),
}


@pytest.mark.parametrize("lie", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_statements_that_cannot_all_be_true_are_refused(plain_document, keys, lie):
    assert refusal(forged(plain_document, lie), trust(keys)) == "evidence-contradiction"


def test_another_subject_than_what_was_launched_is_refused(plain_document, keys):
    whole = json.loads(made.payload_of(plain_document))
    whole["subject"][0]["digest"]["sha256"] = "00" * 32
    document = made.seal_by_hand(made.canonical(whole))
    assert refusal(document, trust(keys)) == "evidence-contradiction"


def test_a_weak_policy_needs_its_waiver(waived, keys):
    document = forged(waived.document(), lambda p: p.update(waivers={}))
    assert refusal(document, trust(keys)) == "evidence-contradiction"


def test_a_command_line_must_have_the_hash_that_was_measured(es_document, keys):
    document = forged(es_document, lambda p: p["contents"].update(cmdline="init=/bin/sh"))
    assert refusal(document, trust(keys)) == "evidence-contradiction"


def test_kernel_hashes_must_be_those_of_the_measured_table(es_document, keys):
    document = forged(es_document, lambda p: p["contents"]["kernel_hashes"].update(kernel="0" * 64))
    assert refusal(document, trust(keys)) == "evidence-contradiction"


def test_a_false_report_is_told_of_where_the_launch_was_refused_for_it(plain, keys):
    error = VerificationRefused("running-guest-not-confirmed", "Title", "Message.", "Remedy.")
    document = plain.document(end=made.LaunchEnd.REFUSED, error=error)
    false = forged(document, lambda p: p["report"].update(nonce="00" * 16))
    verdict = verify_evidence(false, trust(keys))
    report = [f for f in verdict.findings if f.subject == "attestation report"]
    assert "does NOT verify" in report[0].text
    assert report[0].basis.value == "recomputed"
    assert "policy" in {f.subject for f in verdict.findings if f.basis.value == "owner's word"}
