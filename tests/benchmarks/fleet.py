# SPDX-License-Identifier: Apache-2.0
"""Measures fleets by hand: launches each second, what one costs, memory of those that wait.

python tests/benchmarks/fleet.py launch 1000
python tests/benchmarks/fleet.py wait 10000 --seconds 280

The hosts are simulated, in a process of their own, behind real sockets. What was measured
last is in SCALING.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import hashlib
import itertools
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fleet_hosts import FleetHosts

from watchword.core.amd.advisories import published_advisories
from watchword.core.batch.checking import check_fleet
from watchword.core.batch.intent import BatchOrder, Phase
from watchword.core.batch.runner import run_batch
from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.guest.store import ProfileStore
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.surroundings import Surroundings, connector
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import RootKeys
from watchword.core.simulator import PlatformKeys, build_firmware, save_platform
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault

PHRASE = b"five words chosen by chance"
ALONE = 20
"""Launches, one after the other, from which the cost of a single one is taken."""
WINDOWS = 10


class Place:
    """A folder with a vault, records, one guest profile and a simulated machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = PlatformKeys.generate(4096)
        save_platform(self.keys, path / "platform")
        self.firmware = path / "OVMF.fd"
        self.firmware.write_bytes(build_firmware())
        (path / "chain.cert").write_bytes(self.keys.full_chain)
        way = PassphraseWay(lambda: Secret(PHRASE), lambda: Secret(PHRASE), Scrypt(14, 1))
        self.vault = Vault.create(path / "vault", way)
        self.vault.add("web/disk", EntryKind.DISK_SECRET, Secret(bytes(32)))
        self.records = Records.open(path)
        self.store = ProfileStore(path / "guests")
        document = {
            "name": "web",
            "technology": "sev-es",
            "policy": "default",
            "firmware": str(self.firmware),
            "vcpus": 2,
            "cpu": "EPYC-Milan",
            "ceks": [hashlib.sha256(self.keys.cek[:0x414]).hexdigest()],
            "secrets": {"disk-passphrase": "web/disk"},
        }
        profile = profile_from_document(document, "web")
        self.store.add(approve(profile, APPROVABLE, datetime.now(UTC))[0])

    def surroundings(self) -> Surroundings:
        ark, ask = (AmdCertificate.parse(one) for one in (self.keys.root.ark, self.keys.root.ask))
        roots = (RootKeys("milan", ark, ask),)
        return Surroundings(
            connect=connector(), roots=roots, advisories=published_advisories(), lock_seconds=0.0
        )

    def fleet(self, name: str, wait: int):
        text = (
            f'[[launch]]\nname = "{name}"\nguest = "web"\nwait = {wait}\n'
            f'host = "qmp+unix://{self.path}/{{name}}.sock"\n'
            f'certificates = "{self.path}/chain.cert"\n'
        )
        return check_fleet(text.encode(), "fleet", self.path, self.store, ["web/disk"])


class Clock:
    """Notes when launches come to an end, or to where they wait."""

    def __init__(self, event: str, step: str) -> None:
        self._event, self._step = event, step
        self.times: list[float] = []
        self.began = time.perf_counter()

    def __call__(self, event) -> None:
        wanted = event["event"] == self._event
        if wanted and (event.get("step"), event.get("outcome")) in (
            (self._step, None),
            (None, self._step),
        ):
            self.times.append(time.perf_counter() - self.began)

    def windows(self) -> list[float]:
        """Launches each second in each tenth of them: the same all along, if growth is linear."""
        size = max(1, len(self.times) // WINDOWS)
        edges = [0.0, *self.times[size - 1 :: size]]
        return [size / (after - before) for before, after in itertools.pairwise(edges)]


def memory() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def run(place: Place, fleet, clock: Clock, jobs: int, seconds: float, at_end=lambda: None):
    """Run it for so long at most; the summary, and seconds of wall and processor."""

    async def bounded():
        order = BatchOrder(phase=Phase.ALL, folder=place.path, environment={}, jobs=jobs)
        with LaunchDesk(place.records, place.vault, around) as desk:
            work = asyncio.ensure_future(run_batch(fleet, desk, around, order=order, report=clock))
            deadline = time.perf_counter() + seconds
            while not work.done() and time.perf_counter() < deadline:
                await asyncio.wait([work], timeout=0.5)
                at_end()
            work.cancel()
            return await work

    around = place.surroundings()
    clock.began, before = time.perf_counter(), time.process_time()
    summary = asyncio.run(bounded())
    return summary, time.perf_counter() - clock.began, time.process_time() - before


def launch(place: Place, count: int, jobs: int, seconds: float) -> None:
    """Whole launches, against one at a time."""
    with FleetHosts(place.path, place.path / "platform", place.firmware):
        alone = place.fleet(f"alone{{1..{ALONE}}}", 60)
        _, _, single = run(place, alone, Clock("result", "done"), 1, seconds)
        single /= ALONE
        clock = Clock("result", "done")
        fleet = place.fleet(f"v{{1..{count}}}", 300)
        summary, wall, cpu = run(place, fleet, clock, jobs, seconds)
    done = len(clock.times)
    busy = clock.times[-1] if clock.times else wall
    print(f"outcomes: {summary.as_json()['outcomes']}")
    print(f"one alone: {single * 1e3:.1f} ms of processor, so {1 / single:.2f} launches/s a core")
    print(f"{done} launches in {busy:.1f} s: {done / busy:.2f} launches/s, {jobs} at once")
    print(f"processor: {cpu / max(1, done) * 1e3:.1f} ms each, {cpu / wall:.2f} cores busy")
    print(f"of what one core could do one by one: {done / busy * single:.2f}")
    print("launches/s by tenths:", " ".join(f"{rate:.2f}" for rate in clock.windows()))


def wait(place: Place, count: int, seconds: float) -> None:
    """Launches whose VM nobody starts: what they hold in memory while they wait."""
    seen: list[tuple[int, int]] = []
    clock = Clock("step", "session")
    fleet = place.fleet(f"v{{1..{count}}}", 3600)
    gc.collect()
    before = memory()

    def look() -> None:
        seen.append((len(clock.times), memory()))
        if len(clock.times) == count:
            stop.append(time.perf_counter())

    stop: list[float] = []

    def look_and_stop() -> None:
        look()
        if len(stop) > 8:  # all have waited for some seconds
            raise _Enough

    with contextlib.suppress(_Enough):
        run(place, fleet, clock, count, seconds, look_and_stop)
    waiting, most = seen[-1][0], seen[-1][1]
    print(f"{waiting} wait after {clock.times[-1]:.0f} s")
    print(f"{(most - before) / waiting / 1000:.1f} kB each, {most / 1e6:.0f} MB in all")
    print("prepared/s by tenths:", " ".join(f"{rate:.2f}" for rate in clock.windows()))


class _Enough(Exception):
    """All that was to be seen was seen."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["launch", "wait"])
    parser.add_argument("count", type=int)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=280.0)
    parser.add_argument(
        "--no-disk", action="store_true", help="don't wait for the disk: what the processor takes"
    )
    chosen = parser.parse_args()
    if chosen.no_disk:
        os.fsync = lambda descriptor: None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="ww-", dir="/tmp") as folder:
        place = Place(Path(folder))
        if chosen.no_disk:
            place.records._connection.execute("pragma synchronous=off")
        if chosen.what == "launch":
            launch(place, chosen.count, chosen.jobs, chosen.seconds)
        else:
            wait(place, chosen.count, chosen.seconds)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
