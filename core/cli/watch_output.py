# SPDX-License-Identifier: Apache-2.0
"""What a watch tells: JSON lines on stdout or in a file, and plain lines at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..batch.json_lines import JsonLinesFile
from ..errors import WatchwordError
from ..watch.settings_check import WatchSettings
from ..watch.settings_errors import WatchFileInvalid, WatchFileRefused
from .output import Console

_WORDS_FOR_STEPS = ("failed", "waiting")


class WatchTeller:
    """Tells each event at once; output that can't be written stops nothing.

    On a terminal, people read plain lines there; elsewhere stdout has JSON lines. With a
    file, these go there, and stdout has nothing but what a terminal is told.
    """

    def __init__(self, console: Console, file: JsonLinesFile | None, *, as_json: bool) -> None:
        self._console = console
        self._file = file
        at_terminal = sys.stdout is not None and sys.stdout.isatty() and not as_json
        self.in_words = at_terminal
        console.as_json = not at_terminal and file is None

    def event(self, event: Mapping[str, object]) -> None:
        """Something that happened; a WatchObserver."""
        value = {**event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if self._file is not None:
            self._file.write(value)
            self._console.output_lost |= self._file.lost
        else:
            self._console.event(value)
        if self.in_words:
            words = _LINES.get(str(event["event"]))
            line = words(event) if words is not None else None
            if line:
                self._console.progress(f"{datetime.now().astimezone():%H:%M:%S} {line}")

    def checked(self, settings: WatchSettings, *, vault_known: bool) -> dict[str, object]:
        """Tell that nothing stands against the settings; the same as a payload."""
        rules = settings.rules
        payload: dict[str, object] = {
            "event": "checked",
            "guests": {
                name: None if profile.watch is None else profile.watch.model_dump(mode="json")
                for name, profile in rules.guests.items()
            },
            "hosts": list(rules.hosts),
            "folder": _shown(settings.folder),
            "socket": _shown(settings.socket),
            "libvirt": [one.url for one in settings.libvirts],
            "approvals": _shown(rules.approvals),
            "metrics": _shown(settings.metrics),
            "vault_checked": vault_known,
            "warnings": list(settings.warnings),
        }
        if self._file is not None:
            self.event({**payload, "ok": True})
        many = "guest" if len(rules.guests) == 1 else "guests"
        self._console.note(f"{len(rules.guests)} {many} would be served. Nothing was started.")
        return payload

    def warnings(self, settings: WatchSettings) -> None:
        """What had better be known of the guests."""
        for warning in settings.warnings:
            self._console.note(f"warning: {warning}")

    def failure(self, error: WatchwordError) -> None:
        """An error that ends the watch; whoever called tells it on the console."""
        if isinstance(error, WatchFileInvalid | WatchFileRefused):
            for problem in error.problems:
                self._console.note(f"  {problem}")
        if self._file is not None:
            self.event({"event": "error", "ok": False, "error": error.as_json()})
        elif self._console.as_json:
            self._console.note(f"{error.title}. {error.message} {error.remedy}")


def _shown(place: object) -> str | None:
    return None if place is None else str(place)


def _guests(event: Mapping[str, Any]) -> str:
    return ", ".join(event["guests"])


def _step_line(event: Mapping[str, Any]) -> str | None:
    if event["state"] not in _WORDS_FOR_STEPS:
        return None
    return f"launch {event['launch']} ({event['guest']}): {event['step']} {event['state']}"


def _refused_line(event: Mapping[str, Any]) -> str:
    about = "request" if event["about"] == "asked" else "VM"
    whose = " ".join(
        f"{words} {event[key]}"
        for key, words in (("guest", "for"), ("launch", "of launch"), ("host", "at"))
        if event.get(key)
    )
    return f"REFUSED: {about} {whose}: {event['title']} ({event['code']})"


def _reload_refused_line(event: Mapping[str, Any]) -> str:
    problems = "".join(f"; {one['message']}" for one in event["problems"][:5])
    return f"The new settings were REFUSED, the old are in force: {event['message']}{problems}"


def _answered_line(event: Mapping[str, Any]) -> str:
    again = " again" if event["again"] else ""
    return f"{event['guest']}: blob of launch {event['launch']} given out{again}"


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "started": lambda event: f"Watching for {_guests(event)}",
    "reloaded": lambda event: f"Settings read anew: watching for {_guests(event)}",
    "stopped": lambda _: "Stopped",
    "source-failed": lambda event: f"{event['source']}: {event['message']}",
    "upkeep-failed": lambda event: str(event["message"]),
    "answer-not-written": lambda event: f"{event['source']}: {event['message']}",
    "answered": _answered_line,
    "matched": lambda event: f"VM at {event['host']} is of launch {event['launch']}",
    "step": _step_line,
    "launched": lambda event: f"{event['guest']}: launch {event['launch']} {event['state']}",
    "waiting": lambda event: f"launch {event['launch']} WAITS: {event['title']}",
    "refused": _refused_line,
    "gone": lambda event: f"VM of launch {event['launch']} is gone, says {event['host']}",
    "expired": lambda event: f"launch {event['launch']} given up: no VM came in time",
    "reload-refused": _reload_refused_line,
    "restart-needed": lambda event: str(event["message"]),
    "warning": lambda event: f"warning: {event['message']}",
}
