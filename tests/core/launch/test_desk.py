# SPDX-License-Identifier: Apache-2.0
"""Recorded launches from the order to the running guest, and what they leave behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from watchword.core.errors import (
    BadInput,
    UsageError,
    VaultError,
)
from watchword.core.launch.engine import StepState
from watchword.core.launch.record import LaunchState

from .support import (
    ENTRY,
    SECRET,
    Stage,
    make_profile,
    open_vault,
    outcome_of,
    prepared,
    state_of,
)

WHOLE = [
    "launch-prepared",
    "measurement-verified",
    "packet-sealed",
    "secret-handed-over",
    "launch-running",
    "evidence-made",
]


# -- the whole way ---------------------------------------------------------------------


def test_a_launch_prepared_and_completed_by_two_processes_hands_the_secret_over(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            assert f"launch/{launch_id}/tik" in office.vault_entries()
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                launch = await run.run()
                assert launch.complete
                assert "confirmed" in str(launch.facts["run"].record["running"])
            assert stage.holds(SECRET)
            assert len(stage.packets) == 1
            return launch_id

    launch_id = asyncio.run(scenario())
    assert office.ledger_kinds(launch_id) == WHOLE
    assert state_of(office, launch_id) is LaunchState.RUNNING
    assert not [name for name in office.vault_entries() if name.startswith("launch/")]
    assert office.files_with(SECRET) == []
    assert sorted(path.name for path in (office.home / "locks").iterdir()) == []


def test_a_launch_that_is_run_in_one_go_leaves_the_same_record(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="session")
                await stage.start(run.material)
                await run.run()
            assert stage.holds(SECRET)
            return run.id

    assert office.ledger_kinds(asyncio.run(scenario())) == WHOLE


def test_the_document_of_a_launch_says_what_was_verified_and_names_the_secret_alone(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            return launch_id

    predicate = outcome_of(office, asyncio.run(scenario())).predicate
    assert predicate.outcome == "running"
    assert [secret.entry for secret in predicate.secrets] == [ENTRY]
    assert predicate.packet.handed_over == "host-says"
    assert predicate.report is not None


def test_stopping_after_the_verdict_sends_nothing_and_the_launch_can_go_on_later(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            for _ in range(2):
                with office.desk(stage) as desk:
                    run = desk.open(launch_id)
                    await run.run(until="measurement")
                    await run.run(until="measurement")  # nothing is left to be done until then
            assert stage.packets == ()
            assert state_of(office, launch_id) is LaunchState.VERIFIED
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_a_profile_without_secrets_is_verified_and_let_run_and_leaves_no_keys(office, keys):
    office.profile = make_profile(office.firmware, secrets={})

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            assert stage.packets == ()
            assert stage.machine.run_state == "running"
            with office.desk(stage) as desk:
                assert (await desk.open(launch_id).run()).complete
            return launch_id

    launch_id = asyncio.run(scenario())
    assert state_of(office, launch_id) is LaunchState.RUNNING
    assert not [name for name in office.vault_entries() if name.startswith("launch/")]


def test_nothing_of_what_was_established_earlier_counts_in_a_new_process(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                assert run.launch.facts == {}
                assert run.record.launch().status("session").state is StepState.DONE

    asyncio.run(scenario())


def test_one_of_many_approved_launches_under_sev_es_is_told_apart_and_confirmed(office, keys):
    """Hundreds of digests are approved: all are recorded, and only some are told at length."""
    approved = {"technology": "sev-es", "policy": "default", "vcpus": "1-100"}
    office.profile = make_profile(office.firmware, cpu=["EPYC-Milan"], **approved)
    policy = office.profile.policy.value

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="session")
                await stage.start(run.material, policy=policy, vcpus=7)
            with office.desk(stage) as desk:
                run = desk.open(run.id)
                assert (await run.run()).complete
                record = run.record
                assert record.technology == "sev-es"
                assert len(record.launch_digests) == 200
                assert record.matched_digest in record.launch_digests
                told = record.launch().facts["guest"].record
                assert (len(told["launch_digests"]), told["more_digests"]) == (64, 200)
            assert stage.holds(SECRET)
            return run.id

    contents = outcome_of(office, asyncio.run(scenario())).predicate.contents
    assert contents.vcpus.count == 7


# -- orders ----------------------------------------------------------------------------


def test_a_changed_file_is_loud_before_anything_is_recorded(office):
    office.firmware.write_bytes(office.firmware.read_bytes()[:-1] + b"x")
    with office.desk() as desk:
        with pytest.raises(BadInput) as error:
            desk.new(office.order())
        assert error.value.code == "approved-file-changed"
        assert desk.list() == ()


def test_an_order_without_any_host_is_refused(office):
    profile = office.profile.model_copy(update={"host": None})
    with office.desk() as desk, pytest.raises(UsageError) as error:
        desk.new(office.order(profile=profile))
    assert error.value.code == "no-host"


def test_a_launch_from_files_needs_its_host_only_when_it_is_completed(office, keys):
    profile = office.profile.model_copy(update={"host": None})

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk() as desk:
                run = desk.new(office.order(profile=profile, ask_host=False))
                await run.run(until="session")
                await stage.start(run.material)
            with office.desk(stage) as desk, pytest.raises(UsageError) as error:
                await desk.open(run.id).run()
            assert error.value.code == "no-host"
            with office.desk(stage) as desk:
                await desk.open(run.id, host="qmp+unix:///run/vm1.sock").run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_a_secret_that_the_vault_lacks_is_missed_before_anything_is_recorded(office):
    with open_vault(office.home) as vault:
        vault.remove(ENTRY)
    with office.desk() as desk:
        with pytest.raises(VaultError) as error:
            desk.new(office.order())
        assert error.value.code == "entry-missing"
        assert desk.list() == ()


def test_keys_of_watchwords_own_are_no_secrets_for_guests(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage, start=False)
            entry = f"launch/{launch_id}/tik"
            profile = make_profile(office.firmware, secrets={"disk-passphrase": entry})
            with office.desk(stage) as desk, pytest.raises(VaultError) as error:
                desk.new(office.order(profile=profile))
            assert error.value.code == "entry-not-for-guests"

    asyncio.run(scenario())


def test_a_profile_with_other_secrets_later_does_not_change_what_was_ordered(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            office.profile = replace_secrets(office)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run()
                assert [note["entry"] for note in run.record.packet.secrets] == [ENTRY]

    asyncio.run(scenario())


def replace_secrets(office):
    return make_profile(office.firmware, secrets={"kata-bundle": "other"})


def test_launch_ids_tell_the_guest_and_the_day(office):
    with office.desk() as desk:
        run = desk.new(office.order())
        assert run.id.startswith("vm1-20261123-")
        profile = office.profile.model_copy(update={"name": "v" * 63 + "1"})
        longest = desk.new(office.order(profile=profile))
        assert len(longest.id) <= 64


def test_the_steps_of_a_run_are_told_as_they_come(office, keys):
    told = []

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order(), told.append)
                await run.run(until="session")

    asyncio.run(scenario())
    done = [s.step.id for s in told[-1].statuses() if s.state is StepState.DONE]
    assert done == ["guest", "platform", "session"]
    assert replace(told[-1]) == told[-1]
