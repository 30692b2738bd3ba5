# SPDX-License-Identifier: Apache-2.0
"""Where launches are kept, and what sees to it: one archive for each open desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import VaultError, VerificationRefused
from ..evidence.store import EvidenceStore
from ..ledger.anchor import newest_head
from ..ledger.ledger import Ledger
from ..records.database import Records
from ..vault.vault import Vault
from .conclusion import Notary
from .ledger_marks import LedgerMarks
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
    marks: LedgerMarks
    evidence: EvidenceStore
    notary: Notary
    surroundings: Surroundings

    @classmethod
    def of(cls, records: Records, vault: Vault, surroundings: Surroundings) -> Archive:
        """The archive over these records and this vault."""
        ledger = Ledger(records, surroundings.clock)
        return cls(
            records,
            vault,
            LaunchStore(records),
            RecordSeal(vault, surroundings.random),
            ledger,
            LedgerMarks(ledger),
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

    def note_news(self) -> None:
        """The same as :meth:`note_newest_state`, if anything is newer than what is noted.

        A ledger whose end is damaged is told of, keyring or not; the vault is noted first.
        """
        try:
            head = self.ledger.head()
        except VerificationRefused:
            self.vault.write_anchor()
            raise
        if self.vault.anchor_due or (head and head.text != self.vault.ledger_head):
            self.note_newest_state()

    def note_newest_state(self) -> None:
        """Have the keyring take note of vault and ledger, where there is one.

        What is noted never goes back to an older entry of the ledger, whichever process
        comes last. Raises as ``Vault.write_anchor`` and ``newest_head`` do; the vault is
        noted even where the ledger can't be read.
        """
        try:
            self.vault.write_anchor(lambda noted: newest_head(self.ledger, noted))
        except VerificationRefused:
            self.vault.write_anchor()
            raise

    def note_sealing(self) -> None:
        """The same, once keys have made room for a packet: nothing is sent without it.

        From then on an older vault that still has the keys is known for what it is, so
        that no second packet is sealed. Raises VaultError ``sealing-not-noted``, and
        VerificationRefused ``ledger-rolled-back``. Where no keyring is used there is
        nothing to be noted: the desk says that a rollback is not detectable.
        """
        try:
            self.note_newest_state()
        except VaultError as error:
            raise _not_noted(error) from None


def _not_noted(error: VaultError) -> VaultError:
    return VaultError(
        "sealing-not-noted",
        "The packet is sealed but not sent: the keyring did not take note of it",
        f"{error.title}. {error.message}",
        "Nothing is lost. Unlock the keyring and take the launch up again: the same packet is"
        " sent then.",
        {**error.details, "cause": error.code},
    )
