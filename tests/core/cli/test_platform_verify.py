# SPDX-License-Identifier: Apache-2.0
"""``platform verify``: chains in every layout that tools write, roots, and pins."""

from __future__ import annotations

import base64
import itertools
import json
import struct
import textwrap

import pytest

from .support import ROLES

EMPTY_SLOTS = (struct.pack("<II", 0x1000, 0) + bytes(512)) * 2
FIELDS = {
    "ok",
    "generation",
    "root",
    "links",
    "pdh_sha256",
    "cek_sha256",
    "oca_sha256",
    "chip_id",
    "warnings",
}
NAPLES_PDH = "34b11563c32bd17b4e2b4b8205301af64e7bd06a85e2a6ada789bc9d5dfd9932"


def b64(data):
    return base64.b64encode(data)


def answer(c, chain_key="cert-chain", **more):
    """What a host answers: its CEK is not signed."""
    chain = c["pek"] + c["oca"] + c["cek"][:0x414] + EMPTY_SLOTS
    return {"pdh": b64(c["pdh"]).decode(), chain_key: b64(chain).decode(), **more}


def virsh_table(c):
    rows = {**answer(c), "cbitpos": "47", "reduced-phys-bits": "1", "max-guests": "15"}
    return "".join(f"{name:20}: {value}\n" for name, value in rows.items()).encode() + b"\n"


# Each layout is a list of files, made of the six certificates.
LAYOUTS = {
    "single files": lambda c: [c[role] for role in ROLES],
    "single files without AMD's": lambda c: [c[role] for role in ("pdh", "pek", "oca", "cek")],
    "sevctl export": lambda c: [c["pdh"] + c["pek"] + c["oca"] + c["cek"]],
    "sevctl export --full": lambda c: [
        c["pdh"] + c["pek"] + c["oca"] + c["cek"] + c["ask"] + c["ark"]
    ],
    "PEK|OCA|CEK, PDH": lambda c: [c["pek"] + c["oca"] + c["cek"], c["pdh"]],
    "ASK|ARK beside the rest": lambda c: [
        c["ask"] + c["ark"],
        c["pdh"] + c["pek"] + c["oca"] + c["cek"],
    ],
    "with AMD's Naples ARK as it is served": lambda c: [
        c["ask"] + c["ark"][:576],
        c["pdh"] + c["pek"] + c["oca"] + c["cek"],
    ],
    "the host's chain and AMD's CEK": lambda c: [
        c["pdh"],
        c["pek"] + c["oca"] + c["cek"][:0x414] + EMPTY_SLOTS,
        c["cek"],
    ],
}
TEXTS = {
    "query-sev-capabilities": lambda c: json.dumps(answer(c, cbitpos=51)).encode(),
    "a QMP reply": lambda c: json.dumps({"return": answer(c), "id": "1"}, indent=2).encode(),
    "KubeVirt": lambda c: json.dumps(answer(c, "certChain")).encode(),
    "virsh nodesevinfo": virsh_table,
}
FORMS = {
    "raw": bytes,
    "base64": b64,
    "base64 with a newline": lambda data: b64(data) + b"\n",
    "wrapped base64": base64.encodebytes,
    "base64 from Windows": lambda data: "\r\n".join(textwrap.wrap(b64(data).decode(), 64)).encode(),
}


@pytest.fixture
def certificates(naples):
    return {role: path.read_bytes() for role, path in naples.items()}


@pytest.fixture
def verify(command, tmp_path):
    """Verifies contents, each in a file of its own."""

    def run(contents, *options):
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"file{number}")
            paths[-1].write_bytes(content)
        return command("platform", "verify", *paths, *options, "--json")

    return run


def assert_holds(shown):
    assert (shown.status, shown.err) == (0, "")
    report = shown.json
    assert set(report) == FIELDS
    assert (report["ok"], report["generation"], report["root"]) == (True, "naples", "amd")
    assert report["pdh_sha256"] == NAPLES_PDH
    assert {link["verdict"] for link in report["links"]} == {"ok"}
    signatures = [(link["certificate"], link["signed_by"]) for link in report["links"]]
    assert sorted(signatures) == sorted(
        [
            ("ark", "ark"),
            ("ask", "ark"),
            ("cek", "ask"),
            ("oca", "oca"),
            ("pek", "oca"),
            ("pek", "cek"),
            ("pdh", "pek"),
        ]
    )
    for link in report["links"]:
        assert list(link) == ["certificate", "signed_by", "verdict", "reason"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_verifies_in_every_form(verify, certificates, layout, form):
    assert_holds(verify([FORMS[form](data) for data in LAYOUTS[layout](certificates)]))


@pytest.mark.parametrize("layout", TEXTS)
def test_what_hosts_answer_verifies_with_amds_cek(verify, certificates, layout):
    answered = TEXTS[layout](certificates)
    assert_holds(verify([answered, certificates["cek"]]))
    without = verify([answered])
    assert (without.status, without.code) == (3, "chain-refused")
    [cek] = [link for link in without.json["links"] if link["certificate"] == "cek"]
    assert cek["verdict"] == "failed"
    assert "sevctl export" in without.error["remedy"]


def test_the_order_of_files_is_of_no_consequence(verify, certificates):
    files = LAYOUTS["the host's chain and AMD's CEK"](certificates)
    for order in itertools.permutations([*files, certificates["ask"] + certificates["ark"]]):
        assert_holds(verify(order))


def test_the_same_file_twice_is_of_no_consequence(verify, certificates):
    files = [certificates[role] for role in ROLES]
    assert_holds(verify(files + files))


def test_a_pdh_alone_is_a_chain_with_everything_missing(verify, certificates):
    shown = verify([certificates["pdh"]])
    assert (shown.status, shown.code) == (3, "chain-refused")
    verdicts = {link["certificate"]: link["verdict"] for link in shown.json["links"]}
    assert verdicts["pek"] == "missing"
    assert shown.json["pdh_sha256"] == NAPLES_PDH
    assert "sevctl export --full" in shown.error["remedy"]


def test_the_chain_is_shown_as_a_tree(command, naples):
    shown = command("platform", "verify", *naples.values())
    assert shown.status == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("ok       ARK ")
    assert lines[6].startswith("ok               PDH ")
    assert "The chain holds, up to AMD's naples root." in lines
    assert any(line.startswith("warning: Naples") for line in lines)


def test_a_known_weakness_of_the_generation_is_warned_of(verify, certificates):
    warnings = verify([certificates[role] for role in ROLES]).json["warnings"]
    assert any("can be extracted" in warning for warning in warnings)


# -- roots -------------------------------------------------------------------------


def test_a_root_that_is_not_amds_is_refused(command, fake):
    shown = command("platform", "verify", *fake.values(), "--json")
    assert (shown.status, shown.code) == (3, "chain-refused")
    assert shown.json["root"] == "not-amd"
    assert shown.json["links"][0]["verdict"] == "failed"
    assert "forged" in shown.error["message"]


def test_a_root_that_is_named_as_trusted_is_said_loudly(command, fake):
    options = ("--trust-root", fake["ark"])
    shown = command("platform", "verify", *fake.values(), *options, "--json")
    assert shown.status == 0
    assert (shown.json["root"], shown.json["generation"]) == ("not-amd", None)
    assert shown.json["warnings"] == ["The root is not AMD's: you named it as trusted."]
    in_text = command("platform", "verify", *fake.values(), *options)
    assert "a root that is NOT AMD's and that you trusted" in in_text.out


def test_trusting_one_root_trusts_no_other(command, fake, platform):
    shown = command("platform", "verify", *fake.values(), "--trust-root", platform / "ark.cert")
    assert shown.status == 3


def test_a_real_chain_stays_amds_whatever_else_is_trusted(command, naples, fake):
    shown = command("platform", "verify", *naples.values(), "--trust-root", fake["ark"], "--json")
    assert_holds(shown)


def test_only_an_ark_can_be_trusted(command, fake):
    shown = command("platform", "verify", *fake.values(), "--trust-root", fake["ask"], "--json")
    assert (shown.status, shown.code) == (6, "no-root-in-file")


# -- pins --------------------------------------------------------------------------


def test_the_owner_ca_can_be_pinned_by_file_and_by_fingerprint(command, naples):
    words = ("platform", "verify", *naples.values(), "--json")
    assert_holds(command(*words, "--oca", naples["oca"]))
    fingerprint = command(*words).json["oca_sha256"]
    assert_holds(command(*words, "--oca", fingerprint))
    assert_holds(command(*words, "--oca", fingerprint.upper()))


def test_another_owner_ca_than_the_pinned_one_is_refused(command, naples, fake):
    for pin in (fake["oca"], "00" * 32):
        shown = command("platform", "verify", *naples.values(), "--oca", pin, "--json")
        assert (shown.status, shown.code) == (3, "chain-refused")
        assert "OCA" in shown.error["message"]


@pytest.mark.parametrize("pin", ["zz" * 32, "0123", ""])
def test_a_pin_that_is_neither_file_nor_fingerprint_is_refused(command, naples, pin):
    shown = command("platform", "verify", *naples.values(), "--oca", pin, "--json")
    assert shown.status == 6


def test_a_pin_by_a_file_without_an_oca_is_refused(command, naples):
    shown = command("platform", "verify", *naples.values(), "--oca", naples["pek"], "--json")
    assert (shown.status, shown.code) == (6, "not-certificates")
