# SPDX-License-Identifier: Apache-2.0
"""The ledger as the window has it: read, verified, searched and exported; without Qt.

Every method blocks and opens the records for itself, in whichever thread it is called;
records that are not there are not made, but by the acceptance of an older copy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword.core.cli.new_files import NewFile, refuse_existing, write_new_files
from watchword.core.errors import BadInput, UsageError
from watchword.core.files import read_chunks
from watchword.core.ledger.anchor import RollbackVerdict, check_anchor
from watchword.core.ledger.entries import EntryKind, LedgerEntry
from watchword.core.ledger.heads import LedgerHead, read_head
from watchword.core.ledger.ledger import Ledger
from watchword.core.ledger.verification import KnownHead, LedgerVerdict, verify_entries
from watchword.core.records.database import Records, records_folder

from .vault_service import VaultService

if TYPE_CHECKING:
    from watchword.core.ledger.affected import Affected

MOST_SHOWN = 200
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The newest entries that were asked for.

    ``begun``  whether there is a ledger at all
    ``more``   whether there are older ones of that kind
    ``newer``  whether newer ones were left out, for the one that was asked for to be seen
    """

    begun: bool
    entries: tuple[LedgerEntry, ...] = ()
    more: bool = False
    newer: bool = False


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What a walk over the whole ledger found, and what the keyring's note says, if asked."""

    verdict: LedgerVerdict
    rollback: RollbackVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What became known to be weak, as it was filled in; empty for what was not.

    ``firmware``  a file, or its SHA-256 in hex
    ``entry``     an entry of the vault
    """

    cek: str = ""
    generation: str = ""
    firmware: str = ""
    build: str = ""
    advisory: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The entry that an older copy was accepted with, and the launches it calls open."""

    entry: LedgerEntry
    open_launches: tuple[str, ...]


class LedgerService:
    """The ledger in a records folder; the user's own by default.

    ``vaults``  the window's vault, whose keyring has noted the newest head
    """

    def __init__(self, folder: Path | None = None, vaults: VaultService | None = None) -> None:
        self._folder = folder
        self.vaults = vaults

    @property
    def folder(self) -> Path:
        """Where the records are, or will be."""
        return self._folder if self._folder is not None else records_folder()

    @contextmanager
    def _opened(self) -> Iterator[Ledger | None]:
        if not Records.exists(self.folder):
            yield None
            return
        with Records.open(self.folder) as records:
            yield Ledger(records)

    def look(
        self, launch_id: str = "", kind: EntryKind | None = None, around: int | None = None
    ) -> LedgerView:
        """The newest entries first, of a launch or a kind if one is given.

        With ``around``, an entry's number, those near it. Raises UsageError ``bad-launch-id``
        and ``entry-missing``, and as Ledger does.
        """
        kinds = None if kind is None else [kind]
        with self._opened() as ledger:
            head = None if ledger is None else ledger.head()
            if ledger is None or head is None:
                return LedgerView(begun=False)
            if around is not None and not 1 <= around <= head.sequence:
                raise _no_entry(around)
            newest = head.sequence if around is None else around + MOST_SHOWN // 2
            found = ledger.entries(launch_id=launch_id or None, kinds=kinds, newest_first=True)
            if newest < head.sequence:
                found = dropwhile(lambda entry: entry.sequence > newest, found)
            entries = tuple(islice(found, MOST_SHOWN + 1))
        more = len(entries) > MOST_SHOWN
        return LedgerView(True, entries[:MOST_SHOWN], more, newest < head.sequence)

    def verify(self, known: str = "", *, anchor: bool = False) -> LedgerCheck:
        """Walk the whole chain; ``known`` is a head from earlier, or the file that it is in.

        With ``anchor`` it is held against the head that the keyring has noted, too. Raises
        VerificationRefused as Ledger.verify and check_anchor, UsageError and BadInput for the
        head, VaultError as VaultService.opened.
        """
        heads = [_known_head(known)] if known else []
        with self._opened() as ledger:
            verdict = verify_entries((), heads) if ledger is None else ledger.verify(heads)
            rollback = None
            if anchor and self.vaults is not None:
                with self.vaults.opened() as vault:
                    rollback = check_anchor(ledger, vault.ledger_head)
        return LedgerCheck(verdict, rollback)

    def affected(self, sought: Sought) -> Affected:
        """The launches and secrets that a weakness concerns.

        Raises UsageError as Criteria.parse does, BadInput for a firmware file.
        """
        from watchword.core.ledger.affected import affected  # noqa: PLC0415 - reads AMD's roots

        firmware = _firmware_hash(sought.firmware)
        with self._opened() as ledger:
            return affected(
                ledger,
                cek=sought.cek or None,
                generation=sought.generation or None,
                firmware=firmware,
                build=sought.build or None,
                advisory=sought.advisory or None,
                entry=sought.entry or None,
            )

    def accept_older(self, reason: str) -> Accepted:
        """Go on with an older copy of the records; the keyring takes note of it.

        Raises as ``accept_older`` of the core does, VaultError as VaultService.opened.
        """
        from watchword.core.launch.store import LaunchStore  # noqa: PLC0415 - for this rare moment
        from watchword.core.ledger.acceptance import (  # noqa: PLC0415 - as above
            accept_older,
            no_older_copy,
        )

        if self.vaults is None:
            raise no_older_copy()
        with self.vaults.opened() as vault:
            anchor = vault.ledger_head
            if anchor is None:
                raise no_older_copy()
            with Records.open(self.folder) as records:
                entry = accept_older(Ledger(records), anchor, reason)
                vault.write_anchor(LedgerHead(entry.sequence, entry.hash).text)
                left = tuple(one.id for one in LaunchStore(records).list(only_open=True))
        return Accepted(entry, left)

    def export(self, path: str) -> LedgerVerdict:
        """Write all entries to a new file, as lines of JSON with their hashes.

        Raises VerificationRefused where the chain does not hold, BadInput ``ledger-empty``,
        ``file-exists`` or ``file-not-written``.
        """
        out = Path(path)
        refuse_existing([out], "the file", "Name a new file.")
        lines = bytearray()
        with self._opened() as ledger:
            verdict = None if ledger is None else ledger.export(lines.extend)
        if verdict is None or verdict.head is None:
            raise _empty()
        write_new_files([NewFile(out, memoryview(lines), "the file")])
        return verdict

    def export_head(self, path: str) -> LedgerHead:
        """Write the newest entry's number and hash to a new file, to be kept elsewhere."""
        out = Path(path)
        refuse_existing([out], "the file", "Name a new file; older heads are worth keeping.")
        with self._opened() as ledger:
            exported = None if ledger is None else ledger.exported_head()
        if exported is None:
            raise _empty()
        write_new_files([NewFile(out, exported.build(), "the file")])
        return exported.head


def _known_head(text: str) -> KnownHead:
    if LedgerHead.is_text(text):
        return LedgerHead.parse(text)
    return read_head(Path(text), "the head from earlier")


def _firmware_hash(text: str) -> str | None:
    """The SHA-256 of a file; one that is given already stays as it is."""
    if not text or _HASH.fullmatch(text):
        return text or None
    digest = hashlib.sha256()
    for chunk in read_chunks(text, "the firmware"):
        digest.update(chunk)
    return digest.hexdigest()


def _no_entry(sequence: int) -> UsageError:
    return UsageError(
        "entry-missing",
        "There is no such entry",
        f"The ledger has no entry {sequence}.",
        "Look at the whole ledger; if an entry is missing, verify it.",
    )


def _empty() -> BadInput:
    return BadInput(
        "ledger-empty",
        "the ledger",
        "Nothing was recorded here yet, so there is no entry to write.",
        "Begin a launch first.",
    )
