# SPDX-License-Identifier: Apache-2.0
"""Fleets past one machine: the same results as on one, over a real PostgreSQL."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from pathlib import Path

import pytest

from watchword.core.workers.owner_key import owner_key

from ..workers.conftest import cluster, database  # noqa: F401 - fixtures
from .batch_support import SECRET, lines, outcomes
from .queue_support import LONG, QueueFleet, end, given, wait_until

TIMES = ("time", "launch", "job", "worker")
"""What differs from run to run, or is said of workers alone."""


@pytest.fixture
def fleet(batches, folder, platform, firmware, database):  # noqa: F811 - as pytest has it
    return QueueFleet(batches, folder, platform, firmware, database)


def results(events):
    """What is told of launches, by name, and the summary; what is made by chance is left out."""
    kept = [one for one in events if one["event"] in ("launch", "step", "result", "summary")]
    for one in kept:
        for key in TIMES:
            one.pop(key, None)
        if "error" in one:  # nonces and measurements are in there
            one["error"]["details"] = sorted(one["error"]["details"])
    said = re.sub(r"web-[0-9]{8}-[0-9a-f]+", "LAUNCH", json.dumps(kept))
    return sorted(json.loads(said), key=lambda one: one.get("name", ""))


@pytest.mark.slow
def test_the_same_manifest_has_the_same_results_by_workers_as_without(
    fleet, batches, monkeypatch, tmp_path
):
    text = fleet.manifest(4, wait=12)
    behaviours = {"v2": "wrong-firmware", "v3": "never"}
    with fleet.hosts(**behaviours) as hosts:
        fleet.enrol("one")
        with fleet.worker("one", "--jobs", "8"):
            status, err = fleet.run(text)
        packets = given(hosts)
    assert {name: len(one) for name, one in packets.items()} == {"v1": 1, "v4": 1}
    by_workers = fleet.events()
    for file in [*(fleet.folder / "out").rglob("*"), *fleet.folder.glob("*.sock")]:
        if not file.is_dir():
            file.unlink()
    with fleet.hosts(**behaviours):
        local = fleet.local(text)
    assert (status, local[0]) == (7, 7), err + fleet.log("one") + local[1]
    alone = fleet.events(fleet.folder / "local.jsonl")
    assert outcomes(by_workers) == outcomes(alone)
    assert results(by_workers) == results(alone)


@pytest.mark.slow
def test_no_secret_lies_in_the_database_or_its_log(fleet, cluster):  # noqa: F811 - as above
    fleet.enrol("one")
    with fleet.hosts(v3="never") as hosts:
        with fleet.worker("one"):
            status, err = fleet.run(fleet.manifest(3, wait=12))
        assert len(given(hosts)) == 2
    assert status == 9, err + fleet.log("one")
    everything = cluster.files()
    assert b"web/disk" not in cluster.dump(fleet.url).encode()  # over, so nothing is left of it
    kept = fleet.workers_secrets()
    assert {"tek", "tik"} <= {name.rpartition("/")[2] for name in kept}  # the third one's
    for secret in (SECRET, *kept.values()):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert form not in everything
    # What was searched is the right place: the job was there, and the guard's row is.
    assert cluster.psql("SELECT count(*) FROM watchword_seals", fleet.url).strip() == "2"
    assert b"watchword_answers" in everything


@pytest.mark.slow
def test_two_batches_over_one_fleet_launch_each_guest_once(fleet):
    text, other = fleet.manifest(10), fleet.folder / "other.jsonl"
    fleet.enrol("one", "two")
    with (
        fleet.hosts() as hosts,
        fleet.worker("one"),
        fleet.worker("two"),
        fleet.batch(text, "--resume", "--jobs", "4") as mine,
        fleet.batch(text, "--resume", "--jobs", "4", output=other) as others,
    ):
        errors = [process.communicate(timeout=LONG)[1] for process in (mine, others)]
        packets, told = given(hosts), hosts.report()
    assert {mine.returncode, others.returncode} <= {0, 9}, errors
    assert len(packets) == 10
    assert all(len(found) == 1 for found in packets.values())
    assert all(found["holds"] for found in told.values())
    first, second = outcomes(fleet.events()), outcomes(lines(other.read_text()))
    for name in first:
        assert {first[name], second[name]} <= {"done", "done-before", "elsewhere"}
        assert "done" in (first[name], second[name])


@pytest.mark.slow
def test_a_worker_that_never_comes_back_is_told_and_others_take_its_place(fleet):
    fleet.enrol("one")
    text = fleet.manifest(2)
    with fleet.hosts() as hosts:
        status, err = fleet.run(text, "--patience", "1")  # nobody works
        assert status == 9, err
        assert "its worker is not heard of" in err.lower()
        assert "--lost-worker one" in err
        fleet.enrol("two")
        with fleet.worker("two"):
            status, err = fleet.run(text, "--resume", "--patience", "2")
            assert status == 9, err  # they stay the first one's, until the owner has spoken
            status, err = fleet.run(text, "--resume", "--lost-worker", "one")
            assert status == 0, err + fleet.log("two")
        assert all(len(one) == 1 for one in given(hosts).values())
    assert set(outcomes(fleet.events()).values()) == {"done"}


@pytest.mark.slow
def test_a_database_that_forges_neither_makes_nor_breaks_a_launch(fleet, cluster):  # noqa: F811
    fleet.enrol("one")
    with fleet.hosts() as hosts, fleet.batch(fleet.manifest(2), "--resume") as batch:
        wait_until(lambda: _count(cluster, fleet, "procrastinate_jobs") == 2)
        cluster.psql(
            "INSERT INTO watchword_answers (job, body)"
            " SELECT queueing_lock, 'done' FROM procrastinate_jobs",
            fleet.url,
        )
        cluster.psql(  # one bit of a job's signature, and the same job for a second time
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
            " SELECT queue_name, task_name, jsonb_build_object('job',"
            " translate(args->>'job', 'QR', 'RQ')) FROM procrastinate_jobs;"
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
            " SELECT queue_name, task_name, args FROM procrastinate_jobs",
            fleet.url,
        )
        with fleet.worker("one"):
            _, err = batch.communicate(timeout=LONG)
            wait_until(lambda: _count(cluster, fleet, "procrastinate_jobs") == 0)
        packets = given(hosts)
    assert batch.returncode == 0, err.decode() + fleet.log("one")
    assert {len(one) for one in packets.values()} == {1}
    assert "counts for nothing" in err.decode()
    assert "no job for this worker" in fleet.log("one")
    assert set(outcomes(fleet.events()).values()) == {"done"}


@pytest.mark.slow
def test_a_worker_takes_no_other_owners_jobs(fleet, cluster):  # noqa: F811 - as above
    fleet.enrol("one")
    with fleet.hosts() as hosts:
        with fleet.worker("one", owner="ab" * 32) as worker:
            # It has taken the jobs, and dropped them.
            with fleet.batch(fleet.manifest(1)) as batch:
                wait_until(lambda: "no job for this worker" in fleet.log("one"))
                batch.send_signal(signal.SIGINT)
                _, err = batch.communicate(timeout=LONG)
            assert batch.returncode == 130, err
            end(worker)
            assert worker.returncode == 0, fleet.log("one")
        assert hosts.report() == {}


@pytest.mark.slow
def test_each_machine_has_its_own_limit_and_sigterm_ends_a_worker_in_order(fleet):
    fleet.enrol("one")
    text = fleet.manifest(3, more="limit = 1\n")
    with fleet.hosts(v1="never"), fleet.batch(text, "--only", "v[12]") as batch:
        with fleet.worker("one") as worker:
            wait_until(lambda: "launch" in fleet.log("one"))
            end(worker)
        assert worker.returncode == 0, fleet.log("one")
        assert "INTERRUPTED" in fleet.log("one")
        assigned = [one for one in fleet.events() if one["event"] == "assigned"]
        assert [one["name"] for one in assigned] == ["v1"]
        batch.send_signal(signal.SIGINT)
        batch.communicate(timeout=LONG)


def _count(cluster, fleet, table):  # noqa: F811 - as above
    return int(cluster.psql(f"SELECT count(*) FROM {table}", fleet.url))


@pytest.mark.slow
def test_what_a_worker_gives_up_goes_to_another_one(fleet):
    fleet.enrol("one")
    text = fleet.manifest(2, wait=1)
    with fleet.hosts(v1="never", v2="never"), fleet.worker("one"):
        assert fleet.run(text)[0] == 9  # prepared there; its VMs never came
    fleet.enrol("two")
    with fleet.worker("one", "--give-up", "this rack is taken down"):
        status, err = fleet.run(text, "--resume")
        assert status == 9
        assert "this rack is taken down" in err
    for file in (fleet.folder / "out").rglob("*.b64"):
        file.unlink()
    with fleet.hosts() as hosts, fleet.worker("two"):
        status, err = fleet.run(fleet.manifest(2), "--resume")
        assert status == 0, err + fleet.log("two")
        assert all(len(one) == 1 for one in given(hosts).values())


def test_without_workers_or_with_a_password_nothing_is_sent(batches, batch_home):
    text = batches.manifest("v1")
    alone = batches(text, "--queue", "postgresql:///x?host=/run")
    assert (alone.status, alone.json["error"]["code"]) == (2, "bad-arguments")
    assert batches(text, "--worker", "file").status == 2
    assert batches(text, "--queue", "postgresql:///x", "--dry-run").status == 2
    with batch_home.open_vault() as vault:
        owner_key(vault, make=True)
    told = batches(text, "--queue", "postgresql://me:s3cret@db/x", "--worker", "file")
    assert (told.status, lines(told.out)[-1]["error"]["code"]) == (2, "password-in-url")
    assert "s3cret" not in told.out + told.err


@pytest.mark.slow
def test_without_the_two_small_files_and_the_guards_rows_nothing_is_launched_twice(fleet, cluster):  # noqa: F811 - as above
    """As older copies of them; what they knew is in the ledgers."""
    fleet.enrol("one")
    text = fleet.manifest(2)
    with fleet.hosts() as hosts:
        with fleet.worker("one"):
            status, err = fleet.run(text)
        assert status == 0, err + fleet.log("one")
        homes = (fleet.homes["one"], Path(os.environ["WATCHWORD_HOME"]))
        for name in ("worker", "assignments"):
            assert sum(_remove(home, name) for home in homes) >= 1
        cluster.psql("TRUNCATE watchword_seals", fleet.url)
        with fleet.worker("one"):
            status, again = fleet.run(text)
            assert status == 6, again
            assert "An earlier run has given out" in again
            status, err = fleet.run(text, "--resume")
        assert status == 0, err + fleet.log("one")
        packets = given(hosts)
    assert {name: len(one) for name, one in packets.items()} == {"v1": 1, "v2": 1}
    assert "assignments.sqlite3) was an older copy" in again
    assert "worker.sqlite3) was an older copy" in fleet.log("one")


def _remove(home, name):
    found = list(home.glob(f"{name}.sqlite3*"))
    for path in found:
        path.unlink()
    return len(found)
