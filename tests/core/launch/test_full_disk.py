# SPDX-License-Identifier: Apache-2.0
"""Full and read-only disks: the state is intact, and nothing is sent that is not recorded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3

import pytest

from watchword.core.errors import BadInput, VaultError
from watchword.core.launch.record import LaunchState

from .support import (
    SECRET,
    Stage,
    prepared,
)

HOOKS = ("certificates", "session_made", "measured", "verified", "sealed", "handed_over", "running")


@pytest.mark.parametrize("hook", HOOKS)
def test_records_that_cannot_be_written_stop_a_launch_before_anything_is_sent(
    office, keys, hook, monkeypatch
):
    """Each hook meets a full disk once; then there is room again, and the launch goes on."""

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                with full_disk(run, hook), pytest.raises(BadInput) as error:
                    await go_on(run, stage)
                assert error.value.code == "records-not-written"
                assert len(stage.packets) == (hook in ("handed_over", "running"))
                await go_on(run, stage)
            assert stage.holds(SECRET)
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1
            return run.id

    launch_id = asyncio.run(scenario())
    assert office.ledger_kinds(launch_id)[-2:] == ["launch-running", "evidence-made"]


async def go_on(run, stage):
    """To the end, with a VM that is started once."""
    await run.run(until="session")
    if len(stage.servers) == 1:
        await stage.start(run.material)
    await run.run()


@contextlib.contextmanager
def full_disk(run, hook):
    """The disk is full from the moment at which the hook begins."""
    keeper = run._recorder
    records = keeper._archive.records
    honest = getattr(keeper, hook)

    def meets_full_disk(*arguments):
        limit = records._connection.execute("pragma page_count").fetchone()[0]
        records._connection.execute(f"pragma max_page_count={limit}")
        fill_free_pages(records)
        return honest(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, hook, meets_full_disk)
        try:
            yield
        finally:
            records._connection.execute("pragma max_page_count=1073741823")


def fill_free_pages(records):
    """Use up what room there is within the file's present size."""
    with contextlib.suppress(BadInput, sqlite3.IntegrityError):
        for number in range(10_000):
            with records.writing() as connection:
                connection.execute(
                    "insert into launches select ?, guest, technology, simulated, 'abandoned',"
                    " host, waits_for, created, changed, randomblob(?) from launches limit 1",
                    (f"filler-{number}-{os.urandom(4).hex()}", 3000 if number < 50 else 10),
                )


def test_a_read_only_file_keeps_a_launch_from_being_begun(office, keys, monkeypatch):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                desk._archive.records._connection.execute("pragma query_only=on")
                with pytest.raises(BadInput) as error:
                    await run.run(until="session")
                assert error.value.code == "records-not-written"
                desk._archive.records._connection.execute("pragma query_only=off")
                await run.run(until="session")
                assert run.material is not None

    asyncio.run(scenario())


def test_a_vault_that_cannot_be_written_gives_no_blob_away(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="platform")
                with pytest.MonkeyPatch.context() as patch:

                    def full(*arguments, **options):
                        raise VaultError("vault-not-written", "Full", "The disk is full.", "…")

                    patch.setattr(desk._archive.vault, "add_all", full)
                    with pytest.raises(VaultError):
                        await run.run(until="session")
                assert run.material is None
                assert run.record.session is None
                await run.run(until="session")

    asyncio.run(scenario())


def test_a_signing_key_that_cannot_be_kept_does_not_hide_that_the_guest_runs(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="secret")
                with pytest.MonkeyPatch.context() as patch:

                    def full(*arguments, **options):
                        raise VaultError("vault-not-written", "Full", "The disk is full.", "…")

                    patch.setattr(desk._archive.vault, "add", full)
                    with pytest.raises(VaultError):
                        await run.run()
                assert run.record.state is LaunchState.RUNNING
            return launch_id

    kinds = office.ledger_kinds(asyncio.run(scenario()))
    assert kinds[-1] == "launch-running"
