# SPDX-License-Identifier: Apache-2.0
"""What the tests of jobs share: an owner, workers that he has enrolled, and a launch to sign."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from watchword.core.batch.intent import BatchOrder, Phase
from watchword.core.evidence.signing_key import new_signing_key, signer_fingerprint
from watchword.core.secret import Secret
from watchword.core.workers.assignments import Assignments
from watchword.core.workers.enrolment import Workers, enrol, read_enrolment, read_request
from watchword.core.workers.signed_job import Assignment, sign_job
from watchword.core.workers.verified_job import open_job
from watchword.core.workers.worker_key import WorkerKey, enrolment_request

from ..batch.support import FleetFolder, launches

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=6)
BATCH = "ba" * 16
HOST = "qmp+unix:///run/web1"


class Owner:
    """An owner with a key for jobs, and his folder of profiles."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.seed = new_signing_key(os.urandom)
        self.fingerprint = signer_fingerprint(self.seed)
        self.fleet = FleetFolder(folder)
        self.fleet.profile("web", secrets={"disk-passphrase": "web/disk"})
        self.order = BatchOrder(phase=Phase.ALL, folder=folder, environment={})

    def planned(self, name="web1", **more):
        return self.fleet.check(launches(name, **more)).launches[0]

    def enrolment_file(self, worker, days=365):
        request = read_request(worker.request, "the request")
        return enrol(
            request,
            self.seed,
            owner_fingerprint=self.fingerprint,
            serial="5e" * 32,
            now=NOW,
            days=days,
        )

    def enrolled(self, worker):
        return read_enrolment(self.enrolment_file(worker), self.fingerprint, "the enrolment", NOW)

    def workers(self, *workers):
        return Workers([self.enrolled(worker) for worker in workers])

    def assignment(self, worker, turn=1, name="web1", job_id="10" * 16):
        host = f"qmp+unix:///run/{name}"
        return Assignment(job_id, BATCH, name, "web", host, worker.fingerprint, turn)

    def sign(self, worker, *, planned=None, assignment=None, **more):
        values = {"now": NOW, "not_after": LATER, "order": self.order, **more}
        return sign_job(
            planned or self.planned(),
            assignment or self.assignment(worker),
            self.seed,
            owner_fingerprint=self.fingerprint,
            worker=self.enrolled(worker),
            **values,
        )

    def assignments(self):
        return Assignments.open(self.folder)

    def assign(self, store, worker, name="web1", **more):
        host = f"qmp+unix:///run/{name}"
        values = {"worker": worker.fingerprint, "batch": BATCH, "name": name, **more}
        return store.assign(self.fingerprint, "web", host, **values)


class Worker:
    """A worker with keys of its own."""

    def __init__(self, name="rack1"):
        self.name = name
        self.key = WorkerKey(new_signing_key(os.urandom), Secret(os.urandom(32)))
        self.fingerprint = self.key.fingerprint
        self.request = enrolment_request(self.key, name, NOW)

    def open(self, package, owner, now=NOW):
        return open_job(package, owner=owner.fingerprint, worker=self.fingerprint, now=now)
