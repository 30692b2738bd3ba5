# SPDX-License-Identifier: Apache-2.0
"""Runs a watch as a service: tells its manager how it fares, counts, takes new settings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import WatchwordError
from .events import Source, WatchObserver
from .listening import Listening, listen_on_file, listen_on_loopback
from .metrics import WatchMetrics
from .metrics_server import MetricsServer
from .notify import ServiceManager
from .settings_errors import WatchFileInvalid, WatchFileRefused
from .settings_values import TcpPlace

if TYPE_CHECKING:
    from .rules import WatchRules
    from .settings_check import WatchSettings

Load = Callable[[], "WatchSettings"]
"""Reads the settings anew; raises WatchwordError where they can't be taken over."""
_SECONDS_BETWEEN_STATUSES: Final = 1.0


class Watching(Protocol):
    """What the service needs of a Watch."""

    async def run(self, sources: Sequence[Source], stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set."""
        ...

    def reload(self, rules: WatchRules) -> None:
        """Go by these rules from now on."""
        ...


class WatchService:
    """One run of a watch, with all around it.

    ``settings``  those it begins with, and from a reload on the new ones
    ``load``      reads them anew, in a thread of its own
    ``tell``      is told all that happens, as WatchObserver, and what becomes of reloads:
    {"event": "reload-refused", "code", "title", "message", "problems": […]},
    {"event": "restart-needed", "message"}
    """

    def __init__(
        self,
        settings: WatchSettings,
        load: Load,
        metrics: WatchMetrics,
        manager: ServiceManager,
        tell: WatchObserver,
    ) -> None:
        self.settings = settings
        self._begun_with = settings
        self._load = load
        self._metrics = metrics
        self._manager = manager
        self._tell = tell
        self._stop = asyncio.Event()
        self._wanted = asyncio.Event()
        self._told_at = 0.0
        self._begun: set[str] = set()
        # Whoever is started after this service may connect at once.
        self._awaited = {"started"} if settings.socket is None else {"started", "listening"}
        self._counts = {"answered": 0, "launched": 0, "refused": 0}

    def observe(self, event: Mapping[str, object]) -> None:
        """What the watch is to tell its events to."""
        self._metrics.observe(event)
        self._tell(event)
        kind = str(event["event"])
        if kind in self._counts:
            self._counts[kind] += 1
        if kind in ("started", "listening"):
            self._begun.add(kind)
            self._ready_if_begun(self._status())
        elif kind == "source-failed":
            self._manager.status(f"{event['source']}: {event['message']}")
        elif kind in self._counts and time.monotonic() > self._told_at + _SECONDS_BETWEEN_STATUSES:
            self._told_at = time.monotonic()
            self._manager.status(self._status())

    def stop(self) -> None:
        """End in order: nothing new is taken, and what is under way stops where it is recorded."""
        self._stop.set()

    def reload(self) -> None:
        """Read the settings anew, soon; what is under way goes on."""
        self._wanted.set()

    async def run(self, watch: Watching, sources: Sequence[Source]) -> None:
        """Serve until :meth:`stop`.

        Raises BadInput ``cannot-listen`` for the metrics' address, and as ``Watch.run`` does.
        """
        async with self._metrics_told():
            working = asyncio.create_task(watch.run(sources, self._stop))
            reloading = asyncio.create_task(self._reload_when_wanted(watch))
            aside = [
                asyncio.create_task(self._manager.keep_alive(lambda: not working.done())),
                asyncio.create_task(self._say_that_it_stops()),
            ]
            try:
                # Reloading never ends but by a fault, which is not to go unnoticed.
                await asyncio.wait({working, reloading}, return_when=asyncio.FIRST_COMPLETED)
                await (working if working.done() else reloading)
            finally:
                for task in (working, reloading, *aside):
                    task.cancel()
                await asyncio.gather(working, reloading, *aside, return_exceptions=True)

    async def _say_that_it_stops(self) -> None:
        await self._stop.wait()
        self._manager.stopping("stopping: no new request is taken")

    @contextlib.asynccontextmanager
    async def _metrics_told(self) -> AsyncIterator[None]:
        listening = metrics_listening(self.settings.metrics)
        if listening is None:
            yield
            return
        loopback = isinstance(self.settings.metrics, TcpPlace)
        # There anybody on this machine may ask, and as often as he likes.
        body = _kept_a_second(self._metrics.text) if loopback else self._metrics.text
        async with MetricsServer(body, loopback=loopback).listening(listening):
            yield

    # -- reloading -----------------------------------------------------------------

    async def _reload_when_wanted(self, watch: Watching) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._begun >= self._awaited:
                self._manager.reloading("reading the settings anew")
            try:
                settings = await asyncio.to_thread(self._load)
            except WatchwordError as error:
                self._refuse(error)
                self._ready_if_begun(f"{self._status()}; the new settings were refused")
                continue
            self._take_over(watch, settings)
            self._ready_if_begun(self._status())

    def _ready_if_begun(self, status: str) -> None:
        """READY promises that requests are taken: settings that were read anew alone don't."""
        if self._begun >= self._awaited:
            self._manager.ready(status)

    def _take_over(self, watch: Watching, settings: WatchSettings) -> None:
        self.settings = settings
        watch.reload(settings.rules)
        for warning in settings.warnings:
            self._tell({"event": "warning", "message": warning})
        if settings.places != self._begun_with.places:
            self._tell(
                {
                    "event": "restart-needed",
                    "message": "Where requests come from and metrics are told changes with the"
                    " next start alone; guests, hosts, certificates and limits are the new ones.",
                }
            )

    def _refuse(self, error: WatchwordError) -> None:
        self._metrics.reload_refused()
        invalid = isinstance(error, WatchFileInvalid | WatchFileRefused)
        self._tell(
            {
                "event": "reload-refused",
                "code": error.code,
                "title": error.title,
                "message": error.message,
                "problems": error.details["problems"] if invalid else [],
            }
        )

    def _status(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self._counts.items())
        return f"serving {len(self.settings.rules.guests)} guests: {counts}"


def _kept_a_second(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """What ``make`` gives, made anew once a second at most."""
    made: list[tuple[float, bytes]] = []

    def text() -> bytes:
        now = time.monotonic()
        if not made or now > made[0][0] + 1:
            made[:] = [(now, make())]
        return made[0][1]

    return text


def metrics_listening(place: Path | TcpPlace | None) -> Listening | None:
    """The socket on which metrics are asked for; BadInput ``cannot-listen``."""
    if place is None:
        return None
    if isinstance(place, TcpPlace):
        return listen_on_loopback(place.host, place.port, "the metrics' address")
    return listen_on_file(place, "the metrics' socket")
