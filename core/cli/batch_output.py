# SPDX-License-Identifier: Apache-2.0
"""What a batch tells: JSON lines for programs, on stdout or in a file, and stderr for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..batch.fleet import Fleet, FleetLaunch
from ..batch.intent import Intent
from ..batch.json_lines import JsonLinesFile
from ..batch.manifest_errors import ManifestInvalid, ManifestRefused
from ..batch.results import BatchSummary, Cause, Outcome
from ..errors import ExitStatus, WatchwordError
from .output import Console

if TYPE_CHECKING:
    from ..launch.store import LaunchSummary
    from .batch_progress import BatchBar

_INTENDED = {
    Intent.BEGIN: "would be begun",
    Intent.GO_ON: "would be taken further",
    Intent.LEAVE_DONE: "was done before, and would be left alone",
    Intent.LEAVE_REFUSED: "was refused before; --retry-failed would try it again",
    Intent.NOTHING_THERE: "was never begun, so there is nothing to complete",
}
_MOST_NAMED = 10
_WORDS = {
    Outcome.DONE: "done: it runs and has its secrets",
    Outcome.VERIFIED: "verified; nothing was handed over",
    Outcome.PREPARED: "prepared; have the VM started with the files",
    Outcome.DONE_BEFORE: "done before; nothing was done now",
    Outcome.WAITING: "WAITING",
    Outcome.FAILED: "FAILED",
    Outcome.INTERRUPTED: "INTERRUPTED",
    Outcome.NOT_BEGUN: "not begun",
    Outcome.NOT_TRIED: "NOT TRIED",
    Outcome.ELSEWHERE: "left to another batch",
}


class BatchTeller:
    """Tells each event at once; output that can't be written stops nothing.

    On a terminal, people see a bar and what went wrong; elsewhere a line for each event.
    """

    def __init__(self, console: Console, file: JsonLinesFile | None) -> None:
        self._console = console
        self._file = file
        self._bar: BatchBar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_bar()

    def begin(self, launches: int) -> None:
        """So many launches come now."""
        if sys.stderr is not None and sys.stderr.isatty():
            from .batch_progress import BatchBar  # noqa: PLC0415 - for terminals alone

            self._bar = BatchBar(launches)

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def event(self, event: Mapping[str, object]) -> None:
        """Something that happened: a JSON line, and words for people if it is of interest."""
        value = {**event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if self._file is None:
            self._console.event(value)
        else:
            self._file.write(value)
            self._console.output_lost |= self._file.lost
        if self._bar is not None:
            self._bar.event(event, _LINES["result"])
            return
        words = _LINES.get(str(event["event"]))
        if words is not None:
            self._console.note(words(event))

    def intended(self, planned: FleetLaunch, intent: Intent, earlier: LaunchSummary | None) -> None:
        """Tell what would be done with a launch."""
        self.event(
            {
                "event": "intent",
                "name": planned.name,
                "guest": planned.profile.name,
                "host": planned.host,
                "intent": intent.value,
                "launch": None if earlier is None else earlier.id,
                "state": None if earlier is None else earlier.state,
                "start": planned.start is not None,
            }
        )

    def warnings(self, warnings: Sequence[str]) -> None:
        """What had better be known before a launch."""
        for warning in warnings:
            self._console.note(f"warning: {warning}")
            self.event({"event": "warning", "message": warning})

    def inline(self, launches: Sequence[FleetLaunch]) -> None:
        """What profiles in the manifest would send, and where."""
        for launch in launches:
            entries = ", ".join(launch.entries) or "no vault entry"
            chips = ", ".join(cek.sha256 for cek in launch.profile.ceks)
            self._console.note(
                f"{launch.name}: by a profile in the manifest, {entries} -> {launch.host}, to chips"
                f" with the CEK {chips}"
            )

    def checked(self, fleet: Fleet, *, vault_known: bool) -> dict[str, object]:
        """Tell that nothing stands against a manifest; the same as a payload."""
        payload: dict[str, object] = {
            "event": "checked",
            "launches": len(fleet.launches),
            "starting": list(fleet.starting),
            "inline": [_inline_json(launch) for launch in fleet.inline],
            "vault_checked": vault_known,
            "warnings": list(fleet.warnings),
        }
        if self._file is not None:
            self.event({**payload, "ok": True})
        words = "launch is" if len(fleet.launches) == 1 else "launches are"
        self._console.note(f"{len(fleet.launches)} {words} in order. Nothing was started.")
        if fleet.starting:
            self._console.note(
                f"{len(fleet.starting)} would be started by a command, with --allow-start."
            )
        if fleet.inline:
            self._console.note(
                f"{len(fleet.inline)} would be launched by a profile in the manifest, with"
                " --allow-inline."
            )
        return payload

    def failure(self, error: WatchwordError) -> None:
        """An error that ends the batch; whoever called tells it on the console."""
        if isinstance(error, ManifestInvalid | ManifestRefused):
            for problem in error.problems:
                self._console.note(f"  {problem}")
        if self._file is not None:
            self.event({"event": "error", "ok": False, "error": error.as_json()})
        elif self._console.as_json:
            self._console.note(f"{error.title}. {error.message} {error.remedy}")

    def summary(self, summary: BatchSummary) -> dict[str, object]:
        """Tell what came of all; the summary as a payload, which is the last line."""
        self._end_bar()
        payload = summary.as_json()
        if self._file is not None:
            self.event({**payload, "ok": summary.exit_status is ExitStatus.OK})
        counts = ", ".join(
            f"{summary.count(one)} {one.value}" for one in Outcome if summary.count(one)
        )
        self._console.note(f"{len(summary.results)} launches: {counts}.")
        for cause in summary.causes:
            self._console.note(f"  {_cause_line(cause)}")
        if summary.interrupted:
            self._console.note("Interrupted. Go on with --resume.")
        return payload


def _inline_json(launch: FleetLaunch) -> dict[str, object]:
    return {
        "name": launch.name,
        "entries": list(launch.entries),
        "host": launch.host,
        "ceks": [cek.sha256 for cek in launch.profile.ceks],
    }


def _cause_line(cause: Cause) -> str:
    names = ", ".join(cause.names[:_MOST_NAMED])
    more = len(cause.names) - _MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    error = cause.example
    return f"{len(cause.names)} {cause.outcome.value} ({error.code}): {error.title}: {names}{rest}"


def _launch_line(event: Mapping[str, Any]) -> str:
    return f"{event['name']}: launch {event['launch']}"


def _step_line(event: Mapping[str, Any]) -> str:
    return f"{event['name']}: {event['step']} {event['state']}"


def _result_line(event: Mapping[str, Any]) -> str:
    said = f"{event['name']}: {_WORDS[Outcome(event['outcome'])]}"
    if event["outcome"] == Outcome.INTERRUPTED and event.get("state"):
        said += f" while it was {event['state']}; --resume goes on"
    error = event.get("error")
    if isinstance(error, Mapping):
        said += f": {error['title']}. {error['message']} {error['remedy']}"
    return said


def _intent_line(event: Mapping[str, Any]) -> str:
    launch = f" ({event['launch']}, {event['state']})" if event["launch"] else ""
    return f"{event['name']}{launch} {_INTENDED[Intent(event['intent'])]}"


def _assigned_line(event: Mapping[str, Any]) -> str:
    return f"{event['name']}: given to worker {event['worker']}"


def _forged_line(event: Mapping[str, Any]) -> str:
    return f"warning: {event['name']}: what came as its result counts for nothing: {_why(event)}"


def _refused_job_line(event: Mapping[str, Any]) -> str:
    return f"warning: something in the queue is no job for this worker: {_why(event)}"


def _trouble_line(event: Mapping[str, Any]) -> str:
    return f"warning: {_why(event)}"


def _lost_line(event: Mapping[str, Any]) -> str:
    return f"{event['name']}: no longer worker {event['worker']}'s, as you say"


def _why(event: Mapping[str, Any]) -> str:
    error = event["error"]
    return f"{error['title']}. {error['message']} {error['remedy']}"


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "assigned": _assigned_line,
    "forged": _forged_line,
    "job-refused": _refused_job_line,
    "lost": _lost_line,
    "trouble": _trouble_line,
    "intent": _intent_line,
    "launch": _launch_line,
    "step": _step_line,
    "result": _result_line,
}
