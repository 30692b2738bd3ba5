# SPDX-License-Identifier: Apache-2.0
"""The ledger of a fleet past one machine: the set of its machines' chains, and of known heads.

Each worker's ledger is a hash chain of its own. Nothing is woven into one: each chain is
verified by itself, and held against every head that is known of it, such as those that its
worker has signed under results. A chain of which a head is known and that nobody brought is
a gap, and so is whatever comes after a head that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import ExitStatus, VerificationRefused, WatchwordError
from ..ledger.canonical import canonical
from ..ledger.exported_chain import read_chain
from ..ledger.heads import ExportedHead
from ..ledger.verification import LedgerVerdict, verify_entries
from .envelope import open_document
from .signed_result import RESULT, head_in

if TYPE_CHECKING:
    from .assignments import Assignments

FORMAT: Final = "watchword-merged-ledger-1"


@dataclass(frozen=True, slots=True)
class MergedChain:
    """One machine's chain: where it is from, and what came of its check.

    ``verdict``  None where ``error`` says why it does not hold
    """

    source: str
    verdict: LedgerVerdict | None
    error: WatchwordError | None = None

    def as_json(self) -> dict[str, object]:
        """The chain with stable field names."""
        said: dict[str, object] = {"source": self.source, "holds": self.error is None}
        if self.verdict is not None:
            said |= self.verdict.as_json()
        if self.error is not None:
            said["error"] = self.error.as_json()
        return said


@dataclass(frozen=True, slots=True)
class MergedLedger:
    """All chains, and the newest known head of each ledger of which no chain is there."""

    chains: tuple[MergedChain, ...]
    missing: tuple[ExportedHead, ...]

    @property
    def broken(self) -> tuple[MergedChain, ...]:
        """The chains that don't hold."""
        return tuple(chain for chain in self.chains if chain.error is not None)

    @property
    def status(self) -> ExitStatus:
        """3 where a chain does not hold, 9 where one is missing, 0 else."""
        if self.broken:
            return ExitStatus.REFUSED
        return ExitStatus.WAITING if self.missing else ExitStatus.OK

    def as_json(self) -> dict[str, object]:
        """The merged ledger with stable field names."""
        return {
            "chains": [chain.as_json() for chain in self.chains],
            "missing": [head.as_json() for head in self.missing],
        }

    def build(self) -> bytes:
        """The set of chains and heads as a file: canonical JSON, to be kept elsewhere."""
        return canonical({"format": FORMAT, **self.as_json()}) + b"\n"


def merge_chains(
    files: Sequence[Path],
    heads: Iterable[ExportedHead],
    own: Sequence[tuple[str, LedgerVerdict]] = (),
) -> MergedLedger:
    """Verify exported chains, each against all known heads of its ledger.

    ``heads``  from wherever they are known; each names its ledger
    ``own``    chains that were verified already, such as this machine's
    What is wrong with one chain never stops the others. Raises what read_chunks raises for
    a file that can't be read at all.
    """
    known: dict[str, list[ExportedHead]] = {}
    for head in heads:
        known.setdefault(head.ledger_id, []).append(head)
    chains = [MergedChain(source, verdict) for source, verdict in own]
    chains += [_checked(path, known) for path in files]
    _hold_copies_together(chains, dict(zip((str(path) for path in files), files, strict=True)))
    there = {chain.verdict.ledger_id for chain in chains if chain.verdict is not None}
    there |= {_ledger_id(path) for path in files}
    missing = [
        max(found, key=lambda head: head.head.sequence)
        for ledger_id, found in sorted(known.items())
        if ledger_id not in there
    ]
    return MergedLedger(tuple(chains), tuple(missing))


def _checked(path: Path, known: Mapping[str, Sequence[ExportedHead]]) -> MergedChain:
    source = str(path)
    heads = known.get(_ledger_id(path) or "", ())
    try:
        return MergedChain(source, verify_entries(read_chain(path, source), heads))
    except VerificationRefused as error:
        return MergedChain(source, None, error)


def _ledger_id(path: Path) -> str | None:
    """The id that the first entry names; None where there is no such entry."""
    try:
        first = next(read_chain(path, str(path)), None)
    except VerificationRefused:
        return None
    return None if first is None else str(first.body["ledger_id"])


def _hold_copies_together(chains: list[MergedChain], files: Mapping[str, Path]) -> None:
    """Of two copies of one ledger the longer one must have what the shorter one has."""
    for number, chain in enumerate(chains):
        verdict, path = chain.verdict, files.get(chain.source)
        if verdict is None or path is None:
            continue
        others = [
            other.verdict.head
            for other in chains
            if other is not chain
            and other.verdict is not None
            and other.verdict.head is not None
            and other.verdict.ledger_id == verdict.ledger_id
            and other.verdict.entries <= verdict.entries
        ]
        if not others:
            continue
        try:
            verify_entries(read_chain(path, chain.source), others)
        except VerificationRefused as error:
            chains[number] = MergedChain(chain.source, None, error)


def heads_heard(assignments: Assignments) -> tuple[ExportedHead, ...]:
    """The heads that workers have signed under the results that the owner has kept."""
    found = []
    for worker, envelope in assignments.words():
        try:
            opened = open_document(RESULT, envelope, "a kept result", worker)
            head = head_in(opened)
        except WatchwordError:
            continue  # it was altered here: then it says nothing
        if head is not None:
            found.append(head)
    return tuple(found)
