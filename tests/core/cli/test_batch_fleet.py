# SPDX-License-Identifier: Apache-2.0
"""Whole fleets over real sockets: many at once, among hosts that stall, lie and die."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from ...fleet_hosts import DEAD, NEVER, FleetHosts
from .batch_support import DRIVER, lines, outcomes

KILLS = int(os.environ.get("WATCHWORD_KILLS", "8"))
"""How often a batch is killed; by hand more often: WATCHWORD_KILLS=100."""
BAD = ("wrong-firmware", "silence", DEAD, NEVER, "disconnect-mid-command")
REFUSED = {"wrong-firmware": "measurement-mismatch"}


@pytest.fixture
def fleet(batches, folder, platform, firmware):
    """A fleet's manifest, its simulated hosts, and ``watchword --batch`` in a process."""
    return _Fleet(batches, folder, platform, firmware)


class _Fleet:
    def __init__(self, batches, folder, platform, firmware):
        self.batches, self.folder = batches, folder
        self.platform, self.firmware = platform, firmware
        self.results = folder / "results.jsonl"

    def hosts(self, **behaviours):
        return FleetHosts(self.folder, self.platform, self.firmware, behaviours)

    def manifest(self, count, wait=30, more=""):
        return (
            f'[hosts.rack]\nurl = "qmp+unix://{self.folder}/{{name}}.sock"\n'
            f'certificates = "{self.folder}/chain.cert"\n{more}'
            f'[templates.web]\nguest = "web"\non = "rack"\nwait = {wait}\n'
            f'[[launch]]\nname = "v{{1..{count}}}"\ntemplate = "web"\n'
        )

    @contextlib.contextmanager
    def process(self, text, *words, output=None):
        words = self.batches.words(text, "--output", output or self.results, *words)
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.platform), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, text, *words):
        with self.process(text, *words) as process:
            _, err = process.communicate(timeout=120)
        return process.returncode, err.decode()

    def events(self):
        found = []
        for line in self.results.read_text().splitlines():
            with contextlib.suppress(ValueError):  # cut off by a kill
                found.append(json.loads(line))
        return found


def given(hosts):
    """Distinct packets by name, of each VM that was offered any."""
    told = hosts.report()
    assert all(one["blobs"] == 1 for one in told.values()), "a launch was begun a second time"
    return {name: set(one["packets"]) for name, one in told.items() if one["packets"]}


@pytest.mark.slow
def test_200_guests_of_which_20_stall_lie_or_die(fleet):
    behaviours = {f"v{10 * (i + 1)}": BAD[i % len(BAD)] for i in range(20)}
    text = fleet.manifest(200, wait=12)
    with fleet.hosts(**behaviours) as hosts:
        status, err = fleet.run(text, "--jobs", "100")
        packets = given(hosts)
        held = {name for name, one in hosts.report().items() if one["holds"]}
    honest = {f"v{i}" for i in range(1, 201)} - behaviours.keys()
    events = fleet.events()
    found = outcomes(events)
    assert {name for name in found if found[name] == "done"} == honest, err[-2000:]
    assert held >= honest
    assert all(len(packets[name]) == 1 for name in honest)
    assert not [name for name, one in behaviours.items() if one in REFUSED and name in packets]
    assert status == 7
    summary = events[-1]
    assert summary["event"] == "summary"
    counts = {one["code"]: one["count"] for one in summary["causes"]}
    assert counts["measurement-mismatch"] == 4
    assert counts["vm-not-started"] == 4
    assert {one["name"] for one in summary["failed"] + summary["waiting"]} == set(behaviours)
    assert "4 failed (measurement-mismatch): The measurement does not match: v10, v60" in err


@pytest.mark.slow
def test_a_batch_that_is_killed_again_and_again_seals_once_and_loses_nothing(fleet):
    count, chance = 5 * KILLS, random.Random()
    text = fleet.manifest(count)
    killed = 0
    with fleet.hosts() as hosts:
        for _ in range(KILLS):
            before = len(fleet.events()) if fleet.results.exists() else 0
            with fleet.process(text, "--resume", "--jobs", "8") as process:
                deadline = time.monotonic() + 20  # until it is at work, and a moment longer
                while time.monotonic() < deadline and process.poll() is None:
                    if fleet.results.exists() and len(fleet.events()) > before + 3:
                        break
                    time.sleep(0.02)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.random() * 0.6)
                killed += process.poll() is None
                process.send_signal(signal.SIGKILL)
                process.wait()
        status, err = fleet.run(text, "--resume")
        packets, told = given(hosts), hosts.report()
    assert status == 0, err[-2000:]
    assert killed >= KILLS // 2
    assert all(len(one) == 1 for one in packets.values())
    assert sum(one["holds"] for one in told.values()) == count
    last = {one["name"]: one["outcome"] for one in fleet.events() if one["event"] == "result"}
    assert set(last.values()) <= {"done", "done-before"}
    assert len(last) == count


@pytest.mark.slow
def test_two_batches_over_one_fleet_launch_each_guest_once(fleet):
    text, count = fleet.manifest(16), 16
    other = fleet.folder / "other.jsonl"
    with (
        fleet.hosts() as hosts,
        fleet.process(text, "--resume", "--jobs", "4") as one,
        fleet.process(text, "--resume", "--jobs", "4", output=other) as two,
    ):
        errors = [process.communicate(timeout=100)[1] for process in (one, two)]
        packets, told = given(hosts), hosts.report()
    assert {one.returncode, two.returncode} <= {0, 9}, errors
    assert len(packets) == count
    assert all(len(found) == 1 for found in packets.values())
    assert all(found["holds"] for found in told.values())
    mine, others = outcomes(fleet.events()), outcomes(lines(other.read_text()))
    for name in mine:
        assert [mine[name], others[name]].count("done") == 1
        assert {mine[name], others[name]} <= {"done", "done-before", "elsewhere"}


def test_ctrl_c_says_how_far_each_launch_is_and_resume_goes_on(fleet):
    text = fleet.manifest(4)
    with fleet.hosts(v2=NEVER, v3="silence") as hosts:
        with fleet.process(text) as process:
            deadline = time.monotonic() + 60
            while not fleet.results.exists() or outcomes(fleet.events()).keys() < {"v1", "v4"}:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        results = {one["name"]: one for one in fleet.events() if one["event"] == "result"}
        assert results["v2"]["outcome"] == "interrupted"
        assert results["v2"]["state"] == "prepared"
        assert b"v2: INTERRUPTED while it was prepared; --resume goes on" in err
        again, _ = fleet.run(text.replace("wait = 30", "wait = 0"), "--resume", "--only", "v[14]")
        assert again == 0
        assert set(outcomes(fleet.events()).values()) >= {"done-before"}
        given(hosts)
