# SPDX-License-Identifier: Apache-2.0
"""An older copy of the records is noticed where a keyring remembers the newest state."""

from __future__ import annotations

import asyncio
import contextlib
import shutil

import pytest

from watchword.core.errors import VerificationRefused, WatchwordError
from watchword.core.launch.desk import LaunchDesk
from watchword.core.ledger.acceptance import accept_older
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault

from ..vault.support import MemoryBackend, keyring_ways, memory_access
from .support import (
    Stage,
    add_secret,
    edit_rows,
)


def test_an_older_copy_of_the_records_is_noticed_where_a_keyring_remembers(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            records, vault = Records.open(office.home), AnchoredVault(office)
            with (
                records,
                vault.open() as first,
                LaunchDesk(records, first, office.surroundings(stage)) as desk,
            ):
                run = desk.new(office.order())
                await run.run(until="session")
            assert vault.backend.items
            with (
                Records.open(office.home) as records,
                vault.open() as second,
                LaunchDesk(records, second, office.surroundings(stage)) as desk,
            ):
                assert desk.rollback.value == "checked"
                desk.open(run.id)
            # No entry is left of what the keyring remembers.
            edit_rows(office.home, ("delete from ledger where sequence > 1", ()))
            with (
                Records.open(office.home) as records,
                vault.open() as third,
                LaunchDesk(records, third, office.surroundings(stage)) as desk,
            ):
                with pytest.raises(VerificationRefused) as error:
                    desk.open(run.id)
                assert error.value.code == "ledger-rolled-back"
                assert len(desk.list()) == 1

    asyncio.run(scenario())


@contextlib.contextmanager
def anchored_desk(office, vault, stage):
    """A desk as a new process has it, over the vault with a keyring."""
    with (
        Records.open(office.home) as records,
        vault.open() as opened,
        LaunchDesk(records, opened, office.surroundings(stage)) as desk,
    ):
        yield desk


async def put_back(office, vault, stage, *, records_too=True):
    """A launch that is complete, and then the records are those from before it was completed."""
    with anchored_desk(office, vault, stage) as desk:
        run = desk.new(office.order())
        await run.run(until="session")
        await stage.start(run.material)
    copy = office.home / "copy"
    copy.mkdir()
    for path in office.home.glob("records.sqlite3*"):
        shutil.copy(path, copy)
    with anchored_desk(office, vault, stage) as desk:
        await desk.open(run.id).run()
    for path in office.home.glob("records.sqlite3*"):
        path.unlink()
    for path in copy.iterdir() if records_too else ():
        shutil.copy(path, office.home)
    return run.id


def test_with_an_older_copy_guests_are_stopped_and_looked_at_and_launches_given_up(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            vault = AnchoredVault(office)
            launch_id = await put_back(office, vault, stage)
            with anchored_desk(office, vault, stage) as desk:
                assert (await desk.status(launch_id)).state.running
                await desk.stop(launch_id)
            assert stage.machine.run_state == "paused"
            with anchored_desk(office, vault, stage) as desk:
                desk.abandon(launch_id, "it is an older copy")
            # That was no acceptance: nothing can be begun or taken on all the same.
            with anchored_desk(office, vault, stage) as desk:
                for act in (lambda: desk.new(office.order()), lambda: desk.open(launch_id)):
                    with pytest.raises(VerificationRefused) as error:
                        act()
                    assert error.value.code == "ledger-rolled-back"
                    assert "ledger accept-older" in error.value.remedy

    asyncio.run(scenario())


@pytest.mark.parametrize("records_too", [True, False], ids=["older", "gone"])
def test_launches_begin_again_once_an_older_copy_is_accepted(office, keys, records_too):
    async def scenario():
        async with Stage(keys) as stage:
            vault = AnchoredVault(office)
            launch_id = await put_back(office, vault, stage, records_too=records_too)
            with Records.open(office.home) as records, vault.open() as opened:
                accept_older(Ledger(records), opened.ledger_head, "the disk died")
                head = Ledger(records).head()
                assert opened.write_anchor(head.text)
            with anchored_desk(office, vault, stage) as desk:
                run = desk.new(office.order())
                await run.run(until="session")
                await stage.start(run.material)
                await run.run()
                assert stage.holds()
                if records_too:
                    # Its packet was sealed: the vault, which is the newest one, knows.
                    with pytest.raises(WatchwordError):
                        await desk.open(launch_id).run()
            with Records.open(office.home) as records:
                kinds = [entry.kind.value for entry in Ledger(records).entries()]
            assert "rollback-accepted" in kinds

    asyncio.run(scenario())


def test_the_process_that_looked_first_and_notes_last_does_not_take_a_newer_head_back(
    office, keys, monkeypatch
):
    async def scenario():
        async with Stage(keys) as stage:
            vault, surroundings = AnchoredVault(office), office.surroundings(stage)

            def another_process(launch_id):
                with (
                    Records.open(office.home) as records,
                    vault.open() as quick,
                    LaunchDesk(records, quick, surroundings) as desk,
                ):
                    desk.abandon(launch_id, "meanwhile")

            with Records.open(office.home) as records, vault.open() as slow:
                desk = LaunchDesk(records, slow, surroundings)
                run = desk.new(office.order())
                await run.run(until="session")
                honest = slow.write_anchor

                def overtaken(head=None):
                    monkeypatch.setattr(slow, "write_anchor", honest)
                    another_process(run.id)
                    return honest(head)

                monkeypatch.setattr(slow, "write_anchor", overtaken)
                desk.close()
            with Records.open(office.home) as records, vault.open() as last:
                assert last.ledger_head == Ledger(records).head().text

    asyncio.run(scenario())


def test_records_that_were_put_back_under_an_open_desk_are_not_noted_as_the_newest(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            vault = AnchoredVault(office)
            with Records.open(office.home) as records, vault.open() as first:
                desk = LaunchDesk(records, first, office.surroundings(stage))
                await desk.new(office.order()).run(until="session")
                desk.close()
                again = LaunchDesk(records, first, office.surroundings(stage))
                again.abandon(again.list()[0].id, "enough of it")
                edit_rows(office.home, ("delete from ledger where sequence > 1", ()))
                with pytest.raises(VerificationRefused) as error:
                    again.close()
                assert error.value.code == "ledger-rolled-back"
            with vault.open() as last:
                assert last.ledger_head.startswith("2:")

    asyncio.run(scenario())


class AnchoredVault:
    """A vault that opens with a keyring in memory, which outlives it."""

    def __init__(self, office):
        self.backend = MemoryBackend()
        self.folder = office.home / "keyring-vault"
        self._ways = lambda: keyring_ways(memory_access(self.backend))
        (way,) = self._ways().values()
        with Vault.create(self.folder, way) as vault:
            add_secret(vault, kind=EntryKind.TEST_SECRET)

    def open(self):
        return Vault.open(self.folder, self._ways())
