# SPDX-License-Identifier: Apache-2.0
"""Enrolments: the owner's signature under a worker's name and keys, and the set that is pinned.

They travel as files. Who may work is what the files say that a batch is given, never a
row of a database. A worker is struck off by leaving its file out; a file also ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ..errors import BadInput, UsageError, VerificationRefused
from ..evidence.signing_key import key_fingerprint
from ..files import read_file
from ..secret import Secret
from .envelope import SignedKind, open_document, sign_document
from .models import Body, Hex32, TimeText, WorkerName, parse_time, read_body, time_text
from .worker_key import REQUEST

ENROLMENT: Final = SignedKind(
    "enrolment",
    4096,
    "enrolment-of-another-owner",
    "Have the owner enrol the worker: `watchword worker enrol REQUEST --out FILE`.",
)
DEFAULT_DAYS: Final = 365
MOST_DAYS: Final = 3650
MOST_WORKERS: Final = 10_000
CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far two machines' clocks may lie apart."""


class _Request(Body):
    worker: WorkerName
    signing_key: Hex32
    opening_key: Hex32
    made: TimeText


class _Enrolment(Body):
    worker: WorkerName
    signing_key: Hex32
    opening_key: Hex32
    owner: Hex32
    serial: Hex32
    not_before: TimeText
    not_after: TimeText


@dataclass(frozen=True, slots=True)
class WorkerRequest:
    """Who asks to be enrolled, by his own word.

    ``signing_key``, ``opening_key``  raw public keys (32 bytes each), in hex
    """

    worker: str
    signing_key: str
    opening_key: str

    @property
    def fingerprint(self) -> str:
        """What the worker's screen shows: to be compared before anything is signed."""
        return key_fingerprint(bytes.fromhex(self.signing_key))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A worker whom the owner has enrolled, as of the time at which the file was read.

    ``opening_key``  raw X25519 public key (32 bytes)
    ``serial``       64 hex digits, which no other enrolment has
    ``sha256``       of the file
    """

    worker: str
    fingerprint: str
    opening_key: bytes
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str

    def check(self, now: datetime, field: str = "its enrolment") -> None:
        """VerificationRefused ``enrolment-expired`` outside of its time."""
        if not self.not_before - CLOCK_SLACK <= now < self.not_after:
            raise _expired(field, self)


def read_request(data: bytes, field: str) -> WorkerRequest:
    """A worker's request, signed by the key it names.

    Raises BadInput ``worker-request-unreadable``, ``worker-request-too-large`` and
    VerificationRefused ``worker-request-signature``, ``request-of-another-worker``.
    """
    opened = open_document(REQUEST, data, field)
    body = read_body(REQUEST, _Request, opened, field)
    if bytes.fromhex(body.signing_key) != opened.key:
        raise REQUEST.unreadable(field, "It is signed with another key than the one it names.")
    return WorkerRequest(body.worker, body.signing_key, body.opening_key)


def enrol(
    request: WorkerRequest, owner: Secret, *, owner_fingerprint: str, serial: str, now: datetime,
    days: int = DEFAULT_DAYS,
) -> bytes:  # fmt: skip
    """The owner's signature under a request whose fingerprint he has compared: a file.

    Raises UsageError ``bad-enrolment-days``.
    """
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(
            "bad-enrolment-days",
            "An enrolment can't last that long",
            f"It lasts 1 to {MOST_DAYS} days.",
            "Give --days; a year is usual.",
        )
    body = {
        "worker": request.worker,
        "signing_key": request.signing_key,
        "opening_key": request.opening_key,
        "owner": owner_fingerprint,
        "serial": serial,
        "not_before": time_text(now),
        "not_after": time_text(now + timedelta(days=days)),
    }
    return sign_document(ENROLMENT, body, owner)


def read_enrolment(data: bytes, owner: str, field: str, now: datetime) -> Enrolment:
    """The enrolment in a file, by the owner whose fingerprint is given, as of ``now``.

    Raises BadInput ``enrolment-unreadable``, ``enrolment-too-large`` and VerificationRefused
    ``enrolment-signature``, ``enrolment-of-another-owner``, ``enrolment-expired``.
    """
    opened = open_document(ENROLMENT, data, field, owner)
    body = read_body(ENROLMENT, _Enrolment, opened, field)
    begins, ends = parse_time(body.not_before), parse_time(body.not_after)
    if begins is None or ends is None or body.owner != owner:
        raise ENROLMENT.unreadable(field, "Its times or its owner make no sense.")
    enrolment = Enrolment(
        body.worker,
        key_fingerprint(bytes.fromhex(body.signing_key)),
        bytes.fromhex(body.opening_key),
        body.serial,
        begins,
        ends,
        opened.sha256,
    )
    enrolment.check(now, field)
    return enrolment


class Workers:
    """The workers of a batch: those of the enrolments that it was given, each name and key once."""

    def __init__(self, enrolments: Sequence[Enrolment]) -> None:
        self._all = tuple(enrolments)
        self._by_fingerprint = {one.fingerprint: one for one in enrolments}
        self._by_name = {one.worker: one for one in enrolments}
        if not len(self._all) == len(self._by_fingerprint) == len(self._by_name):
            raise _twice()

    @classmethod
    def from_files(cls, paths: Iterable[Path], owner: str, now: datetime) -> Workers:
        """The workers of these files. Raises as read_file and read_enrolment do, and BadInput
        ``worker-twice``, ``too-many-workers``, ``no-workers``.
        """
        files = list(paths)
        if not files:
            raise _none()
        if len(files) > MOST_WORKERS:
            raise _too_many(len(files))
        return cls(
            [
                read_enrolment(read_file(path, str(path), ENROLMENT.largest), owner, str(path), now)
                for path in files
            ]
        )

    def __iter__(self) -> Iterator[Enrolment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def by_name(self, name: str) -> Enrolment:
        """The worker of this name. Raises BadInput ``worker-not-enrolled``."""
        return self._found(self._by_name.get(name), name)

    def by_fingerprint(self, fingerprint: str) -> Enrolment:
        """The worker with this key. Raises BadInput ``worker-not-enrolled``."""
        return self._found(self._by_fingerprint.get(fingerprint), fingerprint)

    @staticmethod
    def _found(enrolment: Enrolment | None, who: str) -> Enrolment:
        if enrolment is not None:
            return enrolment
        raise BadInput(
            "worker-not-enrolled",
            "the worker",
            f"None of the enrolments that were given is of {who}.",
            ENROLMENT.remedy,
            {"worker": who},
        )


def _expired(field: str, enrolment: Enrolment) -> VerificationRefused:
    begins, ends = time_text(enrolment.not_before), time_text(enrolment.not_after)
    return VerificationRefused(
        "enrolment-expired",
        "This enrolment does not hold today",
        f"Worker {enrolment.worker} is enrolled from {begins} to {ends} ({field}).",
        "Enrol it again, or leave the file out. If the dates look right, set this machine's clock.",
        {"worker": enrolment.worker, "not_before": begins, "not_after": ends},
    )


def _twice() -> BadInput:
    return BadInput(
        "worker-twice",
        "the enrolments",
        "Two of them have the same name, or the same key.",
        "Name each worker once; keep the newer file of the two.",
    )


def _too_many(count: int) -> BadInput:
    return BadInput(
        "too-many-workers",
        "the enrolments",
        f"There are {count}; {MOST_WORKERS} are the most.",
        "Split the fleet.",
    )


def _none() -> BadInput:
    return BadInput(
        "no-workers",
        "the enrolments",
        "There are none, so that nobody could be given a job.",
        "Name the files that `watchword worker enrol` wrote.",
    )
