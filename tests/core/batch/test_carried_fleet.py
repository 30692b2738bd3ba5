# SPDX-License-Identifier: Apache-2.0
"""A batch whose hosts are folders: run again at each turn, it goes on where the records are."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from watchword.core.batch.checking import check_fleet
from watchword.core.batch.runner import BatchOrder, Phase, run_batch
from watchword.core.errors import ExitStatus
from watchword.core.guest.store import ProfileStore
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import PlatformKeys, SimulatedHost

from ..hosts.exchange_people import Operator
from ..launch.support import SECRET, Office, amd_like_roots, make_profile


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    """An owner's home whose guest is pinned to the simulated machine."""
    made = Office(tmp_path, keys)
    pin = hashlib.sha256(keys.cek[:0x414]).hexdigest()
    made.profile = make_profile(made.firmware, ceks=[pin])
    made.roots = amd_like_roots(keys)
    ProfileStore(tmp_path / "guests").add(made.profile)
    (tmp_path / "cek.cert").write_bytes(keys.cek)
    return made


class Carried:
    """The same manifest, taken further run by run."""

    def __init__(self, office, *folders):
        self.office = office
        self.text = "".join(
            f'[[launch]]\nname = "{folder.name}"\nguest = "vm1"\nhost = "exchange://{folder}"\n'
            'certificates = "cek.cert"\n'
            for folder in folders
        )

    async def run(self, phase=Phase.COMPLETE):
        """Outcomes by name, and the exit status."""
        home = self.office.home
        fleet = check_fleet(self.text.encode(), "fleet.toml", home, ProfileStore(home / "guests"))
        order = BatchOrder(phase=phase, folder=home, environment={})
        with self.office.desk(connect=connector()) as desk:
            surroundings = self.office.surroundings(connect=connector())
            summary = await run_batch(
                fleet, desk, surroundings, order=order, report=lambda event: None
            )
        outcomes = {result.name: result.outcome.value for result in summary.results}
        return outcomes, summary.exit_status


def test_a_fleet_that_is_carried_by_hand_comes_to_its_end_turn_by_turn(office, keys):
    one, two = office.home / "one", office.home / "two"
    carried = Carried(office, one, two)

    async def scenario():
        async with SimulatedHost(keys) as host:
            operator = Operator(host, one)
            assert await carried.run(Phase.ALL) == (waiting("one", "two"), ExitStatus.WAITING)
            operator.file("1", "qmp.txt").write_text(await operator.capabilities())
            assert await carried.run() == (waiting("one", "two"), ExitStatus.WAITING)
            await operator.start_vm()
            operator.file("3", "qmp.txt").write_text(await operator.send("2", "ask.qmp"))
            assert await carried.run() == (waiting("one", "two"), ExitStatus.WAITING)
            await operator.send("4", "inject.qmp")
            operator.file("5", "qmp.txt").write_text(await operator.send("4", "run.qmp"))
            ended = {"one": "done", "two": "waiting"}
            assert await carried.run() == (ended, ExitStatus.WAITING)
            assert operator.machine.machine.memory.holds(SECRET)
            assert len(host.processor.packets) == 1
            ended["one"] = "done-before"
            assert await carried.run() == (ended, ExitStatus.WAITING)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def waiting(*names):
    return dict.fromkeys(names, "waiting")
