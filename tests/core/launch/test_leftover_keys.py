# SPDX-License-Identifier: Apache-2.0
"""Keys of launches that ended do not stay: not after a crash, a restore, or a stop."""

from __future__ import annotations

import asyncio
import gc

import pytest

from watchword.core.errors import UsageError, VaultError
from watchword.core.launch import abandoning
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.record import LaunchState
from watchword.core.records.database import Records
from watchword.core.sev.session import LaunchSession
from watchword.core.vault.header import OpenWith
from watchword.core.vault.vault import Vault

from .support import Stage, edit_document, passphrase_way, prepared, state_of
from .test_one_packet import KilledError, killed_at


def keys_of(office, launch_id):
    return sorted(name for name in office.vault_entries() if f"/{launch_id}/" in name)


def killed_abandoning(office, stage, launch_id):
    """The launch is abandoned, and the process dies before the keys are erased."""

    def die(name):
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(abandoning, "fault_point", die)
        with pytest.raises(KilledError), office.desk(stage) as desk:
            desk.abandon(launch_id, "enough of it")


@pytest.mark.parametrize("changed", [False, True], ids=["intact", "changed"])
def test_an_abandoning_that_was_killed_is_made_good_by_whatever_comes_next(office, keys, changed):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            if changed:
                edit_document(office.home, launch_id, lambda record: record.update(host=""))
            killed_abandoning(office, stage, launch_id)
            assert keys_of(office, launch_id)
            other = await prepared(office, stage)
            assert keys_of(office, launch_id) == []
            assert keys_of(office, other)

    asyncio.run(scenario())


def test_keys_that_an_older_vault_brings_back_are_erased_again(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            older = (office.home / "vault" / "secrets.vault").read_bytes()
            with office.desk(stage) as desk:
                await desk.open(launch_id).run()
            (office.home / "vault" / "secrets.vault").write_bytes(older)
            assert keys_of(office, launch_id)
            await prepared(office, stage)
            assert keys_of(office, launch_id) == []

    asyncio.run(scenario())


def test_keys_of_launches_that_go_on_are_left_alone(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            prepared_only = await prepared(office, stage)
            verified = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(verified).run(until="measurement")
            with office.desk(stage) as desk:
                assert desk.rollback
                assert desk.stray_keys.unknown == desk.stray_keys.unfinished == ()
            for launch_id in (prepared_only, verified):
                assert len(keys_of(office, launch_id)) == 3

    asyncio.run(scenario())


def test_keys_that_another_process_works_with_are_left_alone(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            killed_abandoning(office, stage, launch_id)
            with office.desk(stage) as desk:
                lock = desk._lock(launch_id)
                with office.desk(stage) as other:
                    assert other.rollback
                assert keys_of(office, launch_id)
                lock.release()

    asyncio.run(scenario())


def test_keys_without_a_launch_are_told_of_and_kept(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            unknown = await prepared(office, stage)
            for path in office.home.glob("records.sqlite3*"):
                path.unlink()
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                with killed_at("session-keys-in-vault"):
                    await run.run(until="session")
            with office.desk(stage) as desk:
                assert desk.rollback
                assert desk.stray_keys.unknown == (unknown,)
                assert desk.stray_keys.unfinished == (run.id,)
            assert len(keys_of(office, unknown)) == 3
            with office.desk(stage) as desk:
                desk.abandon(run.id, "never mind")
                assert desk.stray_keys.unfinished == ()

    asyncio.run(scenario())


@pytest.mark.parametrize("until", ["session", "measurement"])
def test_stopping_a_guest_that_never_ran_does_not_end_its_launch(office, keys, until):
    """It would be over, with its keys in the vault for good."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until=until)
            before = state_of(office, launch_id)
            with office.desk(stage) as desk:
                await desk.stop(launch_id)
                assert desk.show(launch_id).state is before
                assert [one.id for one in desk.list(only_open=True)] == [launch_id]
            assert office.ledger_kinds(launch_id)[-1] == "guest-stopped"
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "enough of it")
            assert keys_of(office, launch_id) == []

    asyncio.run(scenario())


def test_a_launch_is_not_abandoned_with_a_vault_that_does_not_have_its_keys(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            Vault.create(office.home / "other", passphrase_way()).close()
            ways = {OpenWith.PASSPHRASE: passphrase_way()}
            surroundings = office.surroundings(stage)
            with (
                Records.open(office.home) as records,
                Vault.open(office.home / "other", ways) as vault,
                LaunchDesk(records, vault, surroundings) as desk,
            ):
                with pytest.raises(UsageError) as error:
                    desk.abandon(launch_id, "the host was reinstalled")
                assert error.value.code == "launch-of-another-vault"
            assert state_of(office, launch_id) is LaunchState.PREPARED
            assert "launch-abandoned" not in office.ledger_kinds(launch_id)

    asyncio.run(scenario())


def test_a_record_that_was_changed_to_name_another_vault_does_not_save_the_keys(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            edit_document(office.home, launch_id, lambda record: record.update(vault_id="00" * 16))
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "the records were changed")
            assert keys_of(office, launch_id) == []

    asyncio.run(scenario())


def test_keys_in_memory_are_wiped_whatever_ends_a_run(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)

            def observe(launch):
                if "measurement" in launch.facts:
                    raise BrokenPipeError

            with office.desk(stage) as desk, pytest.raises(BrokenPipeError) as caught:
                await desk.open(launch_id, observe).run()
            found = [one for one in gc.get_objects() if isinstance(one, LaunchSession)]
            assert all(one.over for one in found)
            del caught

    asyncio.run(scenario())


def test_a_vault_that_can_not_be_written_now_does_not_stop_other_work(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            killed_abandoning(office, stage, launch_id)

            def busy(*names):
                raise VaultError("vault-busy", "Busy", "The vault is in use.", "Wait.")

            with pytest.MonkeyPatch.context() as patch, office.desk(stage) as desk:
                patch.setattr(desk._archive.vault, "remove", busy)
                desk.new(office.order()).close()
            assert keys_of(office, launch_id)

    asyncio.run(scenario())
