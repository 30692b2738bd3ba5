# SPDX-License-Identifier: Apache-2.0
"""Which launches the ledger calls sealed or abandoned, without reading all of it for each."""

from __future__ import annotations

from typing import Final

from ..errors import VerificationRefused
from ..ledger.entries import EntryKind
from ..ledger.ledger import Ledger

FINAL: Final = (EntryKind.PACKET_SEALED, EntryKind.LAUNCH_ABANDONED)
"""After these a launch's keys are gone for good."""


class LedgerMarks:
    """The final entries of all launches, as this process has read them so far.

    Entries are never changed or removed: what was read once is not forgotten, whatever
    becomes of the file, and each look reads only what was appended since. Where an entry
    is damaged, each launch is looked for by itself, so that the others can go on.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, frozenset[EntryKind]] = {}
        self._read = 0
        self._damaged = False

    def of(self, launch_id: str) -> frozenset[EntryKind]:
        """Which of :data:`FINAL` the ledger has of it. VerificationRefused ``ledger-broken``."""
        self._read_on()
        known = self._known.get(launch_id, frozenset())
        if self._damaged:
            entries = self._ledger.entries(launch_id=launch_id, kinds=FINAL)
            known |= frozenset(entry.kind for entry in entries)
        return known

    def _read_on(self) -> None:
        if self._damaged:
            return
        last = self._ledger.last_sequence()
        # A ledger that became shorter is another copy: all that was appended to it counts.
        after = self._read if last >= self._read else 0
        try:
            for entry in self._ledger.entries(kinds=FINAL, after=after):
                if entry.launch_id is not None:
                    others = self._known.get(entry.launch_id, frozenset())
                    self._known[entry.launch_id] = others | {entry.kind}
        except VerificationRefused:
            self._damaged = True
        else:
            self._read = last
