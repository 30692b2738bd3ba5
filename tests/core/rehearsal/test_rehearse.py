# SPDX-License-Identifier: Apache-2.0
"""A whole launch over a real QMP socket: an honest host gets the packet, no liar gets a secret."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchword.core.errors import ExitStatus
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.launch.engine import Launch, StepState
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.core.rehearsal.rehearse import RehearsalOutcome, RehearsedGuest, rehearse
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.policy import DEFAULT_POLICY, approve_policy, parse_policy
from watchword.core.sev.vmsa import VmsaGeneration
from watchword.core.simulator import ATTACKS, PlatformKeys

# Short limits for the attacks that consist of making the owner wait.
WAITING = ("silence", "slow-drip", "second-client", "answers-late")
LIMITS = HostLimits(
    connect_seconds=5, greeting_seconds=1.5, command_seconds=1.0, inject_seconds=1.0
)
REFUSED = {
    "forged-chain": "chain-refused",
    "swapped-pdh": "chain-refused",
    "foreign-cek": "chain-refused",
    "unsigned-cek": "chain-refused",
    "wrong-firmware": "measurement-mismatch",
    "wrong-kernel": "measurement-mismatch",
    "replayed-measurement": "measurement-mismatch",
    "cloned-launch": "packet-refused",
    "policy-downgrade": "measurement-mismatch",
    "low-api": "firmware-too-old",
    "known-bad-build": "firmware-known-bad",
}
MISBEHAVING = {
    "silence": "host-timeout",
    "slow-drip": "host-timeout",
    "disconnect-mid-command": "host-closed-connection",
    "flood": "host-flood",
    "huge-reply": "host-message-too-large",
    "deep-json": "host-message-too-deep",
    "garbage-json": "host-message-garbled",
    "wrong-types": "host-answer-malformed",
    "second-client": "host-socket-busy",
    "state-lies": "guest-state-forbids",
    "error-with-markup": "host-refused-command",
    "corrupt-packet-reply": "host-message-garbled",
    "says-injected-but-not": "secret-not-arrived",
    "answers-late": "host-timeout",
}
_BEGIN_AND_END = (StepState.BUSY, StepState.DONE)
ES_GUEST = VcpuSetup(2, parse_cpu("EPYC-Milan"))


@pytest.fixture(scope="module")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files of a rehearsal go to a folder of the test, which must be empty afterwards."""
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert list(Path(folder).iterdir()) == []


def play(guest: RehearsedGuest, keys: PlatformKeys, attack: str | None = None) -> RehearsalOutcome:
    async def whole() -> RehearsalOutcome:
        async with asyncio.timeout(60):
            outcome = await rehearse(
                guest, lambda launch: None, attack=attack, keys=keys, limits=limits
            )
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, f"left behind: {others}"
        return outcome

    limits = LIMITS if attack in WAITING else DEFAULT_LIMITS
    return asyncio.run(whole())


def test_an_honest_host_is_verified_and_its_guest_reads_the_secret(keys: PlatformKeys) -> None:
    outcome = play(RehearsedGuest(vcpus=ES_GUEST), keys)
    assert outcome.error is None
    assert outcome.launch.complete
    assert outcome.secret_in_guest
    assert not outcome.secret_seen
    assert outcome.packets == 1
    assert outcome.launch.facts["platform"].record["root"] == "not-amd"
    assert "PEK signed" in str(outcome.launch.facts["run"].record["running"])


@pytest.mark.parametrize("generation", list(VmsaGeneration))
@pytest.mark.parametrize("count", [1, 3, 64])
def test_vcpus_and_vmsa_generation_agree_with_the_simulated_silicon(
    keys: PlatformKeys, generation: VmsaGeneration, count: int
) -> None:
    vcpus = VcpuSetup(count, parse_cpu("EPYC-Genoa"), generation)
    assert play(RehearsedGuest(vcpus=vcpus), keys).secret_in_guest


def test_a_plain_sev_guest_with_a_measured_kernel_takes_the_kernel_route(
    keys: PlatformKeys,
) -> None:
    policy = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
    guest = RehearsedGuest(
        kernel=b"kernel" * 100, initrd=b"initrd", cmdline="console=ttyS0 ", policy=policy
    )
    outcome = play(guest, keys)
    assert outcome.error is None
    secret = outcome.launch.facts["secret"].record["secrets"][0]  # type: ignore[index]
    assert secret["trailing_nul_added"] is False
    assert outcome.secret_in_guest


def test_every_attack_of_the_simulator_is_expected_to_end_in_something() -> None:
    assert {attack.name for attack in ATTACKS} == REFUSED.keys() | MISBEHAVING.keys()


@pytest.mark.parametrize("attack", [attack.name for attack in ATTACKS])
def test_no_attack_gets_a_byte_of_the_secret(keys: PlatformKeys, attack: str) -> None:
    guest = RehearsedGuest(vcpus=ES_GUEST)
    if attack == "wrong-kernel":
        guest = RehearsedGuest(vcpus=ES_GUEST, kernel=b"kernel" * 50, cmdline="quiet")
    outcome = play(guest, keys, attack)
    assert outcome.error is not None
    expected = REFUSED if attack in REFUSED else MISBEHAVING
    assert outcome.error.code == expected[attack]
    status = ExitStatus.REFUSED if attack in REFUSED else ExitStatus.HOST
    assert outcome.error.exit_status is status
    assert not outcome.secret_seen
    assert outcome.error.remedy
    if attack not in ("cloned-launch", "corrupt-packet-reply", "answers-late"):
        assert outcome.packets == 0
    if outcome.secret_in_guest:
        # Only after everything verified: the answer was lost, not the secret.
        assert outcome.launch.status("measurement").state is StepState.DONE


def test_an_observer_sees_each_step_begin_and_end(keys: PlatformKeys) -> None:
    seen: list[tuple[str, StepState]] = []

    def observe(launch: Launch) -> None:
        for status in launch.statuses():
            if status.state in (StepState.BUSY, StepState.DONE):
                pair = (status.step.id, status.state)
                if pair not in seen:
                    seen.append(pair)

    asyncio.run(rehearse(RehearsedGuest(vcpus=ES_GUEST), observe, keys=keys))
    expected = [(step.id, state) for step in LAUNCH_STEPS for state in _BEGIN_AND_END]
    assert seen == expected


def test_a_waived_weak_policy_is_recorded_with_its_reason(keys: PlatformKeys) -> None:
    weak = approve_policy(parse_policy("0x5"), "an old guest that must be moved off")
    outcome = play(RehearsedGuest(vcpus=ES_GUEST, policy=weak), keys)
    assert outcome.error is None
    assert outcome.launch.status("guest").state is StepState.WAIVED
    assert outcome.launch.waivers == {"guest": "an old guest that must be moved off"}


def test_the_default_policy_needs_no_waiver(keys: PlatformKeys) -> None:
    assert approve_policy(DEFAULT_POLICY).waiver is None
