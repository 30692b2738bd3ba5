# SPDX-License-Identifier: Apache-2.0
"""A job from its signature to its result: real launches on simulated machines, by real workers."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from watchword.core.batch.fleet import FleetLaunch
from watchword.core.batch.results import LaunchResult, Outcome
from watchword.core.errors import AnswerPending, UsageError, VerificationRefused, WatchwordError
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.simulator import PlatformKeys
from watchword.core.vault.entries import EntryKind
from watchword.core.workers.by_hand_guard import by_hand_guard
from watchword.core.workers.giving_up import give_up, sealing_of
from watchword.core.workers.guard import JobGuard
from watchword.core.workers.job_run import JobRun, Workshop
from watchword.core.workers.lending import lend, take_back
from watchword.core.workers.signed_result import Sealed, open_result, sign_result
from watchword.core.workers.worker_store import WorkerStore

from ..launch.support import (
    ENTRY,
    NOW,
    SECRET,
    Office,
    Stage,
    amd_like_roots,
    cek_of,
    make_profile,
    open_vault,
)
from ..launch.test_one_packet import killed_at
from .support import Owner, Worker


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.delenv("WATCHWORD_HOME", raising=False)


@pytest.fixture
def owner(tmp_path):
    return Owner(tmp_path / "owner")


class SharedTable:
    """What an honest database does, without one."""

    def __init__(self):
        self.rows = {}

    async def claim(self, claim):
        newest = max((turn for key, turn in self.rows if key == claim.guest_key), default=0)
        if newest > claim.turn:
            return self.rows[claim.guest_key, newest]
        found = self.rows.setdefault((claim.guest_key, claim.turn), claim)
        mine = (found.worker, found.launch_id) == (claim.worker, claim.launch_id)
        return None if mine else found


class Lying:
    """Says yes to everybody."""

    async def claim(self, claim):
        return None


class Rack:
    """A worker's machine: its own vault, records, ledger and store, without the guest's secret."""

    def __init__(self, home, keys, owner, table, name="rack1"):
        home.mkdir()
        self.office = Office(home, keys)
        self.office.roots = amd_like_roots(keys)
        self.office.profile = make_profile(self.office.firmware, ceks=[cek_of(keys)])
        self.owner = owner
        self.worker = Worker(name)
        self.table = table
        self.store = WorkerStore.open(home)
        with open_vault(home) as vault:
            vault.remove(ENTRY)

    def signed(self, turn=1, *, profile=None):
        """A job for the guest of all racks, its secret sealed to this one."""
        profile = profile or self.office.profile
        planned = FleetLaunch(
            name="vm1",
            profile=profile,
            host=profile.host,
            certificates=(self._chain(),),
            inject=True,
            folder=self.office.home,
            start=None,
            start_seconds=1,
            wait=0,
        )
        assignment = replace(
            self.owner.assignment(self.worker, turn), name="vm1", guest="vm1", host=planned.host
        )
        sealed = {ENTRY: (EntryKind.DISK_SECRET, Secret(SECRET))}
        return self.owner.sign(self.worker, planned=planned, assignment=assignment, sealed=sealed)

    def _chain(self):
        path = self.office.home / "chain.cert"
        path.write_bytes(self.office.keys.full_chain)
        return path

    def job(self, signed):
        return self.worker.open(signed.package, self.owner)

    def desk(self, stage, guard=None):
        guard = guard or JobGuard(self.store, self.table, lambda: NOW)
        return self.office.desk(stage, before_sealing=guard)

    async def launch(self, job, stage):
        """What a worker does with a job; the operator starts the VM from the blob he is given."""
        guard = JobGuard(self.store, self.table, lambda: NOW)
        with open_vault(self.office.home) as vault:
            lend(job, self.worker.key, vault, self.store)
        with guard.on(job), self.desk(stage, guard) as desk:
            newest = desk.newest("vm1", job.job.host)
            if self.store.begin(job, newest.id if newest else None, NOW):
                run = desk.open(newest.id)
            else:
                run = desk.new(self.office.order(profile=job.profile))
            if run.record.session is None:
                await run.run(until="session")
                await stage.start(run.material)
            await run.run()
            return run.id

    def result(self, job, launch_id, stage, outcome=Outcome.DONE):
        said = job.job
        result = LaunchResult(said.name, said.guest, said.host, outcome, launch_id)
        with self.desk(stage) as desk:
            sealed, packet = sealing_of(job, launch_id, desk, self.store)
        with Records.open(self.office.home) as records:
            head = Ledger(records).exported_head()
        return sign_result(
            job, result, self.worker.key, sealed=sealed, packet=packet, head=head, now=NOW
        )

    async def come_again(self, job, stage):
        """What the worker signs for a job that comes again."""
        with (
            open_vault(self.office.home) as vault,
            self.desk(stage) as desk,
            Records.open(self.office.home) as records,
        ):
            shop = Workshop(
                queue=None,
                key=self.worker.key,
                owner=self.owner.fingerprint,
                desk=desk,
                surroundings=self.office.surroundings(stage),
                vault=vault,
                store=self.store,
                guard=None,
                ledger=Ledger(records),
                files=self.office.home / "jobs",
                folder=self.office.home,
                out=None,
                environment={},
                allow_start=False,
                report=lambda event: None,
            )
            return await JobRun(job, shop).signed()

    def heard(self, signed, data):
        workers = self.owner.workers(self.worker)
        return open_result(data, signed.job, signed.digest, workers)

    def settle(self, job):
        with open_vault(self.office.home) as vault:
            take_back(job, vault, self.store)


@pytest.fixture
def rack(tmp_path, keys, owner):
    def make(name="rack1", table=None):
        made.append(Rack(tmp_path / name, keys, owner, table or shared, name))
        return made[-1]

    made, shared = [], SharedTable()
    yield make
    for one in made:
        one.store.close()


def profile_of(racks):
    """One profile for all: each machine has the same firmware at a place of its own."""
    return racks[0].office.profile


def code_of(run):
    with pytest.raises(WatchwordError) as caught:
        asyncio.run(run)
    return caught.value.code


def test_a_job_is_done_with_a_secret_that_only_its_worker_could_open(rack, keys):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            signed = one.signed()
            job = one.job(signed)
            launch_id = await one.launch(job, stage)
            assert stage.holds(SECRET)
            (packet,) = stage.packets
            heard = one.heard(signed, one.result(job, launch_id, stage))
            assert heard.sealed is Sealed.SEALED
            assert heard.packet == packet.packet_sha256
            assert heard.closes
            with Records.open(one.office.home) as records:
                assert Ledger(records).verify([heard.head]).known_heads == 1

    asyncio.run(scenario())
    one.settle(one.job(one.signed()))


def test_after_the_job_nothing_secret_is_left_with_the_worker(rack, keys):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            await one.launch(job, stage)
            one.settle(job)

    asyncio.run(scenario())
    assert one.office.files_with(SECRET) == []
    assert not any(name == ENTRY or name.endswith(("tek", "tik")) for name in vault_of(one))


def vault_of(one):
    return one.office.vault_entries()


@pytest.mark.parametrize(
    "point", ["sealing-allowed", "packet-sealed", "packet-in-vault", "packet-stored"]
)
def test_a_worker_that_dies_around_the_sealing_goes_on_with_the_one_packet(rack, keys, point):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            with killed_at(point):
                await one.launch(job, stage)
            launch_id = await one.launch(job, stage)
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1
            assert one.store.claimed_by(job) == launch_id

    asyncio.run(scenario())


def test_a_database_that_lies_cant_have_a_second_worker_do_it(rack, keys):
    """The job is signed for one worker: another one refuses it, whatever the database says."""
    one, other = rack("rack1", Lying()), rack("rack2", Lying())
    signed = one.signed()
    with pytest.raises(VerificationRefused) as caught:
        other.job(signed)
    assert caught.value.code == "job-for-another-worker"


def test_a_second_worker_with_the_same_turn_is_stopped_by_the_table(rack, keys):
    one, other = rack("rack1"), rack("rack2")
    first, second = one.signed(), other.signed(profile=profile_of([one]))

    async def scenario():
        async with Stage(keys) as stage, Stage(keys) as elsewhere:
            await one.launch(one.job(first), stage)
            with pytest.raises(VerificationRefused) as caught:
                await other.launch(other.job(second), elsewhere)
            assert caught.value.code == "sealed-elsewhere"
            assert elsewhere.packets == ()
            assert not elsewhere.holds(SECRET)

    asyncio.run(scenario())


def test_a_job_that_was_given_up_goes_to_another_worker_and_never_comes_back(rack, keys):
    one, other = rack("rack1"), rack("rack2")
    signed = one.signed()
    job = one.job(signed)

    async def scenario():
        async with Stage(keys) as stage, Stage(keys) as elsewhere:
            with killed_at("measurement-verified"):
                await one.launch(job, stage)
            with one.desk(stage) as desk:
                result = give_up(job, desk, one.store, "the rack is needed", NOW)
            said = one.worker.key
            data = sign_result(
                job, result, said, sealed=Sealed.NEVER, packet=None, head=None, now=NOW
            )
            assert one.heard(signed, data).closes
            second = other.job(other.signed(2, profile=profile_of([one])))
            await other.launch(second, elsewhere)
            assert len(elsewhere.packets) == 1
            with pytest.raises(WatchwordError) as caught:
                await one.launch(job, stage)
            assert caught.value.code == "job-given-up"
            assert stage.packets == ()

    asyncio.run(scenario())
    assert not any(name.endswith(("tek", "tik")) for name in vault_of(one))


def test_what_was_sealed_cant_be_given_up(rack, keys):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            with killed_at("packet-stored"):
                await one.launch(job, stage)
            with one.desk(stage) as desk, pytest.raises(UsageError) as caught:
                give_up(job, desk, one.store, "no", NOW)
            assert caught.value.code == "job-sealed"
            with one.desk(stage) as desk:
                claim = desk.claim("vm1", job.job.host)
                with pytest.raises(AnswerPending):
                    give_up(job, desk, one.store, "no", NOW)
                claim.release()

    asyncio.run(scenario())


def test_what_a_person_has_completed_by_hand_cant_be_given_up_either(rack, keys):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            with killed_at("measurement-verified"):
                await one.launch(job, stage)
            with open_vault(one.office.home) as vault:
                lend(job, one.worker.key, vault, one.store)
            by_hand = by_hand_guard(one.office.home)
            with one.office.desk(stage, before_sealing=by_hand) as desk:
                newest = desk.newest("vm1", job.job.host)  # as `watchword launch resume` does
                with pytest.raises(VerificationRefused) as caught:
                    await desk.open(newest.id).run()
            assert caught.value.code == "guest-of-jobs"
            assert stage.packets == ()
            with one.office.desk(stage) as desk:  # with a program that asks nobody
                await desk.open(newest.id).run()
            with one.desk(stage) as desk, pytest.raises(UsageError) as caught:
                give_up(job, desk, one.store, "no", NOW)
            assert caught.value.code == "job-sealed"
            with one.desk(stage) as desk:
                sealed, _ = sealing_of(job, newest.id, desk, one.store)
            assert sealed is Sealed.SEALED

    asyncio.run(scenario())


def test_a_claimed_turn_without_a_packet_is_said_to_be_so(rack, keys):
    one = rack()

    async def scenario():
        async with Stage(keys) as stage:
            job = one.job(one.signed())
            with one.desk(stage) as desk:
                assert sealing_of(job, None, desk, one.store) == (Sealed.NOT_YET, None)
            with killed_at("sealing-allowed"):
                await one.launch(job, stage)
            with one.desk(stage) as desk:
                claimed = one.store.claimed_by(job)
                assert sealing_of(job, claimed, desk, one.store) == (Sealed.MAY_BE, None)
                result = give_up(job, desk, one.store, "gone", NOW)
                assert result.launch_id == claimed
                assert sealing_of(job, claimed, desk, one.store) == (Sealed.NEVER, None)

    asyncio.run(scenario())
