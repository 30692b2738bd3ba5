# SPDX-License-Identifier: Apache-2.0
"""Counts what a watch does, for Prometheus: by guest and outcome, never by what strangers say."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Final

from .prometheus_text import OTHER, Family, Histogram, exposition

Gauges = Callable[[], Mapping[str, Mapping[str, float]]]
"""What is the case now: values by guest, by the names of gauges (see GAUGES)."""

GAUGES: Final = {
    "outstanding_blobs": "Launch blobs that were given out and with which no VM was launched yet.",
    "live_instances": "VMs that count as live, outstanding blobs among them.",
}
"""The gauges by guest, without the prefix; and what they tell."""
_PREFIX: Final = "watchword_watch_"
_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_MOST_UNDER_WAY: Final = 10_000
_EVENTS: Final = frozenset(
    (
        *("started", "stopped", "reloaded", "source-failed", "asked", "answered", "paused"),
        *("matched", "step", "launched", "waiting", "refused", "gone", "expired"),
        *("listening", "client", "upkeep-failed", "answer-not-written"),
    )
)


class WatchMetrics:
    """An observer of the watch; ``text`` is what Prometheus gets.

    ``clock``, ``wall``  seconds, of a clock that never goes back, and since 1970
    Guests are named where they are served; all others that strangers ask for are one.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._gauges: Gauges = dict
        self._pending: Callable[[], int] = int
        self._wall = wall
        self._guests: frozenset[str] = frozenset()
        self._asked: _Since = _Since(clock)
        self._matched: _Since = _Since(clock)
        self._requests = _counter("requests", "Requests for launch blobs.", "guest")
        self._blobs = _counter(
            "blobs",
            "Launch blobs that were given out; again: the same one once more.",
            "guest",
            "again",
        )
        self._paused = _counter("paused", "VMs that were announced as paused.")
        self._launched = _counter("launches", "VMs that were verified and let run.", "guest")
        self._refused = _counter(
            "refusals", "What was refused, by our code for the reason.", "about", "guest", "code"
        )
        self._waiting = _counter("waiting", "Launches that wait for somebody.", "code")
        self._ended = _counter("ended", "VMs that are gone, and blobs that expired.", "how")
        self._failures = _counter("source_failures", "Breakdowns of where requests come from.")
        self._reloads = _counter("reloads", "Settings that were read anew.", "outcome")
        self._last = Family(
            f"{_PREFIX}last_event_timestamp_seconds", "gauge", "When it last happened.", ("event",)
        )
        self._begun = Family(f"{_PREFIX}start_time_seconds", "gauge", "When the watch began.")
        self._begun.put(wall())
        self._approvals = Family(
            f"{_PREFIX}approvals_waiting", "gauge", "Decisions that wait for a person."
        )
        self._states = {
            name: Family(f"{_PREFIX}{name}", "gauge", purpose, ("guest",))
            for name, purpose in GAUGES.items()
        }
        self._answer_seconds = Histogram(
            f"{_PREFIX}answer_seconds", "From a request to its launch blob.", _BOUNDS
        )
        self._launch_seconds = Histogram(
            f"{_PREFIX}launch_seconds", "From a VM's being known to its running.", _BOUNDS
        )

    def look_at(self, gauges: Gauges, pending: Callable[[], int]) -> None:
        """Ask these whenever somebody asks: what is the case by guest, and what waits."""
        self._gauges, self._pending = gauges, pending

    def observe(self, event: Mapping[str, object]) -> None:
        """Take note of what happens; a WatchObserver."""
        kind = str(event["event"])
        self._last.put(self._wall(), kind if kind in _EVENTS else OTHER)
        note = getattr(self, f"_note_{kind.replace('-', '_')}", None)
        if note is not None:
            note(event)

    def reload_refused(self) -> None:
        """New settings were not taken over."""
        self._reloads.add("refused")

    def text(self) -> bytes:
        """All of it as it is now, in the exposition format."""
        now = self._gauges()
        for name, family in self._states.items():
            family.clear()
            for guest, value in now.get(name, {}).items():
                family.put(value, self._guest(guest))
        self._approvals.put(self._pending())
        return exposition(
            [
                *(self._requests, self._blobs, self._paused, self._launched, self._refused),
                *(self._waiting, self._ended, self._failures, self._reloads),
                *(self._last, self._begun, self._approvals, *self._states.values()),
                *(self._answer_seconds, self._launch_seconds),
            ]
        )

    # -- events --------------------------------------------------------------------

    def _note_started(self, event: Mapping[str, object]) -> None:
        guests = event.get("guests")
        if isinstance(guests, Collection):
            self._guests = frozenset(map(str, guests))

    def _note_reloaded(self, event: Mapping[str, object]) -> None:
        self._note_started(event)
        self._reloads.add("done")

    def _note_source_failed(self, event: Mapping[str, object]) -> None:
        del event
        self._failures.add()

    def _note_asked(self, event: Mapping[str, object]) -> None:
        self._requests.add(self._guest(event.get("guest")))
        self._asked.begin((event.get("source"), event.get("request")))

    def _note_answered(self, event: Mapping[str, object]) -> None:
        again = bool(event.get("again"))
        self._blobs.add(self._guest(event.get("guest")), "yes" if again else "no")
        key = event.get("source"), event.get("request")
        self._asked.end(key, None if again else self._answer_seconds)

    def _note_paused(self, event: Mapping[str, object]) -> None:
        del event
        self._paused.add()

    def _note_matched(self, event: Mapping[str, object]) -> None:
        self._matched.begin(event.get("launch"))

    def _note_launched(self, event: Mapping[str, object]) -> None:
        self._launched.add(self._guest(event.get("guest")))
        self._matched.end(event.get("launch"), self._launch_seconds)

    def _note_waiting(self, event: Mapping[str, object]) -> None:
        self._waiting.add(str(event.get("code")))

    def _note_refused(self, event: Mapping[str, object]) -> None:
        about = "paused" if event.get("about") == "paused" else "asked"
        self._matched.end(event.get("launch"), None)
        self._refused.add(about, self._guest(event.get("guest")), str(event.get("code")))

    def _note_gone(self, event: Mapping[str, object]) -> None:
        del event
        self._ended.add("gone")

    def _note_expired(self, event: Mapping[str, object]) -> None:
        del event
        self._ended.add("expired")

    def _guest(self, name: object) -> str:
        if name is None:
            return ""
        return str(name) if name in self._guests else OTHER


class _Since:
    """When things began, the oldest forgotten where there are too many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: OrderedDict[object, float] = OrderedDict()

    def begin(self, key: object) -> None:
        self._began.setdefault(key, self._clock())
        while len(self._began) > _MOST_UNDER_WAY:
            self._began.popitem(last=False)

    def end(self, key: object, into: Histogram | None) -> None:
        began = self._began.pop(key, None)
        if began is not None and into is not None:
            into.observe(max(0.0, self._clock() - began))


def _counter(name: str, purpose: str, *labels: str) -> Family:
    return Family(f"{_PREFIX}{name}_total", "counter", purpose, labels)
