# SPDX-License-Identifier: Apache-2.0
"""Jobs: one launch of one guest at one host, by one worker, in the owner's signed words.

A job holds all that the ordinary launch needs and nothing secret: the profile as it was
agreed, the pins of its platform, certificates, names of vault entries. Sealed secrets
travel beside it; it names them by the SHA-256 of their ciphertexts. TEK and TIK never
travel at all: the worker makes the launch, and its own vault has them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from ..batch.fleet import FleetLaunch, is_by_hand
from ..batch.intent import BatchOrder, Phase
from ..errors import BadInput, UsageError
from ..files import read_file
from ..guest.document import profile_text
from ..ledger.canonical import NotCanonical, canonical, parse_canonical
from ..sev.chain_files import LARGEST_FILE
from ..vault.entries import EntryKind
from .envelope import SignedKind, decode_exactly, sign_document
from .models import Body, Hex16, Hex32, TimeText, WorkerName, time_text
from .sealed_keys import SealedFor, seal_entry

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile
    from ..secret import Secret
    from .enrolment import Enrolment

JOB: Final = SignedKind(
    "job",
    192 << 10,
    "job-of-another-owner",
    "Nothing was begun. Dispatch the fleet again from the owner's machine; if it comes back,"
    " somebody is tampering with the queue.",
)
LARGEST_PACKAGE: Final = 256 << 10
"""Bytes of a job with all that is sealed for it, as the queue carries them."""
MOST_DAYS: Final = 31
MOST_CERTIFICATES: Final = 16

_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_Seconds = Annotated[int, Field(ge=0, le=1_000_000)]


class JobSecret(Body):
    """A secret by reference: ``sealed`` is its ciphertext's SHA-256; None: the worker has it."""

    entry: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Literal["disk-secret", "guest-secret", "recovery", "test-secret"] | None
    sealed: Hex32 | None


class JobCertificate(Body):
    """A file with the platform's certificates: its name for people, SHA-256 of its bytes."""

    name: _Text
    sha256: Hex32


class Job(Body):
    """What is to be done. ``turn`` counts the launches of this guest at this host."""

    job: Hex16
    batch: Hex16
    name: Annotated[str, Field(min_length=1, max_length=256)]
    turn: Annotated[int, Field(ge=1, le=2**31)]
    owner: Hex32
    worker: Hex32
    worker_name: WorkerName
    guest: Annotated[str, Field(min_length=1, max_length=256)]
    host: _Text
    machine: Annotated[str, Field(max_length=4096)]
    number: Annotated[str, Field(max_length=64)]
    inline: bool
    profile: Annotated[str, Field(min_length=1, max_length=256 << 10)]
    profile_sha256: Hex32
    ceks: Annotated[tuple[Hex32, ...], Field(max_length=1000)]
    oca: Hex32 | None
    certificates: Annotated[tuple[JobCertificate, ...], Field(max_length=MOST_CERTIFICATES)]
    secrets: Annotated[tuple[JobSecret, ...], Field(max_length=64)]
    inject: bool
    start: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=256)] | None
    start_seconds: _Seconds
    wait: _Seconds
    phase: Literal["prepare", "complete", "all"]
    resume: bool
    retry_failed: bool
    most_at_once: Annotated[int, Field(ge=1, le=1_000_000)] | None
    signed: TimeText
    not_after: TimeText

    @property
    def guest_key(self) -> str:
        """What the guards know this guest at this host by."""
        return guest_key(self.owner, self.guest, self.host)

    def sealed_for(self, entry: str, kind: str) -> SealedFor:
        """What the ciphertext of one of its secrets is bound to."""
        return SealedFor(
            owner=self.owner,
            worker=self.worker,
            job=self.job,
            guest_key=self.guest_key,
            turn=self.turn,
            entry=entry,
            kind=kind,
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Whose turn it is: made by Assignments, so that one turn has one worker.

    ``job_id``  32 hex digits, the same however often the job is signed anew
    """

    job_id: str
    batch: str
    name: str
    guest: str
    host: str
    worker: str
    turn: int


@dataclass(frozen=True, slots=True)
class SignedJob:
    """A job on its way: ``package`` is for the queue, ``digest`` (SHA-256 hex) names it.

    ``files``  what it refers to by SHA-256 (hex), with the bytes (64 KiB at most)
    """

    job: Job
    package: bytes
    digest: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def guest_key(owner: str, guest: str, host: str) -> str:
    """SHA-256 (hex) over owner, guest and host: the same in every job of theirs."""
    return hashlib.sha256(canonical(["watchword guest", owner, guest, host])).hexdigest()


def sign_job(
    planned: FleetLaunch,
    assignment: Assignment,
    owner: Secret,
    *,
    owner_fingerprint: str,
    worker: Enrolment,
    order: BatchOrder,
    now: datetime,
    not_after: datetime,
    most_at_once: int | None = None,
    sealed: Mapping[str, tuple[EntryKind, Secret]] | None = None,
) -> SignedJob:
    """Sign a launch of a manifest for one worker, and seal to it what it has not itself.

    ``sealed``  secrets by their vault entries, with their kinds; the others the worker has.
    Certificate files are read, and travel along. Raises BadInput ``job-too-large`` and as
    read_file does, UsageError ``job-by-hand``, ``job-lasts-too-long``, ``other-assignment``,
    VerificationRefused ``enrolment-expired``: whose enrolment is over is sealed nothing.
    """
    _check(planned, assignment, worker, now, not_after)
    profile = profile_text(planned.profile)
    head = _head(assignment, owner_fingerprint, worker)
    certificates, files = _certificates(planned)
    draft = {
        **head,
        "machine": planned.machine,
        "number": planned.number,
        "inline": planned.inline,
        "profile": profile,
        "profile_sha256": hashlib.sha256(profile.encode()).hexdigest(),
        **platform_pin(planned.profile),
        "certificates": certificates,
        "inject": planned.inject,
        "start": None if planned.start is None else list(planned.start),
        "start_seconds": planned.start_seconds,
        "wait": planned.wait,
        "phase": Phase(order.phase).value,
        "resume": order.resume,
        "retry_failed": order.retry_failed,
        "most_at_once": most_at_once,
        "signed": time_text(now),
        "not_after": time_text(not_after),
        "secrets": [],
    }
    try:
        bare = Job.model_validate_json(canonical(draft))
    except ValueError:
        raise _unfit(planned.name) from None
    references, ciphertexts = _seal_all(bare, planned, worker, sealed or {})
    body = {**draft, "secrets": [reference.model_dump() for reference in references]}
    envelope = sign_document(JOB, body, owner)
    digest = hashlib.sha256(envelope).hexdigest()
    job = bare.model_copy(update={"secrets": references})
    return SignedJob(job, _package(envelope, ciphertexts), digest, files)


def platform_pin(profile: GuestProfile) -> dict[str, object]:
    """The chips and the owner CA that a profile names."""
    oca = profile.oca
    return {
        "ceks": [cek.sha256 for cek in profile.ceks],
        "oca": None if oca is None else oca.sha256,
    }


def unpack(data: bytes, field: str) -> tuple[bytes, tuple[bytes, ...]]:
    """The envelope of a job and the ciphertexts beside it; nobody vouches for them yet.

    Raises BadInput ``job-too-large``, ``job-unreadable``.
    """
    if len(data) > LARGEST_PACKAGE:
        raise BadInput(
            "job-too-large",
            field,
            f"It has more than {LARGEST_PACKAGE >> 10} KiB; no job does.",
            JOB.remedy,
        )
    try:
        value = parse_canonical(data)
    except NotCanonical:
        value = None
    if isinstance(value, dict) and value.keys() == {"job", "sealed"}:
        envelope, sealed = value["job"], value["sealed"]
        if isinstance(envelope, str) and isinstance(sealed, list):
            ciphertexts = [decode_exactly(text) for text in sealed]
            found = tuple(one for one in ciphertexts if one is not None)
            if len(found) == len(ciphertexts):
                return envelope.encode(), found
    raise JOB.unreadable(field, "It is no job, or was cut or altered.")


def _package(envelope: bytes, ciphertexts: Sequence[bytes]) -> bytes:
    package = canonical(
        {
            "job": envelope.decode(),
            "sealed": [base64.b64encode(one).decode() for one in ciphertexts],
        }
    )
    if len(package) > LARGEST_PACKAGE:
        raise BadInput(
            "job-too-large",
            "the job",
            f"With what is sealed for it, it has more than {LARGEST_PACKAGE >> 10} KiB.",
            "Put the secrets into the worker's own vault instead.",
        )
    return package


def _head(assignment: Assignment, owner: str, worker: Enrolment) -> dict[str, object]:
    return {
        "job": assignment.job_id,
        "batch": assignment.batch,
        "name": assignment.name,
        "turn": assignment.turn,
        "owner": owner,
        "worker": worker.fingerprint,
        "worker_name": worker.worker,
        "guest": assignment.guest,
        "host": assignment.host,
    }


def _seal_all(
    job: Job,
    planned: FleetLaunch,
    worker: Enrolment,
    sealed: Mapping[str, tuple[EntryKind, Secret]],
) -> tuple[tuple[JobSecret, ...], list[bytes]]:
    references: list[JobSecret] = []
    ciphertexts: list[bytes] = []
    for entry in dict.fromkeys(planned.entries):
        if entry not in sealed:
            references.append(JobSecret(entry=entry, kind=None, sealed=None))
            continue
        kind, secret = sealed[entry]
        ciphertext = seal_entry(secret, worker.opening_key, job.sealed_for(entry, kind.value))
        sha256 = hashlib.sha256(ciphertext).hexdigest()
        document = canonical({"entry": entry, "kind": kind.value, "sealed": sha256})
        references.append(JobSecret.model_validate_json(document))
        ciphertexts.append(ciphertext)
    return tuple(references), ciphertexts


def _certificates(planned: FleetLaunch) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """The files by name and hash, and their bytes by hash."""
    named, files = [], {}
    for path in planned.certificates:
        data = read_file(path, str(path), LARGEST_FILE)
        sha256 = hashlib.sha256(data).hexdigest()
        named.append({"name": str(path), "sha256": sha256})
        files[sha256] = data
    return named, files


def _check(
    planned: FleetLaunch,
    assignment: Assignment,
    worker: Enrolment,
    now: datetime,
    not_after: datetime,
) -> None:
    if is_by_hand(planned.host):
        raise UsageError(
            "job-by-hand",
            "A folder that is carried by hand can't go through a queue",
            f"Launch {planned.name} is at {planned.host}, a folder on this machine.",
            "Leave it out with --only, and run it here.",
            {"name": planned.name},
        )
    worker.check(now)
    in_time = timedelta(0) < not_after - now <= timedelta(days=MOST_DAYS)
    if not in_time or not_after > worker.not_after:
        raise UsageError(
            "job-lasts-too-long",
            "A job can't last that long",
            f"It ends between now and {MOST_DAYS} days from now, and with its worker's enrolment.",
            "Give a shorter time; a job can be signed anew.",
        )
    asked = (planned.name, planned.profile.name, planned.host, worker.fingerprint)
    if asked != (assignment.name, assignment.guest, assignment.host, assignment.worker):
        raise UsageError(
            "other-assignment",
            "This turn is another launch's",
            f"Launch {planned.name} was not assigned to worker {worker.worker}.",
            "Report this as a bug.",
        )


def _unfit(name: str) -> UsageError:
    return UsageError(
        "job-unfit",
        "This launch can't be made a job",
        f"Something in launch {name} is larger or longer than a job may hold.",
        "Shorten its start command, its certificates' names or its profile.",
        {"name": name},
    )
