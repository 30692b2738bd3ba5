# SPDX-License-Identifier: Apache-2.0
"""An older copy of the records is noticed where a keyring remembers the newest state."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import VerificationRefused
from watchword.core.launch.desk import LaunchDesk
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
