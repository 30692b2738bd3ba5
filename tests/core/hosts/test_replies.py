# SPDX-License-Identifier: Apache-2.0
"""Answers are read only if every field has the right type, range and size."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import HostError
from watchword.core.hosts import replies
from watchword.core.hosts.protocol import SevState, Technology

SEV = {
    "enabled": True,
    "api-major": 1,
    "api-minor": 55,
    "build-id": 21,
    "state": "launch-secret",
    "policy": 5,
    "handle": 7,
}
STATUS = {"running": False}


def b64(raw):
    return base64.b64encode(raw).decode()


CAPABILITIES = {"pdh": b64(b"p"), "cert-chain": b64(b"c"), "cbitpos": 51, "reduced-phys-bits": 1}


def code_of(read, *answers):
    with pytest.raises(HostError) as caught:
        read(*answers)
    assert caught.value.message
    assert caught.value.remedy
    return caught.value.code


def test_a_guest_state_is_read():
    state = replies.read_guest_state(SEV, STATUS)
    assert (state.api_major, state.api_minor, state.build) == (1, 55, 21)
    assert state.state is SevState.LAUNCH_SECRET
    assert (state.policy, state.handle) == (5, 7)
    assert state.encrypted_state
    assert state.paused


def test_a_qemu_that_names_no_technology_means_sev():
    assert replies.read_guest_state(SEV, STATUS).technology is Technology.SEV
    named = replies.read_guest_state(SEV | {"sev-type": "sev"}, STATUS)
    assert named.technology is Technology.SEV


@pytest.mark.parametrize("state", [each.value for each in SevState])
def test_each_state_of_qemu_is_known(state):
    assert replies.read_guest_state(SEV | {"state": state}, STATUS).state.value == state


def test_a_vm_without_sev_is_an_error_with_the_missing_options():
    # What QEMU 7.2 without SEV answers.
    disabled = SEV | {"enabled": False, "state": "uninit", "policy": 0, "handle": 0}
    with pytest.raises(HostError) as caught:
        replies.read_guest_state(disabled, STATUS)
    assert caught.value.code == "sev-not-enabled"
    assert "confidential-guest-support" in caught.value.remedy


def test_an_snp_guest_is_named_as_such():
    snp = {"enabled": True, "sev-type": "sev-snp", "snp-policy": 0x30000}
    assert code_of(replies.read_guest_state, snp, STATUS) == "guest-is-sev-snp"


WRONG = [None, "1", 1.0, [], {}, -1, 2**32, float("inf")]


@pytest.mark.parametrize("field", ["api-major", "api-minor", "build-id", "policy", "handle"])
@pytest.mark.parametrize("value", [*WRONG, True])
def test_a_number_of_the_wrong_type_or_range_is_refused(field, value):
    answer = SEV | {field: value}
    assert code_of(replies.read_guest_state, answer, STATUS) == "host-answer-malformed"


def test_version_numbers_have_eight_bits():
    assert code_of(replies.read_guest_state, SEV | {"build-id": 256}, STATUS)
    assert replies.read_guest_state(SEV | {"build-id": 255}, STATUS).build == 255


@pytest.mark.parametrize("field", sorted(SEV))
def test_a_missing_field_is_named(field):
    answer = {name: value for name, value in SEV.items() if name != field}
    with pytest.raises(HostError) as caught:
        replies.read_guest_state(answer, STATUS)
    assert caught.value.details == {"command": "query-sev", "field": field}


@pytest.mark.parametrize("value", [*WRONG, 0, "true"])
def test_a_flag_is_true_or_false_and_nothing_else(value):
    assert code_of(replies.read_guest_state, SEV | {"enabled": value}, STATUS)
    assert code_of(replies.read_guest_state, SEV, {"running": value})


@pytest.mark.parametrize("value", [*WRONG, "LAUNCH-SECRET", "launch-secret "])
def test_an_unknown_state_is_refused(value):
    assert code_of(replies.read_guest_state, SEV | {"state": value}, STATUS)


def test_a_measurement_has_48_bytes():
    assert replies.read_measurement({"data": b64(bytes(48))}) == bytes(48)
    for raw in (b"", bytes(47), bytes(49), bytes(100_000)):
        assert code_of(replies.read_measurement, {"data": b64(raw)}) == "host-answer-malformed"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:10] + "\n" + text[10:],
        lambda text: text + "=",
        lambda text: text.replace("A", "-"),
        lambda text: text.replace("A", "\u0410"),
        list,
        lambda text: None,
    ],
)
def test_base64_is_read_strictly(damage):
    assert code_of(replies.read_measurement, {"data": damage(b64(bytes(48)))})


def test_base64_with_stray_bits_is_refused():
    assert replies.read_report({"data": b64(bytes(208))}) == bytes(208)
    # 208 bytes end in one byte and four bits that must be zero.
    assert code_of(replies.read_report, {"data": b64(bytes(208))[:-3] + "B=="})


def test_a_platform_is_read_with_and_without_chip_id():
    assert replies.read_platform(CAPABILITIES).cpu_id is None
    chip = bytes(range(64))
    answer = replies.read_platform(CAPABILITIES | {"cpu0-id": b64(chip)})
    assert (answer.pdh, answer.cert_chain, answer.cpu_id) == (b"p", b"c", chip)
    assert (answer.cbitpos, answer.reduced_phys_bits) == (51, 1)


def test_of_two_sockets_the_first_ones_chip_id_is_taken():
    both = bytes(range(128))
    assert replies.read_platform(CAPABILITIES | {"cpu0-id": b64(both)}).cpu_id == both[:64]
    for wrong in (b"", bytes(63), bytes(65), bytes(127), bytes(129)):
        assert code_of(replies.read_platform, CAPABILITIES | {"cpu0-id": b64(wrong)})


@pytest.mark.parametrize("field", ["pdh", "cert-chain"])
def test_certificates_of_any_size_up_to_64_kib_are_left_to_the_chain(field):
    most = 64 * 1024
    assert replies.read_platform(CAPABILITIES | {field: b64(bytes(most))})
    assert code_of(replies.read_platform, CAPABILITIES | {field: b64(bytes(most + 1))})
    assert code_of(replies.read_platform, CAPABILITIES | {field: ""})


@pytest.mark.parametrize("answer", [None, {}, [], [1], [{}] * 4097, "aa"])
def test_a_list_of_vcpus_that_makes_no_sense_is_refused(answer):
    assert code_of(replies.read_vcpu_count, answer) == "host-answer-malformed"


def test_vcpus_are_counted():
    assert replies.read_vcpu_count([{}] * 255) == 255


@pytest.mark.parametrize("answer", [None, True, 0, "", []])
def test_an_injection_with_an_odd_answer_is_an_open_question(answer):
    with pytest.raises(HostError) as caught:
        replies.expect_empty("sev-inject-launch-secret", answer)
    assert caught.value.details["packet_arrived"] == "unknown"
    assert "same packet may be sent again" in caught.value.message


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(
            st.one_of(st.text(), st.sampled_from([*SEV, *CAPABILITIES, "data", "sev-type"])), inner
        ),
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_answer_gives_a_value_or_a_host_error(answer):
    for read in (
        replies.read_platform,
        replies.read_measurement,
        replies.read_report,
        replies.read_vcpu_count,
        lambda value: replies.read_guest_state(value, value),
    ):
        with contextlib.suppress(HostError):
            read(answer)
