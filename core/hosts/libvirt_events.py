# SPDX-License-Identifier: Apache-2.0
"""DomainEvents: what happens to the domains of a libvirt daemon, as it happens, by virsh.

One virsh waits for events and another one lists the domains: at the beginning, after each
event, and now and then. So nothing is missed for good, whoever did not listen or did not tell,
and a daemon that has stalled is noticed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from ..errors import HostError
from .child_process import ChildProcess
from .closing import Closing
from .host_words import visible
from .libvirt import open_tunnel
from .libvirt_domains import DomainEvent, DomainRow, domain_rows, read_event, what_happened
from .libvirt_errors import VirshRefused, explain_virsh, said_too_much, virsh_ended
from .libvirt_replies import read_domains
from .libvirt_url import LibvirtAddress
from .limits import DEFAULT_LIMITS, HostLimits
from .protocol import GuestRow
from .virsh import Virsh, start_virsh

_LONGEST_LINE: Final = 4096
_MOST_EVENTS: Final = 1000
_PIECE: Final = 1 << 16
_ERROR: Final = "error: "
_NOTHING: Final[Mapping[str, DomainRow]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ListenTimes:
    """In seconds; others than these only in tests.

    ``quiet``    after so long without an event the domains are listed all the same
    ``settled``  so long after the first listing there is a second one: virsh doesn't say from
    when on it hears of events
    ``between``  the least time between two listings, however much a host tells
    """

    quiet: float = 30.0
    settled: float = 2.0
    between: float = 0.1


DEFAULT_TIMES: Final = ListenTimes()


class DomainEvents(Closing):
    """Events without end, ``async for``; an async context manager that ends both virsh.

    Made by :meth:`connect`. Getting the next event raises HostError where the daemon or the
    way to it is gone, stalls, or says too much: then close it, and connect anew with what was
    ``known``; what has happened in between is told first.
    Source: libvirt docs/manpages/virsh, ``event`` and ``list``.
    """

    def __init__(
        self,
        listener: ChildProcess,
        virsh: Virsh,
        url: str,
        *,
        known: Mapping[str, DomainRow],
        times: ListenTimes,
        resources: AsyncExitStack,
    ) -> None:
        """Take over two running virsh; use :meth:`connect`."""
        self._listener = listener
        self._virsh = virsh
        self._url = url
        self._known = dict(known)
        self._times = times
        self._resources = resources
        self._waiting: deque[DomainEvent] = deque()
        self._rest = b""
        self._listings = 0

    @classmethod
    async def connect(
        cls,
        address: LibvirtAddress,
        limits: HostLimits = DEFAULT_LIMITS,
        *,
        known: Mapping[str, DomainRow] = _NOTHING,
        times: ListenTimes = DEFAULT_TIMES,
    ) -> Self:
        """Reach the daemon; which domain the address names doesn't matter.

        ``known`` is what an earlier connection knew; without it, every domain that there is is
        told as defined, started or suspended. Raises HostError as in libvirt_errors.py, and
        ssh's own.
        """
        async with AsyncExitStack() as resources:
            uri = address.uri(await open_tunnel(address, limits, resources))
            words = ("event", "--event", "lifecycle", "--loop")
            listener = await start_virsh(uri, address.url, *words)
            resources.push_async_callback(listener.end)
            virsh = await Virsh.start(uri, address.url, limits)
            resources.push_async_callback(virsh.close)
            own = resources.pop_all()
        events = cls(listener, virsh, address.url, known=known, times=times, resources=own)
        try:
            seconds = limits.connect_seconds + limits.greeting_seconds
            await events._ask("uri", seconds=seconds)
        except BaseException:
            await events.close()
            raise
        return events

    @property
    def known(self) -> Mapping[str, DomainRow]:
        """The domains of the last listing, by UUID."""
        return MappingProxyType(self._known)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DomainEvent:
        while not self._waiting:
            await self._look()
        return self._waiting.popleft()

    async def _look(self) -> None:
        """Wait until something may have happened, and list the domains."""
        told: list[DomainEvent] = []
        if self._listings:
            seconds = self._times.settled if self._listings == 1 else self._times.quiet
            try:
                async with asyncio.timeout(seconds):
                    told = await self._told()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(self._times.between)
        rows = await self._list()
        self._listings += 1
        self._waiting.extend(what_happened(self._known, told, rows))
        self._known = rows

    async def _told(self) -> list[DomainEvent]:
        """The events of what virsh prints next; a listing shows what is passed over here."""
        while (end := self._rest.rfind(b"\n")) < 0:
            if len(self._rest) > _LONGEST_LINE:
                raise said_too_much(self._url, _LONGEST_LINE)
            piece = await self._listener.stdout.read(_PIECE)
            if not piece:
                raise self._ended()
            self._rest += piece
        text, self._rest = self._rest[:end], self._rest[end + 1 :]
        lines = text.decode("utf-8", "replace").split("\n")[:_MOST_EVENTS]
        if any(line.startswith(_ERROR) for line in lines):
            raise self._refused(lines)
        return [event for event in map(read_event, lines) if event is not None]

    def _ended(self) -> HostError:
        last = self._rest.decode("utf-8", "replace")
        return virsh_ended(self._url, visible(last.strip()), "event")

    def _refused(self, lines: list[str]) -> HostError:
        words = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
        return explain_virsh(VirshRefused("event", words), self._url)

    async def _list(self) -> dict[str, DomainRow]:
        every = await self._rows()
        return domain_rows(
            await self._rows("--state-running"), await self._rows("--state-paused"), every
        )

    async def _rows(self, *states: str) -> tuple[GuestRow, ...]:
        return read_domains(await self._ask("list", "--all", "--uuid", "--name", *states))

    async def _ask(self, *words: str, seconds: float | None = None) -> str:
        try:
            return await self._virsh.run(*words, seconds=seconds)
        except VirshRefused as refused:
            raise explain_virsh(refused, self._url) from None

    async def close(self) -> None:
        """End both virsh and the tunnel; may be called again; never raises."""
        await self._resources.aclose()
