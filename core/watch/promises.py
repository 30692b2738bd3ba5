# SPDX-License-Identifier: Apache-2.0
"""What a watch has promised and refused, as the ledger tells: it outlives every process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ..ledger.entries import EntryKind
from .events import Asked
from .promise_index import Promise, PromiseIndex
from .watch_errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..errors import WatchwordError
    from ..ledger.entries import LedgerEntry
    from ..ledger.ledger import Ledger

MOST_REFUSALS_PER_HOUR: Final = 200
"""Refusals that are recorded in an hour: strangers must not be able to fill the disk."""
_HOUR: Final = timedelta(hours=1).total_seconds()
_REFUSALS: Final = (EntryKind.WATCH_REFUSED, EntryKind.WATCH_UNKNOWN_VM)
_OF_LAUNCHES: Final = (EntryKind.LAUNCH_REFUSED, EntryKind.PLATFORM_REFUSED)
_VERIFIED: Final = (EntryKind.PACKET_SEALED, EntryKind.LAUNCH_RUNNING)
_READ: Final = (
    *(EntryKind.WATCH_ASKED, EntryKind.WATCH_VM_GONE),
    *(*_REFUSALS, *_OF_LAUNCHES, *_VERIFIED),
)
_LONGEST_MESSAGE: Final = 500


def request_key(asked: Asked) -> str:
    """SHA-256 (hex) of source and request: the names of one source are no other's."""
    return hashlib.sha256(f"{asked.source}\0{asked.request}".encode()).hexdigest()


def request_content(asked: Asked, host: str | None) -> str:
    """SHA-256 (hex) of all that was asked for; ``host`` is its URL in its one form."""
    running = hashlib.sha256()
    words = [asked.guest.encode(), (host or "").encode(), (asked.firmware_sha256 or "").encode()]
    for part in (*words, *(data for _, data in asked.certificates)):
        running.update(len(part).to_bytes(8, "little") + part)
    return running.hexdigest()


def seconds_up() -> float:
    """Seconds since the machine was started, asleep or awake: nobody sets this clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Promises:
    """The entries of watches, as this process has read them so far; each look reads on.

    ``now``, ``up``  the time in UTC, which says how old an entry is when it is read; from then
    on ``up`` counts, so that a clock that is set opens no limit while a watch runs
    Entries are never changed or removed. What is damaged makes every look raise
    VerificationRefused ``ledger-broken``: nothing is given away then.
    """

    def __init__(
        self,
        ledger: Ledger,
        now: Callable[[], datetime],
        up: Callable[[], float] = seconds_up,
    ) -> None:
        self._ledger = ledger
        self._now = now
        self._up = up
        self._read = 0
        self._index = PromiseIndex()
        self._firmware: set[str] = set()
        self._starts: dict[str, list[float]] = {}
        self._refusals: dict[tuple[str, ...], float] = {}

    # -- looking -----------------------------------------------------------------

    def find(self, key: str) -> Promise | None:
        """The promise that was made to a request, by its key."""
        self._read_on()
        return self._index.of_request(key)

    def of_launch(self, launch_id: str) -> Promise | None:
        """The promise that a launch fulfils; None for a launch that no watch has begun."""
        self._read_on()
        return self._index.of_launch(launch_id)

    def is_gone(self, launch_id: str) -> bool:
        """Whether a host has said that the VM of a launch is gone."""
        return launch_id in self.gone_among((launch_id,))

    def gone_among(self, launch_ids: Sequence[str]) -> frozenset[str]:
        """Of which of these launches a host has said that the VM is gone."""
        self._read_on()
        return self._index.gone_among(launch_ids)

    def starts_in_last_hour(self, guest: str) -> int:
        """Launches of a guest that any watch of these records has begun within the last hour."""
        self._read_on()
        oldest = self._up() - _HOUR
        kept = [start for start in self._starts.get(guest, ()) if start > oldest]
        self._starts[guest] = kept
        return len(kept)

    def has_verified(self, firmware_sha256: str) -> bool:
        """Whether a launch of this owner, no rehearsal, had its secret sealed for this firmware."""
        self._read_on()
        return firmware_sha256 in self._firmware

    def matched_firmware(self, launch_id: str) -> tuple[str, ...]:
        """The firmware (SHA-256) that a launch was verified with; several if it can't be told."""
        kinds = (EntryKind.MEASUREMENT_VERIFIED,)
        entries = self._ledger.entries(launch_id=launch_id, kinds=kinds, limit=1, newest_first=True)
        return tuple(sha256 for entry in entries for sha256 in _firmware_of(entry))

    def times_refused(self, launch_id: str) -> int:
        """How often a launch was refused."""
        self._read_on()
        return self._index.times_refused(launch_id)

    # -- writing -----------------------------------------------------------------

    def recording(self) -> AbstractContextManager[object]:
        """A block of which all or nothing is recorded, of launches too; without looking in it."""
        return self._ledger.together()

    def promise(self, asked: Asked, launch_id: str, content: str) -> None:
        """Record that a request gets this launch; from now on it always gets this one."""
        body = {
            "guest": asked.guest,
            "source": asked.source,
            "request": shown(asked.request),
            "request_sha256": request_key(asked),
            "content_sha256": content,
        }
        self._ledger.append(EntryKind.WATCH_ASKED, launch_id, body)

    def note_gone(self, launch_id: str, guest: str, host: str) -> None:
        """Record that a host says that the VM of a launch is gone."""
        self._ledger.append(EntryKind.WATCH_VM_GONE, launch_id, {"guest": guest, "host": host})

    def note_refusal(
        self,
        kind: EntryKind,
        error: WatchwordError,
        about: Mapping[str, str | None],
        launch_id: str | None = None,
    ) -> bool:
        """Record a refusal; False where the same was recorded within the hour, or too many were."""
        self._read_on()
        oldest = self._up() - _HOUR
        self._refusals = {mark: at for mark, at in self._refusals.items() if at > oldest}
        told = {name: shown(value) for name, value in about.items() if value is not None}
        body = {**told, "error": _error(error)}
        if _mark(kind, launch_id, body) in self._refusals:
            return False
        if len(self._refusals) >= MOST_REFUSALS_PER_HOUR:
            return False
        self._ledger.append(kind, launch_id, body)
        return True

    # -- reading on --------------------------------------------------------------

    def _read_on(self) -> None:
        last = self._ledger.last_sequence()
        if last == self._read:
            return
        if last < self._read:
            # A ledger that became shorter is another copy: all that was appended to it counts.
            self._read = 0
        for entry in self._ledger.entries(kinds=_READ, after=self._read):
            self._hear(entry)
            self._read = entry.sequence  # what is not heard for want of room is heard later
        self._read = max(self._read, last)

    def _hear(self, entry: LedgerEntry) -> None:
        if entry.kind in _REFUSALS:
            self._refusals |= {
                _mark(entry.kind, entry.launch_id, entry.body): at for at in self._recent(entry)
            }
        elif entry.kind in _VERIFIED:
            found = _firmware_of(entry)
            # Where several are named, it was not known which of them it was.
            if len(found) == 1 and not entry.simulated:
                self._firmware.add(found[0])
        elif entry.launch_id is None:
            return
        elif entry.kind in _OF_LAUNCHES:
            self._index.add_refused(entry.launch_id)
        elif entry.kind is EntryKind.WATCH_VM_GONE:
            self._index.add_gone(entry.launch_id)
        else:
            guest, content = _text(entry, "guest"), _text(entry, "content_sha256")
            promise = Promise(entry.launch_id, guest, content)
            self._index.add(_text(entry, "request_sha256"), promise)
            self._starts.setdefault(guest, []).extend(self._recent(entry))

    def _recent(self, entry: LedgerEntry) -> Iterator[float]:
        """When it happened, by ``up``, if that is no hour ago.

        What lies in the future, by a clock that was set back, happened just now.
        """
        then = datetime.strptime(entry.time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        age = max(0.0, (self._now() - then).total_seconds())
        if age < _HOUR:
            yield self._up() - age


def _text(entry: LedgerEntry, name: str) -> str:
    value = entry.body.get(name)
    return value if isinstance(value, str) else ""


def _firmware_of(entry: LedgerEntry) -> tuple[str, ...]:
    told = entry.body.get("firmware_sha256")
    return tuple(_texts(told if isinstance(told, list) else ()))


def _texts(values: object) -> Iterator[str]:
    for value in values if isinstance(values, list | tuple) else ():
        if isinstance(value, str):
            yield value


def _error(error: WatchwordError) -> dict[str, object]:
    """Of words that a stranger had a part in, what can stand in a record."""
    message = error.message.encode("utf-8", "backslashreplace").decode()
    return {"code": error.code, "title": error.title, "message": message[:_LONGEST_MESSAGE]}


def _mark(kind: EntryKind, launch_id: str | None, body: Mapping[str, object]) -> tuple[str, ...]:
    error = body.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    parts = (kind.value, launch_id, code, body.get("guest"), body.get("host"), body.get("source"))
    return tuple(str(part or "") for part in parts)
