# SPDX-License-Identifier: Apache-2.0
"""Where launches are kept, and what sees to it: one archive for each open desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ..evidence.store import EvidenceStore
from ..ledger.ledger import Ledger
from ..records.database import Records
from ..vault.launch_keys import erase_launch_keys, record_changed
from ..vault.vault import Vault
from .conclusion import Notary
from .record import LaunchRecord, LaunchState
from .record_seal import RecordSeal
from .store import LaunchStore
from .surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Archive:
    """Records and vault, and what is built over them."""

    records: Records
    vault: Vault
    store: LaunchStore
    seal: RecordSeal
    ledger: Ledger
    evidence: EvidenceStore
    notary: Notary
    surroundings: Surroundings

    @classmethod
    def of(cls, records: Records, vault: Vault, surroundings: Surroundings) -> Archive:
        """The archive over these records and this vault."""
        return cls(
            records,
            vault,
            LaunchStore(records),
            RecordSeal(vault, surroundings.random),
            Ledger(records, surroundings.clock),
            EvidenceStore(records, surroundings.clock),
            Notary(vault, surroundings.roots, surroundings.random),
            surroundings,
        )

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.surroundings.clock().astimezone(UTC)

    def timestamp(self) -> str:
        """The time as records have it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def load_record(archive: Archive, launch_id: str) -> LaunchRecord:
    """A launch's record as this vault vouches for it; what a crash left undone is done.

    Keys that have served are erased. Raises VerificationRefused ``launch-record-changed``,
    also where there is a packet without a record of it, or the other way round, and as
    LaunchStore.load and RecordSeal.check do.
    """
    record = archive.seal.check(archive.store.load(launch_id))
    if archive.store.has_packet(launch_id) != (record.packet is not None):
        raise record_changed(launch_id)
    if record.keys_are_gone or record.state is LaunchState.ABANDONED:
        erase_launch_keys(archive.vault, launch_id)
    return record
