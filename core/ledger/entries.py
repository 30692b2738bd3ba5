# SPDX-License-Identifier: Apache-2.0
"""One entry of the ledger: what it says, and the bytes that its hash is taken of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from ..errors import BadInput
from .canonical import NotCanonical, canonical, parse_canonical

FORMAT: Final = "watchword-ledger-1"
"""Stands in each record; a later form of records has another number."""
LARGEST_RECORD: Final = 256 * 1024
"""Bytes of one record at most."""
NO_PREVIOUS: Final = "0" * 64
"""What the first entry has in the place of an earlier one's hash."""
LARGEST_SEQUENCE: Final = 2**53 - 1

LAUNCH_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}", re.ASCII)
"""What a launch may be called: it is searched for as it stands in the record."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LEDGER_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_NUMBERED: Final = re.compile(r"watchword-ledger-[1-9][0-9]{0,8}", re.ASCII)
_WORD: Final = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)
_FIELDS: Final = frozenset(
    ("format", "sequence", "time", "kind", "launch", "simulated", "body", "previous")
)


class EntryKind(StrEnum):
    """What happened."""

    LEDGER_BEGUN = "ledger-begun"
    """The first entry of every ledger, with an id that no other ledger has."""
    LAUNCH_PREPARED = "launch-prepared"
    PLATFORM_REFUSED = "platform-refused"
    LAUNCH_REFUSED = "launch-refused"
    MEASUREMENT_VERIFIED = "measurement-verified"
    PACKET_SEALED = "packet-sealed"
    """From here on the secrets may be out: the packet is stored, then sent."""
    SECRET_HANDED_OVER = "secret-handed-over"  # noqa: S105 - a kind
    HANDED_OVER_UNCONFIRMED = "handed-over-not-confirmed"
    LAUNCH_RUNNING = "launch-running"
    REPORT_VERIFIED = "report-verified"
    REPORT_REFUSED = "report-refused"
    LAUNCH_ABANDONED = "launch-abandoned"
    GUEST_STOPPED = "guest-stopped"
    KEYS_EXPORTED = "keys-exported"
    """TEK and TIK left the program: whoever has them and the packet can take the secret."""
    EVIDENCE_MADE = "evidence-made"
    ROLLBACK_ACCEPTED = "rollback-accepted"
    """The owner went on with an older copy of the records: what came after it is missing."""
    IMAGE_BUILT = "image-built"
    """An encrypted image was built; its boot key is in the vault."""
    IMAGE_REKEYED = "image-rekeyed"
    """An image's boot key was replaced; copies from before still open with the old one."""
    WATCH_ASKED = "watch-asked"
    """A watch has promised somebody a launch blob; it is counted from here on."""
    WATCH_REFUSED = "watch-refused"
    """A watch has refused what it was asked for, before a launch was begun or taken up."""
    WATCH_UNKNOWN_VM = "watch-unknown-vm"
    """A paused VM was announced that waits with none of the launches that were prepared."""
    WATCH_VM_GONE = "watch-vm-gone"
    """A host says that a launch's VM is gone: it counts as live no more."""
    JOB_ASSIGNED = "job-assigned"
    """The owner's next launch of a guest at a host is this worker's, and no other one's."""
    JOB_BEGUN = "job-begun"
    """A worker has taken a signed job on."""
    JOB_SEALING = "job-sealing"
    """A worker seals for this job and this launch, and for no other launch of that turn."""
    JOB_GIVEN_UP = "job-given-up"
    """A worker never seals for this job, from here on."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry, as it is or will be stored.

    ``sequence``   1 for the first, then without a gap
    ``time``       when it was appended, in UTC, as ``2026-11-23T14:00:00Z``
    ``launch_id``  which launch it is about, None if it is about none
    ``body``       JSON: texts, integers up to 2^53 - 1, truth values, lists, objects, null
    ``previous``   hash of the entry before, 64 zeros for the first
    ``hash``       SHA-256 (hex) of the bytes that :meth:`build` gives
    """

    sequence: int
    time: str
    kind: EntryKind
    launch_id: str | None
    simulated: bool
    body: Mapping[str, object]
    previous: str
    hash: str

    @classmethod
    def make(
        cls,
        sequence: int,
        previous: str,
        *,
        time: str,
        kind: EntryKind,
        launch_id: str | None,
        simulated: bool,
        body: Mapping[str, object],
    ) -> tuple[Self, bytes]:
        """A new entry and its record; ``body`` is as canonical.plain gives it."""
        draft = cls(sequence, time, kind, launch_id, simulated, body, previous, "")
        record = draft.build()
        return replace(draft, hash=hash_of(record)), record

    def build(self) -> bytes:
        """The record: canonical JSON (RFC 8785) of everything but the hash."""
        return canonical(
            {
                "format": FORMAT,
                "sequence": self.sequence,
                "time": self.time,
                "kind": self.kind.value,
                "launch": self.launch_id,
                "simulated": self.simulated,
                "body": self.body,
                "previous": self.previous,
            }
        )

    @classmethod
    def parse(cls, record: bytes) -> Self:
        """The entry of a record of at most 256 KiB.

        Raises NotCanonical for bytes that are no record, and BadInput ``ledger-newer``.
        """
        value = parse_canonical(record)
        if not isinstance(value, dict) or value.keys() != _FIELDS:
            raise NotCanonical
        _refuse_newer(value["format"], value["kind"])
        if not _is_sound(value):
            raise NotCanonical
        return cls(
            value["sequence"],
            value["time"],
            EntryKind(value["kind"]),
            value["launch"],
            value["simulated"],
            value["body"],
            value["previous"],
            hash_of(record),
        )

    def as_json(self) -> dict[str, object]:
        """The entry as it appears in JSON output."""
        return {
            "sequence": self.sequence,
            "time": self.time,
            "kind": self.kind.value,
            "launch": self.launch_id,
            "simulated": self.simulated,
            "body": dict(self.body),
            "previous": self.previous,
            "hash": self.hash,
        }


def hash_of(record: bytes) -> str:
    """SHA-256 of a record, in hex."""
    return hashlib.sha256(record).hexdigest()


def is_hash(value: object) -> bool:
    """Whether this is a SHA-256 in hex as the ledger writes it."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def is_ledger_id(value: object) -> bool:
    """Whether this may be the id of a ledger: 32 hex digits."""
    return isinstance(value, str) and _LEDGER_ID.fullmatch(value) is not None


def is_time(value: object) -> bool:
    """Whether this is a time as the ledger writes it."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _is_sound(value: dict[str, object]) -> bool:
    sequence, launch, body = value["sequence"], value["launch"], value["body"]
    sound = (
        type(sequence) is int
        and sequence >= 1
        and is_time(value["time"])
        and (launch is None or (isinstance(launch, str) and bool(LAUNCH_ID.fullmatch(launch))))
        and isinstance(value["simulated"], bool)
        and isinstance(body, dict)
        and is_hash(value["previous"])
    )
    if value["kind"] != EntryKind.LEDGER_BEGUN:
        return sound
    return sound and isinstance(body, dict) and is_ledger_id(body.get("ledger_id"))


def _refuse_newer(form: object, kind: object) -> None:
    """Tell what a later version of the program wrote from what is damaged."""
    if not isinstance(form, str) or not isinstance(kind, str):
        raise NotCanonical
    if form == FORMAT and kind in _KINDS:
        return
    if not _NUMBERED.fullmatch(form) or not _WORD.fullmatch(kind):
        raise NotCanonical
    raise BadInput(
        "ledger-newer",
        "the ledger",
        f"A newer version of Watchword wrote an entry that this one doesn't know ({form}, {kind}).",
        "Use that version.",
        {"format": form, "kind": kind},
    )


_KINDS: Final = frozenset(kind.value for kind in EntryKind)
