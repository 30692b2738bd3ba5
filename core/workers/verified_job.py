# SPDX-License-Identifier: Apache-2.0
"""A job as its worker takes it: signed by the pinned owner, for this worker, in its time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..batch.fleet import FleetLaunch, is_by_hand
from ..errors import BadInput, UsageError, VerificationRefused, WatchwordError
from ..files import make_folder, write_file
from ..guest.document import read_profile
from ..hosts.urls import parse_host_url
from ..sev.proof import Mint, Proof
from .enrolment import CLOCK_SLACK
from .envelope import open_document
from .models import parse_time, read_body
from .signed_job import JOB, Job, JobSecret, platform_pin, unpack

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile

_MINT: Final = Mint("watchword.core.workers.verified_job")
_FIELD: Final = "the job"


class VerifiedJob(Proof):
    """What :func:`open_job` gives, and nothing else makes.

    ``job``       what is to be done
    ``digest``    SHA-256 (hex) of the signed document
    ``profile``   the guest's, as the owner agreed to it
    ``not_after`` from when on nothing is begun and nothing sealed
    ``sealed``    ciphertexts that the job names, each with its reference
    """

    __slots__ = ("digest", "job", "not_after", "profile", "sealed")

    job: Job
    digest: str
    profile: GuestProfile
    not_after: datetime
    sealed: tuple[tuple[JobSecret, bytes], ...]

    def __init__(  # noqa: PLR0917 - open_job alone calls it
        self,
        mint: Mint,
        job: Job,
        digest: str,
        profile: GuestProfile,
        not_after: datetime,
        sealed: tuple[tuple[JobSecret, bytes], ...],
    ) -> None:
        _MINT.check(mint)
        self._establish(job=job, digest=digest, profile=profile, not_after=not_after, sealed=sealed)

    @property
    def guest_key(self) -> str:
        """What the guards know its guest at its host by."""
        return self.job.guest_key

    @property
    def needs(self) -> tuple[str, ...]:
        """SHA-256 (hex) of the files that it refers to."""
        return tuple(dict.fromkeys(one.sha256 for one in self.job.certificates))

    def planned(self, folder: Path, files: Mapping[str, bytes]) -> FleetLaunch:
        """The launch, as a manifest on this machine would say it.

        ``files``  what :attr:`needs` names, from anywhere: the bytes are held against their
        hashes. They are written below ``folder``, where nothing of another job is. Raises
        BadInput ``job-file-missing``, ``bad-folder`` or ``file-not-written``.
        """
        job, own = self.job, folder / self.job.job
        place = own / "certificates"
        paths = []
        for number, certificate in enumerate(job.certificates):
            data = files.get(certificate.sha256, b"")
            if hashlib.sha256(data).hexdigest() != certificate.sha256:
                raise _file_missing(certificate.name, certificate.sha256)
            make_folder(place, _FIELD)
            path = place / f"{number}.cert"
            write_file(path, data, field=_FIELD)
            paths.append(path)
        return FleetLaunch(
            name=job.name,
            profile=self.profile,
            host=job.host,
            certificates=tuple(paths),
            inject=job.inject,
            folder=own / "out",
            start=job.start,
            start_seconds=job.start_seconds,
            wait=job.wait,
            inline=job.inline,
            machine=job.machine,
            number=job.number,
        )

    def __repr__(self) -> str:
        return f"<job {self.job.job} of {self.job.name}>"


def open_job(data: bytes, *, owner: str, worker: str, now: datetime) -> VerifiedJob:
    """The job in a package from the queue, checked before anything of it is used.

    ``owner``, ``worker``  fingerprints: the owner's that is pinned, and this worker's own
    Raises BadInput ``job-too-large``, ``job-unreadable``; VerificationRefused
    ``job-signature``, ``job-of-another-owner``, ``job-for-another-worker``,
    ``job-expired``, ``sealed-entry-refused``.
    """
    envelope, ciphertexts = unpack(data, _FIELD)
    opened = open_document(JOB, envelope, _FIELD, owner)
    job = read_body(JOB, Job, opened, _FIELD)
    if job.owner != owner:
        raise JOB.unreadable(_FIELD, "It names another owner than the one who signed it.")
    if job.worker != worker:
        raise _for_another(job, worker)
    not_after = _still_good(job, now)
    profile = _profile(job)
    return VerifiedJob(_MINT, job, opened.sha256, profile, not_after, _sealed(job, ciphertexts))


def _still_good(job: Job, now: datetime) -> datetime:
    signed, not_after = parse_time(job.signed), parse_time(job.not_after)
    if signed is None or not_after is None:
        raise JOB.unreadable(_FIELD, "Its times make no sense.")
    if not signed - CLOCK_SLACK <= now < not_after:
        raise expired(job)
    return not_after


def _profile(job: Job) -> GuestProfile:
    """The profile, which everything else that the job says of the guest must agree with."""
    if hashlib.sha256(job.profile.encode()).hexdigest() != job.profile_sha256:
        raise _inconsistent("profile_sha256")
    try:
        profile = read_profile(job.profile.encode(), f"the profile of job {job.name}")
        host = parse_host_url(job.host).url
    except (BadInput, UsageError) as error:
        raise _inconsistent("profile or host", error) from None
    pin = platform_pin(profile)
    agree = {
        "guest": profile.name == job.guest,
        "host": host == job.host and not is_by_hand(host),
        "ceks": pin["ceks"] == list(job.ceks),
        "oca": pin["oca"] == job.oca,
        "secrets": [one.entry for one in job.secrets]
        == list(dict.fromkeys(one.entry for one in profile.secret_references)),
    }
    for what, right in agree.items():
        if not right:
            raise _inconsistent(what)
    return profile


def _sealed(job: Job, ciphertexts: tuple[bytes, ...]) -> tuple[tuple[JobSecret, bytes], ...]:
    """The ciphertexts, if they are those that the owner has named."""
    named = [one for one in job.secrets if one.sealed is not None]
    if any((one.kind is None) != (one.sealed is None) for one in job.secrets):
        raise _inconsistent("secrets")
    found = [hashlib.sha256(one).hexdigest() for one in ciphertexts]
    if found != [one.sealed for one in named]:
        raise VerificationRefused(
            "sealed-entry-refused",
            "What is sealed for this job is not what the owner has sealed",
            "The ciphertexts that came with it are not those that it names.",
            JOB.remedy,
            {"job": job.job},
        )
    return tuple(zip(named, ciphertexts, strict=True))


def _inconsistent(what: str, cause: WatchwordError | None = None) -> BadInput:
    error = JOB.unreadable(_FIELD, f"What it says does not belong together, at “{what}”.")
    if cause is not None:
        error.add_details(cause=cause.as_json())
    return error


def _for_another(job: Job, worker: str) -> VerificationRefused:
    return VerificationRefused(
        "job-for-another-worker",
        "This job is another worker's",
        f"The owner has signed it for {job.worker_name} ({job.worker}); this worker is {worker}.",
        JOB.remedy,
        {"job": job.job, "signed_for": job.worker, "worker": worker},
    )


def expired(job: Job) -> VerificationRefused:
    """VerificationRefused ``job-expired``."""
    return VerificationRefused(
        "job-expired",
        "This job is out of its time",
        f"It is good from {job.signed} to {job.not_after}, and nothing is begun or sealed outside.",
        "Dispatch the fleet again with --resume: the job is signed anew. If the times look right,"
        " set this machine's clock.",
        {"job": job.job, "signed": job.signed, "not_after": job.not_after},
    )


def _file_missing(name: str, sha256: str) -> BadInput:
    return BadInput(
        "job-file-missing",
        name,
        "The job refers to it, and the queue has no file with that hash.",
        "Dispatch the fleet again with --resume: what is missing is put there anew.",
        {"sha256": sha256},
    )
