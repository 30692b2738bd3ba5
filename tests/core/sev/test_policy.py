# SPDX-License-Identifier: Apache-2.0
"""Guest policies: bits, texts, what is weak, and what is refused unless waived."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import UsageError, VerificationRefused
from watchword.core.sev.policy import (
    DEFAULT_POLICY,
    Policy,
    PolicyFlag,
    approve_policy,
    parse_policy,
)

from .conftest import outcome

BYTE = st.integers(0, 255)
POLICIES = st.builds(
    lambda flags, major, minor: Policy(flags | major << 16 | minor << 24),
    st.integers(0, 63),
    BYTE,
    BYTE,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x1100002f", 0x1100002F),
        ("0X1100002F", 0x1100002F),
        ("1", 1),
        ("0", 0),
        ("5", 5),
        ("0x31010005", 0x31010005),
        ("nodbg", 1),
        ("NODBG, es", 5),
        (" nodbg,noks,es,nosend,sev,min-api=1.49 ", 0x3101002F),
        ("domain,min-api=0.17", 0x11000010),
        ("none", 0),
        ("default", 0x1100002F),
        ("285212719", 0x1100002F),
    ],
)
def test_policies_are_read_from_hex_decimal_and_names(text, value):
    assert parse_policy(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0x",
        "-1",
        "+1",
        "1_0",
        "0x1_0",
        "1.0",
        "0x100000000",
        "4294967296",
        "0x40",
        "0x8000",
        "0xffff",
        "nodebug",
        "nodbg,,es",
        "nodbg,none",
        "min-api=",
        "min-api=1",
        "min-api=256.0",
        "min-api=1.-1",
        "\u0661",
        "\u00b2",
        "9" * 5000,
        "0x" + "0" * 5000,
    ],
)
def test_what_is_no_policy_is_refused_in_words(text):
    with pytest.raises(UsageError) as caught:
        parse_policy(text)
    assert len(str(caught.value)) < 300
    assert caught.value.remedy


@given(st.text() | st.text("0123456789abcdefx=.,-nodbgkesvmipaj ", max_size=30))
def test_any_text_is_a_policy_or_a_usage_error(text):
    found = outcome(parse_policy, text)
    assert isinstance(found, UsageError) or parse_policy(found.names()) == found


@settings(max_examples=40)
@given(POLICIES)
def test_every_form_of_a_policy_reads_back_as_the_same(policy):
    for text in (str(policy.value), f"0x{policy.value:x}", policy.names()):
        assert parse_policy(text) == policy


@settings(max_examples=40)
@given(POLICIES)
def test_a_policy_builds_four_little_endian_bytes(policy):
    flags, reserved, major, minor = policy.build()
    assert (flags, reserved) == (policy.flags, 0)
    assert (major, minor) == policy.minimum_api


@pytest.mark.parametrize("bit", range(6, 16))
def test_each_reserved_bit_is_refused_and_named(bit):
    with pytest.raises(UsageError, match=rf"\({bit}\)"):
        Policy(1 << bit)


@pytest.mark.parametrize("value", [-1, 1 << 32, 1 << 64])
def test_values_beyond_32_bits_are_refused(value):
    with pytest.raises(UsageError):
        Policy(value)


def test_the_default_is_what_the_rules_ask_for():
    assert DEFAULT_POLICY.value == 0x1100002F
    assert DEFAULT_POLICY.names() == "nodbg,noks,es,nosend,sev,min-api=0.17"
    assert DEFAULT_POLICY.findings() == ()
    assert DEFAULT_POLICY.needs_es


def codes(value, *, refused):
    return {f.code for f in Policy(value).findings() if f.refused is refused}


@pytest.mark.parametrize(
    ("value", "refused", "warned"),
    [
        (0x1100002F, set(), set()),
        (0x1100000F, set(), set()),
        (0x1100002E, {"debug-allowed"}, set()),
        (0x11000027, set(), {"send-allowed"}),
        (0x11000007, {"send-anywhere"}, set()),
        (0x1100002B, set(), {"no-es"}),
        (0x1100002D, set(), {"key-sharing"}),
        (0x2F, {"old-api-allowed"}, set()),
        (0x1000002F, {"old-api-allowed"}, set()),
        (0x0001002F, set(), set()),
        (0x1, {"send-anywhere", "old-api-allowed"}, {"no-es", "key-sharing"}),
        (0, {"debug-allowed", "send-anywhere", "old-api-allowed"}, {"no-es", "key-sharing"}),
    ],
)
def test_each_weakness_has_its_finding(value, refused, warned):
    assert codes(value, refused=True) == refused
    assert codes(value, refused=False) == warned


@settings(max_examples=40)
@given(POLICIES)
def test_refusals_come_before_warnings_and_every_bit_has_its_sentence(policy):
    severities = [finding.refused for finding in policy.findings()]
    assert severities == sorted(severities, reverse=True)
    # Where a guest may be sent is moot if it may not be sent at all.
    moot = 2 if PolicyFlag.NOSEND in policy.flags else 0
    assert len(policy.in_words()) == len(PolicyFlag) - moot + 1


def test_words_say_what_a_bit_means_whether_set_or_not():
    strong, weak = DEFAULT_POLICY.in_words(), Policy(0).in_words()
    assert "may not read" in strong[0]
    assert "may read" in weak[0]
    assert strong[-1].endswith("API 0.17 or newer")


@given(POLICIES, st.none() | st.just("lab machine"))
def test_a_weak_policy_is_approved_only_with_a_reason(policy, waiver):
    weak = any(finding.refused for finding in policy.findings())
    if weak and waiver is None:
        with pytest.raises(VerificationRefused) as caught:
            approve_policy(policy, waiver)
        assert caught.value.exit_status == 3
        return
    approved = approve_policy(policy, waiver)
    assert approved.policy == policy
    assert approved.waiver == (waiver if weak else None)


def test_a_refusal_lists_every_weakness_and_the_way_out():
    with pytest.raises(VerificationRefused) as caught:
        approve_policy(Policy(0))
    error = caught.value
    assert error.code == "policy-refused"
    assert error.details["findings"] == ["debug-allowed", "send-anywhere", "old-api-allowed"]
    assert "0x1100002f" in error.remedy
