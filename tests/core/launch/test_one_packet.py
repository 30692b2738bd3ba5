# SPDX-License-Identifier: Apache-2.0
"""At most one packet is sealed for a launch, whatever dies and whatever is put back meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3

import pytest

from watchword.core.errors import HostError, UsageError, VaultError, VerificationRefused
from watchword.core.launch import recording
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.record import LaunchState
from watchword.core.records.database import Records

from ..vault.support import MemoryBackend
from .support import SECRET, Stage, edit_rows, prepared, state_of
from .test_older_records import AnchoredVault
from .test_sending_again import sealed

SEALING = ("packet-sealed", "packet-in-vault", "sealing-noted", "packet-half-stored")
"""Points before the records have the packet; later ones come after it was stored."""


class KilledError(BaseException):
    """Stands for kill -9: nothing of ours is run after it."""


@contextlib.contextmanager
def killed_at(*names):
    """The process ends when it gets to the point."""

    def passed(name):
        if name in names:
            raise KilledError

    died = False
    with pytest.MonkeyPatch.context() as patch:
        for module in ("recording", "sev_steps", "sev_base"):
            patch.setattr(f"watchword.core.launch.{module}.fault_point", passed)
        try:
            yield
        except KilledError:
            died = True
    assert died


class Keyring:
    """Vault and records of an owner whose keyring remembers; processes that end in any way."""

    def __init__(self, office, stage):
        self.office, self.stage = office, stage
        self.vault = AnchoredVault(office)

    @contextlib.contextmanager
    def desk(self):
        surroundings = self.office.surroundings(self.stage)
        with (
            Records.open(self.office.home) as records,
            self.vault.open() as vault,
            LaunchDesk(records, vault, surroundings) as desk,
        ):
            yield desk

    async def killed(self, launch_id, point):
        """A process that takes the launch on, and dies without closing anything."""
        records, vault = Records.open(self.office.home), self.vault.open()
        desk = LaunchDesk(records, vault, self.office.surroundings(self.stage))
        run = desk.open(launch_id)
        with killed_at(point):
            await run.run()
        run._lock.release()
        records.close()

    async def prepared(self):
        with self.desk() as desk:
            run = desk.new(self.office.order())
            await run.run(until="session")
            await self.stage.start(run.material)
            return run.id, run.material

    @contextlib.contextmanager
    def put_back(self):
        """The home as it is now is what lies there after the block."""
        copy = self.office.home.parent / f"{self.office.home.name}-older"
        shutil.copytree(self.office.home, copy)
        yield
        shutil.rmtree(self.office.home)
        copy.rename(self.office.home)


@pytest.mark.parametrize(
    "point", ["sealing-noted", "packet-stored", "packet-sent", "guest-resumed"]
)
def test_vault_and_records_from_before_the_sealing_are_refused_though_the_process_died(
    office, keys, point
):
    async def scenario():
        async with Stage(keys) as stage:
            home = Keyring(office, stage)
            launch_id, material = await home.prepared()
            with home.put_back():
                await home.killed(launch_id, point)
            before = stage.packets
            await stage.start(material)  # a clone from the same blob
            with pytest.raises(VaultError) as error, home.desk() as desk:
                await desk.open(launch_id).run()
            assert error.value.code == "vault-rolled-back"
            assert stage.packets == before

    asyncio.run(scenario())


def test_a_launch_writes_the_keyring_once_when_it_seals_and_once_at_the_end(
    office, keys, monkeypatch
):
    written = []
    honest = MemoryBackend.set_password

    def counted(backend, service, user, text):
        written.extend([user] if user.endswith("/anchor") else [])
        return honest(backend, service, user, text)

    async def scenario():
        async with Stage(keys) as stage:
            home = Keyring(office, stage)
            launch_id, _ = await home.prepared()
            monkeypatch.setattr(MemoryBackend, "set_password", counted)
            with home.desk() as desk:
                await desk.open(launch_id).run()
            assert len(written) == 2
            with home.desk() as desk:
                assert desk.rollback.value == "checked"
            assert len(written) == 2  # nothing was new

    asyncio.run(scenario())


def test_a_packet_that_the_keyring_took_no_note_of_is_kept_and_not_sent_until_it_does(
    office, keys, monkeypatch
):
    locked = VaultError("keyring-locked", "The keyring is locked", "It is.", "Unlock it.")

    async def scenario():
        async with Stage(keys) as stage:
            home = Keyring(office, stage)
            launch_id, _ = await home.prepared()
            with pytest.MonkeyPatch.context() as patch, home.desk() as desk:
                run = desk.open(launch_id)

                def refuse(*arguments):
                    raise locked

                patch.setattr(desk._archive.vault, "write_anchor", refuse)
                for _ in range(2):
                    with pytest.raises(VaultError) as error:
                        await run.run()
                    assert error.value.code == "sealing-not-noted"
                assert stage.packets == ()
                patch.undo()
            with home.desk() as desk:
                await desk.open(launch_id).run()
            assert stage.holds(SECRET)
            assert len(stage.packets) == 1
            assert office.ledger_kinds(launch_id).count("packet-sealed") == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("point", [*SEALING, "packet-stored"])
def test_a_process_that_dies_while_it_seals_leaves_either_keys_or_the_packet(office, keys, point):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with killed_at(point), office.desk(stage) as desk:
                await desk.open(launch_id).run()
            names = {name.rpartition("/")[2] for name in office.vault_entries()}
            assert ("tek" in names) == (point == "packet-sealed")
            assert ("packet" in names) != ("tek" in names)
            assert ("tik" in names) == ("binding" in names) == ("tek" in names)
            with office.desk(stage) as desk:
                assert (await desk.open(launch_id).run()).complete
            assert stage.holds(SECRET)
            assert not [name for name in office.vault_entries() if name.startswith("launch/")]
            return launch_id

    kinds = office.ledger_kinds(asyncio.run(scenario()))
    assert kinds.count("packet-sealed") == kinds.count("launch-running") == 1


def records_of(office):
    return [path for path in office.home.glob("records.sqlite3*") if path.is_file()]


@pytest.mark.parametrize("point", ["packet-in-vault", "packet-stored"])
def test_records_from_before_the_sealing_do_not_lead_to_a_second_packet(office, keys, point):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            older = {path: path.read_bytes() for path in records_of(office)}
            with killed_at(point), office.desk(stage) as desk:
                await desk.open(launch_id).run()
            for path in records_of(office):
                path.unlink()
            for path, data in older.items():
                path.write_bytes(data)
            with office.desk(stage) as desk:
                await stage.start(desk.show(launch_id).session.material())
                with pytest.raises(VerificationRefused) as error:
                    await desk.open(launch_id).run()
            assert error.value.code == "launch-record-changed"
            assert stage.packets == ()

    asyncio.run(scenario())


def row_of(office, launch_id):
    query = (
        "select document, state, waits_for, changed, host from launches where id = ?",
        (launch_id,),
    )
    with contextlib.closing(sqlite3.connect(office.home / "records.sqlite3")) as file:
        return file.execute(*query).fetchone()


def put_row_back(office, row):
    words = "update launches set document = ?, state = ?, waits_for = ?, changed = ?, host = ?"
    edit_rows(office.home, (words, row))


def test_an_older_document_put_back_under_a_ledger_that_knows_of_the_packet_seals_no_other(
    office, keys
):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="measurement")
            older = row_of(office, launch_id)
            vault = (office.home / "vault" / "secrets.vault").read_bytes()
            with killed_at("packet-stored"), office.desk(stage) as desk:
                await desk.open(launch_id).run()
            edit_rows(office.home, ("delete from packets", ()))
            put_row_back(office, older)
            # Even the keys are there again.
            (office.home / "vault" / "secrets.vault").write_bytes(vault)
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                await desk.open(launch_id).run()
            assert error.value.code == "launch-record-changed"
            assert stage.packets == ()

    asyncio.run(scenario())


def test_nothing_is_sealed_where_the_ledger_has_a_packet_of_this_launch(office, keys, monkeypatch):
    """The last look, right before the keys would go."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="measurement")
                monkeypatch.setattr(
                    recording, "told_in_ledger", lambda *_: {recording.EntryKind.PACKET_SEALED}
                )
                with pytest.raises(UsageError) as error:
                    await run.run()
                assert error.value.code == "already-sealed"
            assert stage.packets == ()
            assert f"launch/{launch_id}/tik" in office.vault_entries()

    asyncio.run(scenario())


def test_an_abandoned_launch_whose_guest_is_stopped_stays_abandoned(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sealed(office, stage)
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "enough of it")
            with office.desk(stage) as desk:
                await desk.stop(launch_id)
                assert desk.show(launch_id).state is LaunchState.ABANDONED
            with office.desk(stage) as desk, pytest.raises(UsageError) as error:
                desk.open(launch_id)
            assert error.value.code == "launch-abandoned"
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_an_older_document_of_an_abandoned_launch_sends_nothing(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await sealed(office, stage)
            older = row_of(office, launch_id)
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "enough of it")
            put_row_back(office, older)
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                desk.open(launch_id)
            assert error.value.code == "launch-record-changed"
            assert len(stage.packets) == 1

    asyncio.run(scenario())


# -- the VM at the moment of sealing -----------------------------------------------------


def test_nothing_is_sealed_for_a_vm_that_was_let_run_since_it_was_measured(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="measurement")
                stage.machine.resume()
                with pytest.raises(HostError) as error:
                    await run.run()
                assert error.value.code == "guest-state-forbids"
                assert run.record.packet is None
            assert f"launch/{launch_id}/tik" in office.vault_entries()
            assert state_of(office, launch_id) is LaunchState.VERIFIED
            assert "packet-sealed" not in office.ledger_kinds(launch_id)

    asyncio.run(scenario())


def test_nothing_is_sealed_for_a_vm_that_was_started_anew_since_it_was_measured(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="measurement")
                await stage.start(run.material)
                with pytest.raises(VerificationRefused) as error:
                    await run.run()
                assert error.value.code == "another-vm"
                assert run.record.packet is None
                assert stage.packets == ()
                # The one that is there now is measured anew, and gets it.
                assert (await run.run()).complete
            assert stage.holds(SECRET)

    asyncio.run(scenario())
