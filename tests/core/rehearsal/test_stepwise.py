# SPDX-License-Identifier: Apache-2.0
"""A rehearsal step by step: nothing goes further than asked, and nothing verified is kept."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from watchword.core.errors import HostError, UsageError, VerificationRefused
from watchword.core.hosts.limits import HostLimits
from watchword.core.launch.engine import Launch, StepState
from watchword.core.launch.sev_steps import LAUNCH_STEPS
from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.stepwise import RehearsalRun, host_behaviours
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.simulator import ATTACKS, PlatformKeys

STEPS = [step.id for step in LAUNCH_STEPS]


def guest(vcpus: int = 2) -> RehearsedGuest:
    return RehearsedGuest(vcpus=VcpuSetup(vcpus, parse_cpu("EPYC-Milan")))


@pytest.fixture(scope="module")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


@pytest.fixture(autouse=True)
def _nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert list(Path(folder).iterdir()) == []


def on_stage(
    keys: PlatformKeys, act: Callable[[RehearsalRun], Awaitable[None]], **arguments: object
) -> list[Launch]:
    """Let ``act`` play; what the observer saw comes back."""
    seen: list[Launch] = []

    async def whole() -> None:
        async with asyncio.timeout(60):
            async with RehearsalRun(guest(), seen.append, keys=keys, **arguments) as run:
                await act(run)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())
    return seen


def state(run: RehearsalRun, step: str) -> StepState:
    return run.launch.status(step).state


def test_each_call_takes_the_steps_that_were_asked_for_and_no_more(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        for number, step in enumerate(STEPS):
            await run.run(until=step)
            settled = [s.step.id for s in run.launch.statuses() if s.settled]
            assert settled == STEPS[: number + 1]
            assert run.what_happened().packets == (step in ("secret", "run"))
        assert run.launch.complete
        assert run.launch.simulated

    seen = on_stage(keys, act)
    assert seen[-1].complete


def test_the_launch_can_be_shown_before_there_is_a_host() -> None:
    run = RehearsalRun(guest(), lambda _: None)
    assert run.launch.status("guest").state is StepState.READY
    assert run.material is None


def test_without_its_context_no_step_is_taken() -> None:
    with pytest.raises(UsageError, match="outside its context"):
        asyncio.run(RehearsalRun(guest(), lambda _: None).run())


def test_the_hosts_files_are_known_from_the_session_on(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        await run.run(until="platform")
        assert run.material is None
        await run.run(until="session")
        assert run.material is not None

    on_stage(keys, act)


def test_a_changed_answer_makes_later_steps_stale_and_the_next_call_begins_again(
    keys: PlatformKeys,
) -> None:
    async def act(run: RehearsalRun) -> None:
        await run.run(until="measurement")
        before = run.launch.facts["session"]
        run.change(guest(vcpus=4))
        assert state(run, "measurement") is StepState.STALE
        assert state(run, "platform") is StepState.DONE
        await run.run()
        assert run.launch.complete
        assert run.launch.facts["session"] != before, "a launch blob is for one launch"

    on_stage(keys, act)


def test_after_a_refusal_a_new_call_refuses_again(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        for _ in range(2):
            with pytest.raises(VerificationRefused):
                await run.run()
            assert state(run, "measurement") is StepState.FAILED
            assert run.what_happened().packets == 0

    on_stage(keys, act, attack="wrong-firmware")


def test_a_cancelled_call_erases_the_keys_and_leaves_no_mark(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        task = asyncio.ensure_future(run.run())
        while state(run, "platform") is not StepState.BUSY:  # noqa: ASYNC110 - no event to await
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert run.launch.marks == {}

    on_stage(keys, act, attack="silence")


def test_a_secret_that_did_not_arrive_fails_the_last_step(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        with pytest.raises(HostError) as refusal:
            await run.run()
        assert refusal.value.code == "secret-not-arrived"
        assert state(run, "run") is StepState.FAILED
        assert state(run, "secret") is StepState.DONE

    on_stage(keys, act, attack="says-injected-but-not")


def test_the_time_limits_are_those_that_were_given(keys: PlatformKeys) -> None:
    async def act(run: RehearsalRun) -> None:
        with pytest.raises(HostError) as failure:
            await run.run()
        assert failure.value.code == "host-timeout"

    on_stage(keys, act, attack="silence", limits=HostLimits(command_seconds=0.2))


def test_every_attack_and_the_honest_host_are_listed_with_a_sentence() -> None:
    listed = host_behaviours()
    assert [one.attack for one in listed] == [None, *(attack.name for attack in ATTACKS)]
    assert all(one.description for one in listed)


def test_an_unknown_attack_is_a_matter_of_usage() -> None:
    with pytest.raises(UsageError):
        RehearsalRun(guest(), lambda _: None, attack="no-such-thing")
