# SPDX-License-Identifier: Apache-2.0
"""What the tests of the engine share: an owner's home, his rules, and a machine with many VMs."""

from __future__ import annotations

import asyncio
import base64
import contextlib

from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.store import LaunchStore
from watchword.core.launch.surroundings import connector
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import SimulatedHost, StartOrder, build_firmware
from watchword.core.vault.entries import EntryKind as VaultKind
from watchword.core.watch.events import Asked, Gone, Paused
from watchword.core.watch.rules import WatchRules
from watchword.core.watch.watch import Pace, Watch

from ..launch.support import (
    NOW,
    SECRET,
    Office,
    add_secret,
    amd_like_roots,
    cek_of,
    make_profile,
    open_vault,
    profile_policy,
)

HOSTS = ("qmp+unix:///tmp/ww-*/*.sock",)
LIMITS = {"instances_at_most": 3, "starts_per_hour": 10}
FAST = Pace(tick=0.02, expiry=0.02, retry=0.05, look=0, grace=20.0)
PATIENCE = 120
DISK = "vm1/root"
"""A secret of worth, not one for tests."""


class WatchOffice(Office):
    """An owner's home whose guest is pinned to one simulated machine, and may be watched."""

    def __init__(self, home, keys, **limits):
        super().__init__(home, keys)
        self.roots = amd_like_roots(keys)
        self.watch_table = {**LIMITS, **limits}
        self.ceks = [cek_of(keys)]
        self.set_profile()
        self.hosts = HOSTS
        self.approvals = home / "approvals"
        self.expire_seconds = 3600
        self.events = []
        with open_vault(home) as vault:
            add_secret(vault, kind=VaultKind.DISK_SECRET, name=DISK)

    def set_profile(self, **values):
        watch = {"watch": self.watch_table} if self.watch_table else {}
        secrets = {"disk-passphrase": DISK}
        fields = {"ceks": self.ceks, "secrets": secrets, **watch, **values}
        self.profile = make_profile(self.firmware, **fields)

    def other_profile(self, name, **values):
        document = {**self.profile.to_document(), "name": name, **values}
        return approve(profile_from_document(document, name), APPROVABLE, NOW)[0]

    def rules(self, *others, **values):
        profiles = {profile.name: profile for profile in (self.profile, *others)}
        return WatchRules(
            **{
                "guests": profiles,
                "hosts": self.hosts,
                "approvals": self.approvals,
                "expire_seconds": self.expire_seconds,
                **values,
            }
        )

    @contextlib.contextmanager
    def watch(self, *others, pace=FAST, around=None, **values):
        """A watch as a new process has it: records and vault are opened anew."""
        surroundings = self.surroundings(
            **{"connect": connector(), "lock_seconds": 0, **(around or {})}
        )
        with (
            Records.open(self.home) as records,
            open_vault(self.home) as vault,
            LaunchDesk(records, vault, surroundings) as desk,
        ):
            rules = self.rules(*others, **values)
            yield Watch(desk, records, surroundings, rules, self.events.append, pace=pace)

    def entries(self, *kinds):
        with Records.open(self.home) as records:
            ledger = Ledger(records)
            ledger.verify()
            wanted = [EntryKind(kind) for kind in kinds] or None
            return list(ledger.entries(kinds=wanted))

    def refusals(self):
        """What the ledger has of refused requests and unknown VMs: kinds and codes."""
        found = self.entries("watch-refused", "watch-unknown-vm")
        return [(entry.kind.value, entry.body["error"]["code"]) for entry in found]

    def states(self):
        with Records.open(self.home) as records:
            return {one.id: str(one.state) for one in LaunchStore(records).list()}

    def told(self, event):
        return [told for told in self.events if told["event"] == event]


class Machine(SimulatedHost):
    """A simulated machine whose operator starts VMs with what the watch answers."""

    async def operator_starts(self, answer, firmware=None, address=None, **options):
        """A VM with the answer's blob: its server."""
        order = StartOrder(
            firmware=firmware or build_firmware(),
            policy=profile_policy(),
            dh_cert=base64.b64encode(answer.order.owner_dh_certificate),
            session=base64.b64encode(answer.order.launch_blob),
            **options,
        )
        return await self.start_vm(order, address)


def asked(keys, request="r1", guest="vm1", **values):
    """A request with the machine's certificates."""
    files = (("export", keys.full_chain),)
    return Asked(
        **{
            "source": "test",
            "request": request,
            "guest": guest,
            "certificates": files,
            **values,
        }
    )


def paused(server, **values):
    return Paused(source="test", host=url_of(server), **values)


def gone(server, **values):
    return Gone(source="test", host=url_of(server), **values)


def url_of(server):
    return parse_host_url(server.url).url


def holds(server, secret=SECRET):
    return server.machine.memory.holds(secret)


def run(scenario):
    """Run an async scenario, for a bounded time."""
    return asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


async def until(condition, what="what is awaited"):
    """Return once a condition holds; bounded."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what} never came")


@contextlib.asynccontextmanager
async def serving(watch, *sources):
    """A watch that runs, and stops at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(watch.run(sources, stop))
    try:
        yield
    finally:
        stop.set()
        await task
