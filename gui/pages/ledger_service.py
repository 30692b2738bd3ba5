# SPDX-License-Identifier: Apache-2.0
"""The ledger as the window has it: read, verified and exported, never written; without Qt.

Every method blocks and opens the records for itself, in whichever thread it is called;
records that are not there are not made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from watchword.core.cli.new_files import NewFile, refuse_existing, write_new_files
from watchword.core.errors import BadInput
from watchword.core.ledger.entries import EntryKind, LedgerEntry
from watchword.core.ledger.heads import LedgerHead, read_head
from watchword.core.ledger.ledger import Ledger
from watchword.core.ledger.verification import KnownHead, LedgerVerdict, verify_entries
from watchword.core.records.database import Records, records_folder

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The newest entries that were asked for.

    ``begun``  whether there is a ledger at all
    ``more``   whether there are older ones of that kind
    """

    begun: bool
    entries: tuple[LedgerEntry, ...] = ()
    more: bool = False


class LedgerService:
    """The ledger in a records folder; the user's own by default."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @contextmanager
    def _opened(self) -> Iterator[Ledger | None]:
        folder = self._folder if self._folder is not None else records_folder()
        if not Records.exists(folder):
            yield None
            return
        with Records.open(folder) as records:
            yield Ledger(records)

    def look(self, launch_id: str = "", kind: EntryKind | None = None) -> LedgerView:
        """The newest entries first, of a launch or a kind if one is given.

        Raises UsageError ``bad-launch-id``, and as Ledger does.
        """
        kinds = None if kind is None else [kind]
        with self._opened() as ledger:
            if ledger is None or ledger.head() is None:
                return LedgerView(begun=False)
            found = ledger.entries(launch_id=launch_id or None, kinds=kinds, newest_first=True)
            entries = tuple(islice(found, MOST_SHOWN + 1))
        return LedgerView(True, entries[:MOST_SHOWN], len(entries) > MOST_SHOWN)

    def verify(self, known: str = "") -> LedgerVerdict:
        """Walk the whole chain; ``known`` is a head from earlier, or the file that it is in.

        Raises VerificationRefused as Ledger.verify, UsageError and BadInput for the head.
        """
        heads = [_known_head(known)] if known else []
        with self._opened() as ledger:
            return verify_entries((), heads) if ledger is None else ledger.verify(heads)

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


def _empty() -> BadInput:
    return BadInput(
        "ledger-empty",
        "the ledger",
        "Nothing was recorded here yet, so there is no entry to write.",
        "Begin a launch first.",
    )
