# SPDX-License-Identifier: Apache-2.0
"""Results: what came of a job, in its worker's signed words, with the head of its ledger.

Nobody else can say that a launch succeeded, or that it failed: what is not signed by the
worker that the job was signed for tells nothing of the guest. What a worker says it is
trusted for: it had the secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from ..batch.results import LaunchResult, Outcome
from ..errors import (
    AnswerPending,
    BadInput,
    ExitStatus,
    HostError,
    UsageError,
    VaultError,
    VerificationRefused,
    WatchwordError,
)
from ..ledger.canonical import NotPlain, plain
from ..ledger.heads import ExportedHead, LedgerHead
from .envelope import OpenedDocument, SignedKind, open_document, sign_document
from .models import Body, Hex16, Hex32, TimeText, parse_time, read_body, time_text
from .signed_job import Job

if TYPE_CHECKING:
    from .enrolment import Workers
    from .verified_job import VerifiedJob
    from .worker_key import WorkerKey

RESULT: Final = SignedKind(
    "result",
    192 << 10,
    "result-of-another-worker",
    "It says nothing of the guest. Ask the worker itself; if it comes back, somebody is tampering"
    " with the queue.",
)
_LARGEST_TEXT: Final = 4000
MOST_STEPS: Final = 64


class Sealed(StrEnum):
    """What a worker states of the one packet of a job's turn."""

    NEVER = "never"
    """None was sealed, and this worker never seals one: the turn is closed."""
    NOT_YET = "not-yet"
    """None was sealed so far; the launch may be taken up again."""
    MAY_BE = "may-be"
    """The turn was claimed, and no packet is recorded."""
    SEALED = "sealed"
    """A packet was sealed: from then on the secrets may be out."""


_Word = Annotated[str, Field(pattern=r"\A[a-z-]{1,32}\z")]


class _Head(Body):
    ledger_id: Hex16
    sequence: Annotated[int, Field(ge=1)]
    hash: Hex32
    time: TimeText


class _Error(Body):
    code: Annotated[str, Field(max_length=128)]
    title: Annotated[str, Field(max_length=_LARGEST_TEXT)]
    message: Annotated[str, Field(max_length=_LARGEST_TEXT)]
    remedy: Annotated[str, Field(max_length=_LARGEST_TEXT)]
    details: dict[str, Any]
    exit_status: Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]


class _Result(Body):
    job: Hex16
    digest: Hex32
    batch: Hex16
    turn: int
    owner: Hex32
    name: str
    guest: str
    host: str
    outcome: str
    launch: Annotated[str, Field(max_length=64)] | None
    state: Annotated[str, Field(max_length=64)] | None
    files: Annotated[str, Field(max_length=4096)] | None
    error: _Error | None
    sealed: str
    packet: Hex32 | None
    head: _Head | None
    made: TimeText
    steps: Annotated[tuple[tuple[_Word, _Word], ...], Field(max_length=MOST_STEPS)]


@dataclass(frozen=True, slots=True)
class VerifiedResult:
    """What the worker says; its signature was checked against its enrolment.

    ``packet``  SHA-256 (hex) of the sealed packet, if one is recorded
    ``head``    of the worker's own ledger when it signed
    ``steps``   what it told of the launch's steps, in order, each with the state it came to;
                ``("launch", "begun")`` where the launch was begun for this job
    """

    result: LaunchResult
    sealed: Sealed
    packet: str | None
    head: ExportedHead | None
    worker: str
    made: datetime
    steps: tuple[tuple[str, str], ...] = ()

    @property
    def closes(self) -> bool:
        """Whether nothing more comes of the job's turn, so that the next one may be signed."""
        over = (Outcome.DONE, Outcome.DONE_BEFORE)
        return self.sealed is Sealed.NEVER or self.result.outcome in over


def sign_result(
    job: VerifiedJob,
    result: LaunchResult,
    key: WorkerKey,
    *,
    sealed: Sealed,
    packet: str | None,
    head: ExportedHead | None,
    now: datetime,
    steps: Sequence[tuple[str, str]] = (),
) -> bytes:
    """The worker's signature under what came of a job (at most 192 KiB).

    ``steps``  as in VerifiedResult; the newest 64 count
    """
    said = job.job
    body = {
        **_of_job(said, job.digest),
        "outcome": result.outcome.value,
        "launch": result.launch_id,
        "state": result.state,
        "files": None if result.files is None else _text(str(result.files)),
        "error": None if result.error is None else _error_json(result.error),
        "sealed": sealed.value,
        "packet": packet,
        "head": None if head is None else head.as_json(),
        "made": time_text(now),
        "steps": [list(one) for one in steps[-MOST_STEPS:]],
    }
    try:
        return sign_document(RESULT, body, key.signing)
    except BadInput:
        # What explains an error may be long; what happened is told in any case.
        error = body["error"]
        if not isinstance(error, dict):
            raise
        return sign_document(RESULT, {**body, "error": {**error, "details": {}}}, key.signing)


def open_result(
    data: bytes, job: Job, digest: str, workers: Workers, field: str = "the result"
) -> VerifiedResult:
    """What the worker of a job says of it, checked before anything of it is used.

    ``workers``  those of the owner's enrolments: the job's own must be among them still.
    Raises BadInput ``result-unreadable``, ``result-too-large``, ``worker-not-enrolled``;
    VerificationRefused ``result-signature``, ``result-of-another-worker``,
    ``result-of-another-job``.
    """
    enrolment = workers.by_fingerprint(job.worker)
    opened = open_document(RESULT, data, field, enrolment.fingerprint)
    body = read_body(RESULT, _Result, opened, field)
    told = body.model_dump(include=set(_of_job(job, digest)))
    if told != _of_job(job, digest):
        raise _of_another_job(job)
    try:
        outcome, sealed = Outcome(body.outcome), Sealed(body.sealed)
    except ValueError:
        raise RESULT.unreadable(field, "This version doesn't know the outcome it names.") from None
    made = parse_time(body.made)
    if made is None:
        raise RESULT.unreadable(field, "Its time makes no sense.")
    result = LaunchResult(
        job.name,
        job.guest,
        job.host,
        outcome,
        body.launch,
        None if body.error is None else _error(body.error),
        None if body.files is None else Path(body.files),
        body.state,
    )
    return VerifiedResult(
        result, sealed, body.packet, _head(body.head), enrolment.worker, made, body.steps
    )


def head_in(opened: OpenedDocument) -> ExportedHead | None:
    """The ledger head in a result whose signature holds; BadInput ``result-unreadable``."""
    return _head(read_body(RESULT, _Result, opened, "a kept result").head)


def not_known(job: Job, why: WatchwordError | None = None) -> LaunchResult:
    """The result of a guest of which no signed word came: neither success nor failure."""
    told = "" if why is None else f" What came instead: {why.title}. {why.message}"
    error = AnswerPending(
        "guest-not-known",
        "Nobody who may say so has said what became of this guest",
        f"No result that worker {job.worker_name} has signed is there for launch {job.name}.{told}",
        "Take the fleet up again with --resume: the worker is asked anew, and launches nothing a"
        " second time. If the worker is gone for good, look at the guest, and then say so.",
        {"job": job.job, **({} if why is None else {"cause": why.as_json()})},
    )
    return LaunchResult(job.name, job.guest, job.host, Outcome.WAITING, error=error)


def _of_job(job: Job, digest: str) -> dict[str, object]:
    """What ties a result to its one job."""
    return {
        "job": job.job,
        "digest": digest,
        "batch": job.batch,
        "turn": job.turn,
        "owner": job.owner,
        "name": job.name,
        "guest": job.guest,
        "host": job.host,
    }


def _error_json(error: WatchwordError) -> dict[str, object]:
    details: object = dict(error.details)
    try:
        details = plain(details, "details")
    except NotPlain:
        details = {}
    texts = {name: _text(str(getattr(error, name))) for name in ("title", "message", "remedy")}
    code = error.code[:128]
    return {"code": code, **texts, "details": details, "exit_status": int(error.exit_status)}


def _text(text: str) -> str:
    """As much of a text as a result holds; half surrogate pairs have no place in it."""
    return text.encode(errors="replace").decode()[:_LARGEST_TEXT]


def _error(said: _Error) -> WatchwordError:
    """The worker's error, so that it counts here as it does where it happened."""
    texts = (said.title, said.message, said.remedy)
    if said.exit_status == int(ExitStatus.BAD_INPUT):
        return _ToldBadInput(said.code, *texts, said.details)
    kind = _KINDS.get(said.exit_status, WatchwordError)
    return kind(said.code, *texts, said.details)


class _ToldBadInput(WatchwordError):
    """A BadInput whose title is made already."""

    exit_status = ExitStatus.BAD_INPUT


_KINDS: Final[Mapping[int, type[WatchwordError]]] = {
    ExitStatus.USAGE: UsageError,
    ExitStatus.REFUSED: VerificationRefused,
    ExitStatus.HOST: HostError,
    ExitStatus.VAULT: VaultError,
    ExitStatus.WAITING: AnswerPending,
}


def _head(said: _Head | None) -> ExportedHead | None:
    if said is None:
        return None
    return ExportedHead(said.ledger_id, LedgerHead(said.sequence, said.hash), said.time)


def _of_another_job(job: Job) -> VerificationRefused:
    return VerificationRefused(
        "result-of-another-job",
        "This result is another job's",
        f"It is signed by worker {job.worker_name}, but not about this job for {job.name}.",
        RESULT.remedy,
        {"job": job.job},
    )
