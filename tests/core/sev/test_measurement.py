# SPDX-License-Identifier: Apache-2.0
"""Launch measurements: what they cover, when they verify, and what is refused although they do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    ReportedMeasurement,
    VerifiedMeasurement,
    compute_measurement,
    compute_measurement_before_api_0_17,
    verify_measurement,
)
from watchword.core.sev.policy import DEFAULT_POLICY, Policy, approve_policy, parse_policy
from watchword.core.sev.session import adopt_session

from .conftest import outcome, requirements

DIGEST, OTHER = b"\x11" * 32, b"\x22" * 32
NONCE = b"nonce of the psp"
GOOD = FirmwareVersion(1, 55, 21)


def mac(session, message):
    """The MAC under the session's TIK, by the standard library."""
    with session.tik.reveal() as key:
        return hmac.new(bytes(key), message, hashlib.sha256).digest()


def answer(session, version=GOOD, digest=DIGEST, policy=None, nonce=NONCE):
    """What honest firmware of API 0.17 or newer reports."""
    value = session.policy.policy.value if policy is None else policy
    head = bytes([4, version.api_major, version.api_minor, version.build])
    body = head + struct.pack("<I", value) + digest + nonce
    return ReportedMeasurement(mac(session, body), nonce)


def old_answer(session, digest=DIGEST):
    """What firmware before API 0.17 reports."""
    body = struct.pack("<I", session.policy.policy.value) + digest + NONCE
    return ReportedMeasurement(mac(session, body), NONCE)


@pytest.fixture
def session(verified_platform, new_session):
    return new_session(verified_platform)


def verify(session, reported, version=GOOD, approved=(DIGEST,), required=None, **options):
    required = required or requirements()
    return verify_measurement(session, reported, version, approved, required, **options)


def refusal(*arguments, **options):
    with pytest.raises(VerificationRefused) as caught:
        verify(*arguments, **options)
    assert caught.value.exit_status == 3
    return caught.value


# -- the layout -----------------------------------------------------------------------------


@given(st.binary(max_size=50) | st.binary(min_size=48, max_size=48))
def test_any_bytes_are_a_reported_measurement_or_bad_input(data):
    found = outcome(ReportedMeasurement.parse, data)
    if len(data) != 48:
        assert isinstance(found, BadInput)
    else:
        assert found.build() == data
        assert ReportedMeasurement.from_base64(found.as_base64()) == found
        assert len(found.as_base64()) == 64


@given(st.text() | st.text("ABab01+/=- \n", max_size=70))
def test_any_text_is_a_reported_measurement_or_bad_input(text):
    found = outcome(ReportedMeasurement.from_base64, text)
    assert isinstance(found, BadInput) or found.as_base64() == "".join(text.split())


@pytest.mark.parametrize("extra", ["=", "==", "AAAA", "!", "\x00", "\u00e9", "\ud800"])
def test_base64_of_measurements_is_strict(extra):
    text = base64.b64encode(bytes(48)).decode()
    with pytest.raises(BadInput):
        ReportedMeasurement.from_base64(text + extra)


def test_huge_text_is_refused():
    with pytest.raises(BadInput):
        ReportedMeasurement.from_base64("A" * 10_000_000)


# -- verification ---------------------------------------------------------------------------


def test_an_honest_answer_verifies(session):
    reported = answer(session)
    verified = verify(session, reported)
    assert type(verified) is VerifiedMeasurement
    assert verified.session is session
    assert verified.reported == reported
    assert (verified.version, verified.digest) == (GOOD, DIGEST)


def test_the_digest_that_matched_is_named(session):
    reported = answer(session, digest=OTHER)
    assert verify(session, reported, approved=[DIGEST, OTHER, bytes(32)]).digest == OTHER


@pytest.mark.parametrize(
    "change",
    [
        {"digest": OTHER},
        {"policy": 0x1100002E},
        {"policy": 1},
        {"version": FirmwareVersion(1, 55, 20)},
        {"version": FirmwareVersion(1, 54, 21)},
        {"version": FirmwareVersion(2, 55, 21)},
    ],
)
def test_any_other_value_inside_the_mac_is_a_mismatch(session, change):
    error = refusal(session, answer(session, **change))
    assert error.code == "measurement-mismatch"
    assert not session.over, "the owner may still look for the reason"


@settings(max_examples=40)
@given(place=st.integers(0, 47), bit=st.integers(0, 7))
def test_any_flipped_bit_is_a_mismatch(place, bit):
    session = a_session()
    data = bytearray(answer(session).build())
    data[place] ^= 1 << bit
    error = refusal(session, ReportedMeasurement.parse(bytes(data)))
    assert error.code == "measurement-mismatch"


def a_session():
    keys = Secret(b"e" * 16), Secret(b"i" * 16)
    return adopt_session(*keys, approve_policy(DEFAULT_POLICY), None)


def test_another_sessions_answer_is_a_mismatch(session, verified_platform, new_session):
    other = new_session(verified_platform, random=lambda size: b"\x77" * size)
    assert refusal(session, answer(other)).code == "measurement-mismatch"


def test_a_mismatch_shows_both_sides_and_no_key(session):
    error = refusal(session, answer(session, digest=OTHER))
    assert error.details["reported"] == answer(session, digest=OTHER).measurement.hex()
    assert error.details["expected"] == [answer(session).measurement.hex()]
    assert error.details["launch_digests"] == [DIGEST.hex()]


@pytest.mark.parametrize("approved", [(), (b"",), (DIGEST, DIGEST[:31]), (DIGEST + b"\0",)])
def test_without_whole_launch_digests_nothing_is_compared(session, approved):
    with pytest.raises(UsageError) as caught:
        verify(session, answer(session), approved=approved)
    assert caught.value.code == "bad-launch-digest"


def test_a_nonce_seen_in_an_earlier_launch_is_refused(session):
    error = refusal(session, answer(session), seen_nonces=[bytes(16), NONCE])
    assert error.code == "measurement-replayed"
    assert verify(session, answer(session), seen_nonces={bytes(16)})


def test_an_abandoned_session_verifies_nothing(session):
    reported = answer(session)
    session.abandon()
    with pytest.raises(UsageError, match="gone"):
        verify(session, reported)


# -- firmware versions ------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(0, 16, 255), (0, 0, 0), (0, 9, 1)])
@pytest.mark.parametrize("form", [answer, old_answer])
def test_firmware_before_api_0_17_never_verifies_though_its_mac_is_right(
    verified_platform, new_session, version, form
):
    session = new_session(verified_platform, Policy(0x2F), "an old machine")
    version = FirmwareVersion(*version)
    reported = answer(session, version) if form is answer else old_answer(session)
    for minimum in ((0, 0), (0, 17)):
        error = refusal(session, reported, version, required=requirements(minimum))
        assert error.code == "firmware-too-old"


def test_the_old_form_does_not_pass_for_new_firmware(session):
    for version in (GOOD, FirmwareVersion(0, 17, 0)):
        error = refusal(session, old_answer(session), version)
        assert error.code == "measurement-mismatch"


@pytest.mark.parametrize(
    ("policy", "minimum", "build", "good", "bad"),
    [
        ("0x1100002f", (0, 17), 0, (0, 17, 0), (0, 16, 255)),
        ("0x1100002f", (0, 17), 22, (0, 17, 22), (0, 17, 21)),
        ("0x1100002f", (0, 17), 22, (0, 22, 0), (0, 17, 21)),
        ("0x1100002f", (1, 55), 21, (1, 55, 21), (1, 55, 20)),
        ("0x1100002f", (1, 55), 21, (2, 0, 0), (1, 54, 255)),
        ("0x3101002f", (0, 17), 0, (1, 49, 0), (1, 48, 255)),
        ("0x3101002f", (1, 49), 6, (1, 49, 6), (1, 49, 5)),
        ("0x3101002f", (0, 17), 22, (1, 49, 0), (1, 48, 255)),
        ("0x1100002f", (0, 0), 0, (0, 17, 0), (0, 16, 0)),
    ],
)
def test_versions_below_a_minimum_are_refused_though_the_mac_is_right(
    verified_platform, new_session, policy, minimum, build, good, bad
):
    session = new_session(verified_platform, parse_policy(policy))
    required = requirements(minimum, build)
    for numbers in (good, bad):
        version = FirmwareVersion(*numbers)
        reported = answer(session, version)
        if numbers == good:
            assert verify(session, reported, version, required=required)
        else:
            error = refusal(session, reported, version, required=required)
            assert error.code == "firmware-too-old"
            assert str(version) in error.message


def test_the_refusal_names_what_is_really_required(session):
    version = FirmwareVersion(0, 17, 3)
    error = refusal(session, answer(session, version), version, required=requirements((0, 17), 22))
    assert "0.17 build 22 is required" in error.message


def test_a_build_that_is_known_to_be_bad_is_refused_though_the_mac_is_right(session):
    known = Advisory(
        "CVE-0", "2019", "keys leak", "AMD", api_major=0, api_minor=17, first_good_build=22
    )
    required = requirements(advisories=Advisories("2026-11-23", (known,)))
    bad, good = FirmwareVersion(0, 17, 21), FirmwareVersion(0, 17, 22)
    error = refusal(session, answer(session, bad), bad, required=required)
    assert error.code == "firmware-known-bad"
    assert "build 22" in error.remedy
    assert verify(session, answer(session, good), good, required=required)


# -- known answers ------------------------------------------------------------------------------


def test_the_measurements_of_sev_tool(vectors):
    known = json.loads((vectors / "sev-tool.json").read_text())["measurements"]
    assert len(known) == 7
    for case in known:
        tik = Secret(bytes.fromhex(case["tik"]))
        digest, nonce = (bytes.fromhex(case[name]) for name in ("launch_digest", "nonce"))
        version = FirmwareVersion(case["api_major"], case["api_minor"], case["build_id"])
        if case["form"].startswith("pre-0.17"):
            ours = compute_measurement_before_api_0_17(tik, case["policy"], digest, nonce)
        else:
            ours = compute_measurement(tik, version, case["policy"], digest, nonce)
        assert ours.hex() == case["expected"]


def test_the_measurements_of_sevctl(vectors):
    document = json.loads((vectors / "sevctl.json").read_text())
    tik = Secret((vectors / document["tik"]).read_bytes())
    known = document["measurements"]
    assert len(known) == 30
    for case in known:
        theirs = ReportedMeasurement.from_base64(case["expected_b64"])
        version = FirmwareVersion(case["api_major"], case["api_minor"], case["build_id"])
        digest = bytes.fromhex(case["launch_digest"])
        ours = compute_measurement(tik, version, case["policy"], digest, theirs.nonce)
        assert ours == theirs.measurement
