# SPDX-License-Identifier: Apache-2.0
"""A made-up libvirt daemon and a made-up watch, for tests of the source between them."""

from __future__ import annotations

import asyncio

from watchword.core.errors import VerificationRefused
from watchword.core.handover.vm_order import SevOptions
from watchword.core.handover.watched_domain import with_blob
from watchword.core.hosts.libvirt_domains import DomainChange, DomainEvent, DomainRow, DomainState
from watchword.core.hosts.protocol import StartOrder
from watchword.core.watch.events import Asked, BlobAnswer, Launched, Refusal

URL = "libvirt+qemu:///system"
UUID = "3064b1c0-c005-40ff-8185-50046e924ec1"
OTHER = "3064b1c0-c005-40ff-8185-50046e924ec2"
OFF, PAUSED, RUNNING = DomainState.SHUT_OFF, DomainState.PAUSED, DomainState.RUNNING
PLAIN = "<domain><name>web-1</name></domain>"


def order(number=1):
    return StartOrder(bytes([number]) * 2084, bytes([number]) * 128, 0x7, True)


def prepared(text=PLAIN, number=1):
    start = order(number)
    sev = SevOptions(
        godh=start.owner_dh_certificate,
        blob=start.launch_blob,
        policy=start.policy,
        kernel_hashes=start.kernel_hashes,
    )
    return with_blob(text, sev)


class Daemon:
    """Domains, and who listens; a connection is an async context that sees one of them."""

    def __init__(self):
        self.rows = {}
        self.texts = {}
        self.defined = []
        self.failing = {}
        self.events = asyncio.Queue()

    def has(self, uuid, text=PLAIN, state=OFF, name="web-1"):
        self.rows[uuid] = DomainRow(uuid, name, state)
        self.texts[uuid] = text

    def happens(self, change, uuid=UUID, state=None):
        if state is not None:
            self.rows[uuid] = DomainRow(uuid, self.rows[uuid].name, state)
        name = self.rows[uuid].name if uuid in self.rows else "web-1"
        self.events.put_nowait(DomainEvent(change, uuid, name))

    # -- as DomainEvents -----------------------------------------------------------

    async def listening(self, address, limits, *, known, times):
        del address, limits, times
        for uuid, row in self.rows.items():
            if uuid not in known:
                self.events.put_nowait(DomainEvent(DomainChange.DEFINED, uuid, row.name, "", True))
        return _Events(self)

    # -- as LibvirtHost ------------------------------------------------------------

    async def connect(self, address, limits):
        del limits
        return _Host(self, address.domain)


class _Events:
    def __init__(self, daemon):
        self.daemon = daemon

    @property
    def known(self):
        return dict(self.daemon.rows)

    def __aiter__(self):
        return self

    async def __anext__(self):
        event = await self.daemon.events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


class _Host:
    def __init__(self, daemon, uuid):
        self.daemon, self.uuid = daemon, uuid

    async def domain_xml(self):
        await asyncio.sleep(0)
        if error := self.daemon.failing.pop(self.uuid, None):
            raise error
        return self.daemon.texts[self.uuid]

    defined_xml = domain_xml

    async def define(self, text):
        await asyncio.sleep(0)
        self.daemon.texts[self.uuid] = text
        self.daemon.defined.append(self.uuid)
        self.daemon.happens(DomainChange.DEFINED, self.uuid)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


class Taker:
    """A watch that replies as it is told, and keeps what it was told."""

    def __init__(self, reply):
        self.reply = reply
        self.events = []

    async def __call__(self, event):
        self.events.append(event)
        await asyncio.sleep(0)
        made = self.reply(event)
        return await made if asyncio.iscoroutine(made) else made

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def blob(event, number=1):
    return BlobAnswer(event.request, event.guest, f"launch-{number}", order(number))


def answers(event):
    return blob(event) if isinstance(event, Asked) else Launched("launch-1", "running")


def refusal(code="too-many-instances"):
    return Refusal(VerificationRefused(code, "No", "No.", "Ask a person."))


async def until(condition):
    while not condition():  # noqa: ASYNC110 - nothing tells, and the story has a limit
        await asyncio.sleep(0.001)


async def quiet():
    """Long enough for whatever is under way in this loop; nothing waits for anything else."""
    for _ in range(200):
        await asyncio.sleep(0)
