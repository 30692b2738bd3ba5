# SPDX-License-Identifier: Apache-2.0
"""kill -9 of workers, of the batch and of PostgreSQL, at random: one packet each, none lost."""

from __future__ import annotations

import os
import random
import time

import pytest

from ..workers.conftest import cluster, database  # noqa: F401 - fixtures
from .queue_support import LONG, QueueFleet, end, given

KILLS = int(os.environ.get("WATCHWORD_KILLS", "5"))
"""How often something is killed; by hand more often: WATCHWORD_KILLS=100."""
VICTIMS = ("worker", "postgres", "worker", "postgres", "batch")


@pytest.fixture
def fleet(batches, folder, platform, firmware, database):  # noqa: F811 - as pytest has it
    return QueueFleet(batches, folder, platform, firmware, database)


class _Scene:
    """The batch, two workers and PostgreSQL; each may be killed, and begins again at once."""

    def __init__(self, fleet, cluster, text):  # noqa: F811 - as above
        self.fleet, self.cluster, self.text = fleet, cluster, text
        self.workers = {name: fleet.start_worker(name) for name in fleet.homes}
        self.batch = self._batch()

    def _batch(self):
        return self.fleet.start_batch(self.text, "--resume", "--jobs", "8")

    def kill(self, victim, chance):
        """Kill it, and start it again."""
        if victim == "postgres":
            self.cluster.kill()
            time.sleep(chance.random() * 0.5)
            self.cluster.start()
        elif victim == "batch":
            self.batch.kill()
            end(self.batch)
            self.batch = self._batch()
        else:
            name = chance.choice(sorted(self.workers))
            self.workers[name].kill()
            end(self.workers[name])
            self.workers[name] = self.fleet.start_worker(name)

    def wait_for_news(self, seconds):
        """Return once a result came since, or the batch is over."""
        before, deadline = len(self.fleet.events()), time.monotonic() + seconds
        while time.monotonic() < deadline and self.batch.poll() is None:
            if len(self.fleet.events()) > before + 2:
                return
            time.sleep(0.02)

    def close(self):
        for process in (self.batch, *self.workers.values()):
            end(process)


@pytest.mark.slow
def test_kills_at_random_points_seal_once_and_lose_nothing(fleet, cluster):  # noqa: F811
    seed = int(os.environ.get("WATCHWORD_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"WATCHWORD_SEED={seed}")
    chance, count = random.Random(seed), 5 * KILLS
    fleet.enrol("one", "two")
    text, killed = fleet.manifest(count), 0
    with fleet.hosts() as hosts:
        scene = _Scene(fleet, cluster, text)
        try:
            for number in range(KILLS):
                scene.wait_for_news(20)
                time.sleep(chance.random() * 0.6)
                killed += scene.batch.poll() is None
                scene.kill(VICTIMS[number % len(VICTIMS)], chance)
            _, err = scene.batch.communicate(timeout=LONG + 2 * KILLS)
            status = scene.batch.returncode
            if status != 0:  # what was told as interrupted or elsewhere is there now
                status, again = fleet.run(text, "--resume")
                err = err.decode() + again
            packets, told = given(hosts), hosts.report()
        finally:
            scene.close()
    assert status == 0, f"seed {seed}: {err[-3000:]}" + fleet.log("one")[-2000:]
    assert killed >= max(1, KILLS // 10)  # on a fast machine the batch is soon over
    assert all(len(one) == 1 for one in packets.values())
    assert sum(one["holds"] for one in told.values()) == count
    last = {one["name"]: one["outcome"] for one in fleet.events() if one["event"] == "result"}
    assert set(last.values()) <= {"done", "done-before"}
    assert len(last) == count
