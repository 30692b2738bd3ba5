# SPDX-License-Identifier: Apache-2.0
"""What a hostile host does, each attack by name, and the rule that stops it.

The numbers are those of the project's table of threats.
"""

from __future__ import annotations

import inspect
import struct
from dataclasses import replace

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import UsageError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import PlatformCertificates, Root, examine_chain
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.mac import hmac_sha256
from watchword.core.sev.measurement import ReportedMeasurement, verify_measurement
from watchword.core.sev.platform import ForeignRootPlatform, verify_chain
from watchword.core.sev.policy import DEFAULT_POLICY, Policy, approve_policy
from watchword.core.sev.secret_packet import seal
from watchword.core.sev.secret_table import DISK_PASSPHRASE, SecretEntry, TestSecretEntry

from . import firmware_side
from .chain_maker import PlatformMaker
from .conftest import NOTHING_KNOWN, requirements

GOOD = FirmwareVersion(1, 55, 21)
DIGEST, NONCE = b"\x11" * 32, b"n" * 16


def secret():
    return [SecretEntry(DISK_PASSPHRASE, Secret(b"a real passphrase"))]


def report_by(session, policy, digest=DIGEST, version=GOOD):
    """A measurement with a right MAC over these values, as only the firmware can make it."""
    head = bytes([4, version.api_major, version.api_minor, version.build])
    with session.tik.reveal() as tik:
        tag = hmac_sha256(tik, head, struct.pack("<I", policy), digest, NONCE)
    return ReportedMeasurement(tag, NONCE)


def attempt(session, reported, version=GOOD, **options):
    return verify_measurement(session, reported, version, [DIGEST], requirements(), **options)


# -- 1: a root of the host's own -----------------------------------------------------------


@pytest.fixture
def forged(authority):
    """A whole chain under a root that carries the ids of AMD's Naples keys."""
    naples = amd_roots()[0]
    names = replace(authority, ark_id=naples.ark.key_id, ask_id=naples.ask.key_id)
    return PlatformMaker(names).files()


def test_1_a_forged_root_with_amds_ids_is_refused_by_its_key(forged):
    report = examine_chain(PlatformCertificates(**forged), amd_roots())
    assert not report.ok
    assert report.root is Root.NOT_AMD
    assert "forged" in report.links[0].reason
    assert [link.verdict.value for link in report.links[1:]] == ["ok"] * 6


def test_1_a_forged_root_that_is_left_out_is_not_taken_for_amds(forged):
    for missing in (("ark",), ("ask",), ("ark", "ask")):
        files = {**forged, **dict.fromkeys(missing)}
        assert not examine_chain(PlatformCertificates(**files), amd_roots()).ok


def test_1_amds_root_above_a_forged_ask_does_not_hold(forged):
    naples = amd_roots()[0]
    for genuine in ({"ark": naples.ark.build()}, {"ask": naples.ask.build()}):
        files = {**forged, **genuine}
        assert not examine_chain(PlatformCertificates(**files), amd_roots()).ok


def test_1_a_root_that_the_owner_named_is_loud_and_never_verified(forged):
    trusted = [AmdCertificate.parse(forged["ark"])]
    platform = verify_chain(
        PlatformCertificates(**forged), amd_roots(), NOTHING_KNOWN, trusted_roots=trusted
    )
    assert type(platform) is ForeignRootPlatform
    assert any("not AMD's" in warning for warning in platform.report.warnings)


def test_1_a_root_that_copies_the_ids_of_a_named_root_is_refused(authority, made):
    other = replace(authority, ark_key=authority.ask_key, ask_key=authority.ark_key)
    trusted = [AmdCertificate.parse(made["ark"])]
    chain = PlatformCertificates(**PlatformMaker(other).files())
    report = examine_chain(chain, amd_roots(), trusted_roots=trusted)
    assert trusted[0].key_id == AmdCertificate.parse(chain.ark).key_id
    assert [link.verdict.value for link in report.links] == ["failed"] + ["ok"] * 6


# -- 2: the CEK ----------------------------------------------------------------------------


def test_2_an_unsigned_cek_is_refused(made, maker, made_roots):
    chain = PlatformCertificates(**{**made, "cek": maker.cek(signed=False)})
    assert not examine_chain(chain, made_roots).ok


def test_2_a_signed_cek_of_another_chip_does_not_vouch_for_this_host(made, maker, made_roots):
    other = PlatformMaker(maker.authority, "chip 2")
    # The whole chain of another machine, while this host's own CEK says otherwise.
    chain = PlatformCertificates(**other.files(), cek_from_host=maker.cek(signed=False))
    report = examine_chain(chain, made_roots)
    assert not report.ok
    assert "another chip" in report.first_problem().reason
    mixed = PlatformCertificates(**{**made, "cek": other.cek()})
    assert not examine_chain(mixed, made_roots).ok


def test_2_amds_copy_of_the_hosts_own_cek_is_accepted(made, maker, made_roots):
    chain = PlatformCertificates(**made, cek_from_host=maker.cek(signed=False))
    assert examine_chain(chain, made_roots).ok


def test_2_another_machines_chain_shows_in_the_fingerprint_to_pin(made, maker, made_roots):
    other = PlatformMaker(maker.authority, "chip 2").files()
    here, there = (
        examine_chain(PlatformCertificates(**files), made_roots) for files in (made, other)
    )
    assert here.ok
    assert there.ok
    assert here.cek_sha256 != there.cek_sha256
    assert here.pdh_sha256 != there.pdh_sha256


# -- 3: keys that leaked -------------------------------------------------------------------


def test_3_a_generation_whose_keys_leaked_is_marked_in_the_report(made, made_roots):
    roots = [replace(made_roots[0], generation="milan")]
    platform = verify_chain(PlatformCertificates(**made), roots, published_advisories())
    assert any("Milan" in warning for warning in platform.report.warnings)


# -- 4 and 5: policies ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [0x1, 0x0, 0x3, 0x5, 0x7, 0x2F, 0x11000007, 0x1100002E])
def test_4_a_weak_policy_is_refused_unless_waived_with_a_reason(value):
    with pytest.raises(VerificationRefused):
        approve_policy(Policy(value))
    for empty in ("", "   ", "\n\n\n"):
        with pytest.raises(UsageError) as caught:
            approve_policy(Policy(value), empty)
        assert caught.value.code == "empty-waiver"
    assert approve_policy(Policy(value), "lab machine").waiver == "lab machine"


def test_5_a_policy_without_minimum_api_is_never_silently_changed():
    assert approve_policy(Policy(0x2F), "an old machine").policy.value == 0x2F


@pytest.mark.parametrize("version", [(0, 16, 255), (0, 8, 0), (0, 0, 0)])
def test_5_old_firmware_that_shows_vm_a_gets_no_packet_for_vm_b(
    verified_platform, new_session, version
):
    session = new_session(verified_platform, Policy(0x2F), "an old machine")
    with session.tik.reveal() as tik:
        tag = hmac_sha256(tik, struct.pack("<I", 0x2F), DIGEST, NONCE)
    version = FirmwareVersion(*version)
    old_form = ReportedMeasurement(tag, NONCE)
    for reported in (old_form, report_by(session, 0x2F, version=version)):
        with pytest.raises(VerificationRefused) as caught:
            attempt(session, reported, version)
        assert caught.value.code == "firmware-too-old"


def test_5_old_firmware_that_claims_to_be_new_does_not_match(verified_platform, new_session):
    session = new_session(verified_platform, Policy(0x2F), "an old machine")
    with session.tik.reveal() as tik:
        tag = hmac_sha256(tik, struct.pack("<I", 0x2F), DIGEST, NONCE)
    with pytest.raises(VerificationRefused) as caught:
        attempt(session, ReportedMeasurement(tag, NONCE), FirmwareVersion(0, 17, 0))
    assert caught.value.code == "measurement-mismatch"


# -- 6: what the host says -----------------------------------------------------------------


def test_6_the_hosts_policy_has_no_way_in():
    assert not [name for name in inspect.signature(verify_measurement).parameters if "pol" in name]


@pytest.mark.parametrize("policy", [0x1, 0x1100002E, 0x2F])
def test_6_a_vm_started_under_another_policy_is_a_mismatch(verified_platform, new_session, policy):
    session = new_session(verified_platform)
    assert attempt(session, report_by(session, DEFAULT_POLICY.value))
    with pytest.raises(VerificationRefused) as caught:
        attempt(session, report_by(session, policy))
    assert caught.value.code == "measurement-mismatch"


def test_6_requirements_on_the_firmware_can_not_be_left_out():
    parameters = inspect.signature(verify_measurement).parameters
    assert parameters["requirements"].default is inspect.Parameter.empty


def test_6_an_unknown_version_in_a_good_mac_is_refused_if_known_bad(verified_platform, new_session):
    session = new_session(verified_platform)
    bad = FirmwareVersion(0, 17, 11)
    reported = report_by(session, DEFAULT_POLICY.value, version=bad)
    with pytest.raises(VerificationRefused) as caught:
        verify_measurement(
            session, reported, bad, [DIGEST], requirements(advisories=published_advisories())
        )
    assert caught.value.code == "firmware-known-bad"
    assert "CVE-2019-9836" in caught.value.message


# -- 7, 8, 9, 10: one blob, one packet, no key ---------------------------------------------


def test_7_a_clone_from_the_same_blob_gets_no_second_packet(
    verified_platform, new_session, measured
):
    session = new_session(verified_platform)
    with session.tek.reveal() as tek, session.tik.reveal() as tik:
        keys = bytes(tek), bytes(tik)
    first, clone = measured(session), measured(session, version=FirmwareVersion(1, 55, 22))
    packet = seal(first, secret(), b"v" * 16, None)
    with pytest.raises(UsageError):
        seal(clone, secret(), b"w" * 16, None)
    with pytest.raises(AssertionError, match="packet"):
        firmware_side.open_packet(
            *keys, clone.reported.measurement, packet.header, packet.ciphertext
        )


def test_8_a_replayed_nonce_is_refused_though_the_mac_is_right(verified_platform, new_session):
    session = new_session(verified_platform)
    reported = report_by(session, DEFAULT_POLICY.value)
    with pytest.raises(VerificationRefused) as caught:
        attempt(session, reported, seen_nonces={NONCE})
    assert caught.value.code == "measurement-replayed"


def test_9_a_packet_may_be_sent_again_byte_for_byte(verified_platform, new_session, measured):
    packet = seal(measured(new_session(verified_platform)), secret(), b"v" * 16, None)
    sent = packet.header_base64, packet.ciphertext_base64
    assert (packet.header_base64, packet.ciphertext_base64) == sent
    assert all(type(part) is bytes for part in (packet.header, packet.ciphertext))


def test_10_no_key_is_left_after_sealing_or_abandoning(verified_platform, new_session, measured):
    sealed, abandoned = new_session(verified_platform), new_session(verified_platform)
    buffers = [key._data for session in (sealed, abandoned) for key in (session.tek, session.tik)]
    assert all(any(buffer) for buffer in buffers)
    seal(measured(sealed), secret(), b"v" * 16, None)
    abandoned.abandon()
    assert not any(any(buffer) for buffer in buffers)


# -- 13: platforms that AMD does not vouch for ---------------------------------------------


@pytest.mark.parametrize("kind", ["foreign_platform", "waived_platform"])
def test_13_a_platform_that_is_not_proven_gets_test_secrets_only(
    request, new_session, measured, kind
):
    verified = measured(new_session(request.getfixturevalue(kind)))
    with pytest.raises(VerificationRefused):
        seal(verified, secret(), b"v" * 16, None)
    harmless = [TestSecretEntry(DISK_PASSPHRASE, Secret(b"made for this launch"))]
    assert seal(verified, harmless, b"v" * 16, None)
