# SPDX-License-Identifier: Apache-2.0
"""LibvirtSource: a libvirt daemon whose domains ask for launch blobs, and wait for secrets.

A domain that is shut off, belongs to a guest, and has no launch blob, is asked for, and the
answer is written into its XML: `virsh start --paused` is then all that is left to do. A domain
that is paused is announced by the ``dhCert`` with which it runs, and one that has ended as gone.
All of it is the host's word: it says where to look, and the watch verifies.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from ..errors import HostError, UsageError, WatchwordError
from ..handover.vm_order import SevOptions
from ..handover.watched_domain import WatchedDomain, read_watched, with_blob, with_request
from ..hosts.libvirt import LibvirtHost
from ..hosts.libvirt_domains import DomainChange, DomainEvent, DomainRow, DomainState
from ..hosts.libvirt_events import DEFAULT_TIMES, DomainEvents, ListenTimes
from ..hosts.libvirt_url import LibvirtAddress
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..hosts.urls import parse_host_url
from .ending import end_tasks
from .events import (
    Asked,
    BlobAnswer,
    Gone,
    Later,
    Paused,
    Refusal,
    Reply,
    Take,
    WatchObserver,
    unobserved,
)

SOURCE: Final = "libvirt"
RETRY_SECONDS: Final = 15.0
"""After this the watch is told again what it could not serve, and the host asked again."""
_LOOKS_AT_ONCE: Final = 8
_REQUEST_BYTES: Final = 16
_OVER: Final = "request-over"
_UNKNOWN: Final = "libvirt-domain-unknown"
_NO_GODH: Final = b""
_ENDED: Final = (DomainChange.STOPPED, DomainChange.CRASHED, DomainChange.UNDEFINED)


@dataclass(slots=True)
class _Domain:
    """What is to be done about a domain, and what was done.

    ``changed``  set: look at it again
    ``ended``    whether its VM has ended since the last look
    ``godh``     of the VM that was seen last; ``served``: told to the watch, and answered
    ``seen``     whether it was looked at before
    ``refused``  the request that was refused; that holds until it is defined anew, and for some
    time at least (``refused_until``, of the loop)
    """

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    godh: bytes | None = None
    served: bytes | None = None
    seen: bool = False
    refused: str | None = None
    refused_until: float = 0.0
    worker: asyncio.Task[None] | None = None


class LibvirtSource:
    """A Source: one daemon, all its domains.

    ``url``      of the machine, without a domain; UsageError for what is no libvirt URL
    ``guests``   guest profiles' names by patterns of domains' names, in which ``*`` stands for
    anything; the first that fits counts. Else a domain's metadata names its guest (see
    handover/watched_domain.py), and one that names none asks for nothing
    ``observe``  is told of domains that could not be looked at, as ``source-failed``
    Domains are named to the watch by URLs with their UUIDs, which no other domain gets.
    """

    def __init__(
        self,
        url: str,
        guests: Iterable[tuple[str, str]] = (),
        observe: WatchObserver = unobserved,
        *,
        limits: HostLimits = DEFAULT_LIMITS,
        times: ListenTimes = DEFAULT_TIMES,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        address = parse_host_url(url)
        if not isinstance(address, LibvirtAddress):
            raise _no_libvirt(address.url)
        self._address = replace(address, domain=None)
        self._guests = tuple((_pattern(pattern), guest) for pattern, guest in guests)
        self._observe = observe
        self._limits = limits
        self._times = times
        self._retry = retry_seconds
        self._domains: dict[str, _Domain] = {}
        self._known: Mapping[str, DomainRow] = {}
        self._turns = asyncio.Semaphore(_LOOKS_AT_ONCE)

    @property
    def name(self) -> str:
        """``libvirt`` and its URL."""
        return f"{SOURCE} {self._address.url}"

    async def run(self, take: Take) -> None:
        """Hand over what happens until cancelled.

        Raises HostError where the daemon is gone or stalls. Run it again then: what happened
        in between is found by listing.
        """
        times, limits = self._times, self._limits
        async with await DomainEvents.connect(
            self._address, limits, known=self._known, times=times
        ) as events:
            try:
                for uuid in self._known:
                    self._look_again(uuid, take)
                async for event in events:
                    self._known = events.known
                    self._note(event, take)
            finally:
                self._known = dict(events.known)
                await self._end_workers()

    def _note(self, event: DomainEvent, take: Take) -> None:
        if event.uuid is None:
            return  # nobody could have looked at it
        domain = self._domains.setdefault(event.uuid, _Domain())
        domain.ended = domain.ended or event.change in _ENDED
        # Defined anew by somebody; our own definition is told within a moment.
        anew = event.change is DomainChange.DEFINED and domain.refused is not None
        if anew and asyncio.get_running_loop().time() > domain.refused_until:
            domain.refused = None
        self._look_again(event.uuid, take)

    def _look_again(self, uuid: str, take: Take) -> None:
        domain = self._domains.setdefault(uuid, _Domain())
        domain.changed.set()
        if domain.worker is None or domain.worker.done():
            domain.worker = asyncio.create_task(self._serve(uuid, domain, take))

    async def _end_workers(self) -> None:
        workers = [one.worker for one in self._domains.values() if one.worker is not None]
        await end_tasks(lambda: workers)

    # -- one domain, one thing after the other -------------------------------------

    async def _serve(self, uuid: str, domain: _Domain, take: Take) -> None:
        while domain.changed.is_set():
            domain.changed.clear()
            if await self._served(uuid, domain, take):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._retry):
                    await domain.changed.wait()
            domain.changed.set()
        if uuid not in self._known:
            self._domains.pop(uuid, None)

    async def _served(self, uuid: str, domain: _Domain, take: Take) -> bool:
        """Do what is to be done; False where it is to be tried again after a pause."""
        try:
            return await self._serve_once(uuid, domain, take)
        except HostError as error:
            if error.code == _UNKNOWN:
                return True
            self._tell(error)
            return False
        except WatchwordError as error:
            self._tell(error)
            return True  # until it changes

    async def _serve_once(self, uuid: str, domain: _Domain, take: Take) -> bool:
        if domain.ended:
            domain.ended, domain.served = False, None
            ours = uuid not in self._known or domain.godh is not None
            if ours and not await self._took_end(uuid, domain.godh, take):
                domain.ended = True
                return False
            domain.godh = None
        row = self._known.get(uuid)
        if row is None or row.state is DomainState.RUNNING:
            return True
        if row.state is DomainState.PAUSED:
            return await self._announce(row, domain, take)
        return await self._prepare(row, domain, take)

    async def _took_end(self, uuid: str, godh: bytes | None, take: Take) -> bool:
        """Whether the watch has taken note; else one VM more than there is would count as live."""
        reply = await take(Gone(source=SOURCE, host=self._url(uuid), godh=godh, seen=True))
        return not isinstance(reply, Later)

    async def _announce(self, row: DomainRow, domain: _Domain, take: Take) -> bool:
        """Tell that it is paused, once for each start."""
        watched = await self._look(row.uuid)
        domain.seen = True
        guest = self._guest(row, watched)
        godh = watched.godh if watched.godh is not None else _NO_GODH
        if (guest is None and not godh) or domain.served == godh:
            return True
        domain.godh = godh or None
        reply = await take(
            Paused(source=SOURCE, host=self._url(row.uuid), godh=godh or None, guest=guest)
        )
        if isinstance(reply, Later):
            return False
        domain.served = godh
        return True

    async def _prepare(self, row: DomainRow, domain: _Domain, take: Take) -> bool:
        """Ask for its blob if it has none, and write the answer into it."""
        text, watched = await self._defined(row.uuid)
        # Its VM may have ended while nobody listened; a blob that waits for one is no VM.
        unheard = watched.godh is not None and not domain.seen
        if unheard and not await self._took_end(row.uuid, watched.godh, take):
            return False
        domain.seen = True
        guest = self._guest(row, watched)
        if guest is None or watched.prepared:
            return True
        if watched.request is None:
            return await self._request_anew(row.uuid, text, domain)
        if domain.refused == watched.request:
            return True
        request = self._request(row.uuid, watched.request)
        reply = await take(
            Asked(source=SOURCE, request=request, guest=guest, host=self._url(row.uuid))
        )
        return await self._take_answer(row.uuid, domain, watched.request, reply)

    async def _take_answer(self, uuid: str, domain: _Domain, request: str, reply: Reply) -> bool:
        if isinstance(reply, Later):
            return False
        text, watched = await self._defined(uuid)
        if watched.prepared or watched.request != request:
            domain.changed.set()  # somebody has defined it anew meanwhile
        elif isinstance(reply, BlobAnswer):
            await self._define(uuid, with_blob(text, _sev_options(reply)))
        elif isinstance(reply, Refusal) and reply.error.code == _OVER:
            await self._request_anew(uuid, text, domain)
        else:
            domain.refused = request
            domain.refused_until = asyncio.get_running_loop().time() + self._retry
        return True

    async def _request_anew(self, uuid: str, text: str, domain: _Domain) -> bool:
        """Keep the next question in the domain before it is asked."""
        await self._define(uuid, with_request(text, secrets.token_hex(_REQUEST_BYTES)))
        domain.changed.set()
        return True

    # -- the domain on the host ------------------------------------------------------

    async def _look(self, uuid: str) -> WatchedDomain:
        """As it runs."""
        async with self._turns, await self._host(uuid) as host:
            return read_watched(await host.domain_xml())

    async def _defined(self, uuid: str) -> tuple[str, WatchedDomain]:
        """As it will be started, with its XML."""
        async with self._turns, await self._host(uuid) as host:
            text = await host.defined_xml()
        return text, read_watched(text)

    async def _define(self, uuid: str, text: str) -> None:
        async with self._turns, await self._host(uuid) as host:
            await host.define(text)

    async def _host(self, uuid: str) -> LibvirtHost:
        return await LibvirtHost.connect(replace(self._address, domain=uuid), self._limits)

    def _url(self, uuid: str) -> str:
        return replace(self._address, domain=uuid).url

    def _guest(self, row: DomainRow, watched: WatchedDomain) -> str | None:
        """The owner's word before the domain's."""
        for pattern, guest in self._guests:
            if pattern.fullmatch(row.name):
                return guest
        return watched.guest

    def _request(self, uuid: str, request: str) -> str:
        """One name for one domain of one daemon: a copy of its XML asks for itself."""
        place = hashlib.sha256(self._address.url.encode()).hexdigest()[:16]
        return f"{request}.{uuid}.{place}"

    def _tell(self, error: WatchwordError) -> None:
        self._observe(
            {
                "event": "source-failed",
                "source": self.name,
                "code": error.code,
                "message": error.message,
            }
        )


def _sev_options(answer: BlobAnswer) -> SevOptions:
    order = answer.order
    return SevOptions(
        godh=order.owner_dh_certificate,
        blob=order.launch_blob,
        policy=order.policy,
        kernel_hashes=order.kernel_hashes,
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def _no_libvirt(url: str) -> UsageError:
    return UsageError(
        "bad-host-url",
        "This is no libvirt",
        f"{url} is reached in another way, and tells nothing of domains.",
        "Write a URL such as libvirt+qemu:///system.",
        {"host": url},
    )
