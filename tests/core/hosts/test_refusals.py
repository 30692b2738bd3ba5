# SPDX-License-Identifier: Apache-2.0
"""What QEMU refuses, and what a guest's state forbids, is explained in words of our own."""

from __future__ import annotations

import pytest

from .behaviours import Packet
from .peer import Refused


def test_a_vm_without_sev_is_an_error_with_the_missing_options(error_of):
    # Word for word what QEMU 7.2 answers without SEV.
    answer = {"enabled": False, "state": "uninit", "api-major": 0, "api-minor": 0}
    answer |= {"build-id": 0, "policy": 0, "handle": 0}
    error, server = error_of(lambda host: host.inject(Packet()), query_sev=answer)
    assert error.code == "sev-not-enabled"
    assert "sev-guest" in error.remedy
    assert "sev-inject-launch-secret" not in server.commands


@pytest.mark.parametrize("call", [lambda h: h.state(), lambda h: h.measurement()])
def test_an_snp_guest_is_named_as_such(error_of, call):
    answer = {"enabled": True, "sev-type": "sev-snp", "snp-policy": 1}
    assert error_of(call, query_sev=answer)[0].code == "guest-is-sev-snp"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("uninit", "not begun"),
        ("launch-update", "still being loaded"),
        ("running", "no secret can be injected"),
        ("send-update", "migrated away"),
        ("receive-update", "migrated here"),
    ],
)
def test_no_packet_leaves_in_another_state_than_launch_secret(error_of, state, word):
    answer = {"enabled": True, "state": state, "policy": 1, "handle": 1}
    answer |= {"api-major": 1, "api-minor": 55, "build-id": 1}
    error, server = error_of(lambda host: host.inject(Packet()), query_sev=answer)
    assert error.code == "guest-state-forbids"
    assert state in error.message
    assert word in error.message
    assert error.details["state"] == state
    assert "sev-inject-launch-secret" not in server.commands


def test_no_measurement_is_read_while_the_guest_is_being_loaded(error_of):
    answer = {"enabled": True, "state": "launch-update", "policy": 1, "handle": 1}
    answer |= {"api-major": 1, "api-minor": 55, "build-id": 1}
    error, _ = error_of(lambda host: host.measurement(), query_sev=answer)
    assert error.code == "guest-state-forbids"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2, "running already"),
        (9, "secret area"),
        (11, "another VM or another launch"),
        (22, "multiple of 16"),
        (23, "run out of a resource"),
        (0, "kernel refused"),
        (77, "no meaning"),
    ],
)
def test_a_refused_injection_explains_the_firmware_s_number(error_of, number, words):
    text = f"SEV: failed to inject secret ret=-1 fw_error={number} 'Something'"
    error, _ = error_of(lambda host: host.inject(Packet()), sev_inject_launch_secret=Refused(text))
    assert error.code == "injection-refused"
    assert error.details["fw_error"] == number
    assert f"fw_error {number}:" in error.message
    assert words in error.message
    assert "packet_arrived" not in error.details


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("SEV: no secret area found in OVMF, gpa must be specified.", "no-secret-area"),
        ("SEV: Not in correct state. (LSECRET) 3", "guest-state-forbids"),
        ("SEV: Failed to decode sequence header", "injection-refused"),
        ("SEV not enabled for guest", "sev-not-enabled"),
        ("SEV: SEV not enabled.", "sev-not-enabled"),
        ("SEV is not available in this QEMU", "qemu-without-sev"),
        ("Parameter 'packet-header' is missing", "host-refused-command"),
    ],
)
def test_qemu_s_refusals_of_an_injection_are_told_apart(error_of, words, code):
    error, _ = error_of(lambda host: host.inject(Packet()), sev_inject_launch_secret=Refused(words))
    assert error.code == code
    assert error.details["host_said"] == words
    assert words in error.message


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("KVM not enabled", "host-without-sev"),
        ("SEV is not enabled in KVM", "host-without-sev"),
        ("SEV: Failed to open /dev/sev: Permission denied", "host-without-sev"),
        ("SEV: Failed to export PDH cert ret=-1 fw_err=1 (x)", "firmware-refused"),
        ("SEV is not configured", "sev-not-enabled"),
    ],
)
def test_qemu_s_refusals_to_show_the_platform_are_told_apart(error_of, words, code):
    error, _ = error_of(lambda host: host.platform(), query_sev_capabilities=Refused(words))
    assert error.code == code


def test_a_measurement_that_is_not_there_is_named_as_such(error_of):
    error, _ = error_of(
        lambda host: host.measurement(),
        query_sev_launch_measure=Refused("SEV launch measurement is not available"),
    )
    assert error.code == "measurement-not-available"


@pytest.mark.parametrize(
    ("command", "call", "code"),
    [
        ("query_sev", lambda host: host.state(), "qemu-without-sev"),
        ("query_sev_capabilities", lambda host: host.platform(), "qemu-without-sev"),
        ("sev_inject_launch_secret", lambda host: host.inject(Packet()), "qemu-command-missing"),
        (
            "query_sev_attestation_report",
            lambda host: host.attestation_report(bytes(16)),
            "qemu-command-missing",
        ),
    ],
)
def test_a_command_that_qemu_does_not_know_says_what_qemu_is_needed(error_of, command, call, code):
    words = f"The command {command} has not been found"
    error, _ = error_of(call, **{command: Refused(words, "CommandNotFound")})
    assert error.code == code
    assert any(version in error.message for version in ("2.12", "6.0", "6.1"))
