# SPDX-License-Identifier: Apache-2.0
"""Shows a launch as it goes on, and what came of it in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import ExitStatus, WatchwordError
from ..launch.engine import Launch, StepState, StepStatus
from ..launch.sev_steps import is_waived
from .output import Console, Result, grouped

_WORDS = {
    StepState.DONE: "done",
    StepState.WAIVED: "WAIVED",
    StepState.FAILED: "REFUSED",
    StepState.WAITING: "waiting",
}


class LaunchPrinter:
    """Prints one block of lines for each step once it is over; give ``observe`` to the launch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[str] = set()

    def observe(self, launch: Launch) -> None:
        """Print the steps that are over and were not printed yet."""
        total = len(launch.steps)
        for number, status in enumerate(launch.statuses(), start=1):
            if status.state in _WORDS and status.step.id not in self._shown:
                self._shown.add(status.step.id)
                head = f"{number}/{total}  {status.step.title}"
                self._console.progress(f"{head:36} {_outcome(launch, status)}")
                for line in _details(launch, status):
                    self._console.progress(f"       {line}")


def _outcome(launch: Launch, status: StepStatus) -> str:
    fact = launch.facts.get(status.step.id)
    if fact is not None and fact.record.get("platform") == "not-checked-here":
        return "NOT CHECKED HERE"
    mark = launch.marks.get(status.step.id)
    if (
        mark is not None
        and mark.reason.get("exit_status", ExitStatus.REFUSED) != ExitStatus.REFUSED
    ):
        return "FAILED"
    return _WORDS[status.state]


def _details(launch: Launch, status: StepStatus) -> list[str]:
    if not status.settled:
        return []
    record = launch.facts[status.step.id].record
    lines = _DESCRIPTIONS[status.step.id](record)
    if status.state is StepState.WAIVED:
        lines.append(f"waived because: {status.reason}")
    warnings = record.get("warnings")
    if isinstance(warnings, list | tuple):
        lines += [f"warning: {warning}" for warning in warnings]
    return lines


def _guest(record: Mapping[str, object]) -> list[str]:
    digests = record["launch_digests"]
    lines = [f"policy {record['policy']:#x} ({record['policy_names']})"]
    if isinstance(digests, list):
        lines += [f"launch digest {grouped(entry['launch_digest'])}" for entry in digests]
    return lines


def _platform(record: Mapping[str, object]) -> list[str]:
    if record["platform"] == "not-checked-here":
        return ["whoever made the keys chose the platform; --platform FILE… verifies it here too"]
    links = record["links"]
    chain = " <- ".join(dict.fromkeys(link["certificate"].upper() for link in reversed(links)))  # type: ignore[call-overload]
    root = "AMD's root" if record["root"] == "amd" else "a root that is NOT AMD's"
    lines = [f"{chain}, up to {root}"]
    for name in ("pdh", "cek"):
        fingerprint = record.get(f"{name}_sha256")
        if fingerprint is not None:
            lines.append(f"{name.upper()} {grouped(str(fingerprint))}")
    if record.get("pinned"):
        lines.append("the profile pins this CEK")
    elif record.get("accepted"):
        lines.append("you accepted this CEK")
    return lines


def _session(record: Mapping[str, object]) -> list[str]:
    if "keys" in record:
        return ["TEK and TIK were made earlier; for which platform can't be seen from them"]
    if record.get("erased"):
        return ["made earlier; TEK and TIK are erased, since the packet is sealed"]
    if record.get("restored"):
        return ["made earlier; TEK and TIK came from the vault, for this platform and policy alone"]
    return ["one-time key and launch blob made; TEK and TIK are wrapped for this PDH alone"]


def _start(record: Mapping[str, object]) -> list[str]:
    return [f"the host says: {record['state']}, {'paused' if record['paused'] else 'not paused'}"]


def _measurement(record: Mapping[str, object]) -> list[str]:
    verdict = "matches: the VM holds what you approved, and nothing else"
    if record["verdict"] != "matches":
        verdict = f"it is {record['verdict']}"
    return [
        f"firmware of the secure processor: {record['firmware']}",
        f"measurement {grouped(str(record['measurement']))}",
        verdict,
    ]


def _secret(record: Mapping[str, object]) -> list[str]:
    notes = record["secrets"]
    if not isinstance(notes, list) or not notes:
        return ["there was none to hand over"]
    done = "sealed for this VM alone, and injected"
    if record.get("injected") != "host says":
        done = f"sealed earlier for this VM alone; {record['injected']}"
    elif "sent" in record:
        done = f"sealed earlier for this VM alone; {record['sent']}"
    return [*map(describe_secret, notes), done]


def describe_secret(note: Mapping[str, object]) -> str:
    """A secret by name, GUID and size; whether a NUL was added; a newline that is rarely meant."""
    added = "a NUL added for GRUB" if note["trailing_nul_added"] else "nothing added"
    words = f"{note['name']} ({note['guid']}): {note['size']} bytes, {added}"
    if note["ends_with_newline"]:
        words += "; WARNING: it ends with a newline (`printf %s` writes none)"
    return words


def _run(record: Mapping[str, object]) -> list[str]:
    return [f"runs: {record['running']}"]


_DESCRIPTIONS: Mapping[str, Callable[[Mapping[str, object]], list[str]]] = {
    "guest": _guest,
    "platform": _platform,
    "session": _session,
    "start": _start,
    "measurement": _measurement,
    "secret": _secret,
    "run": _run,
}


def launch_payload(launch: Launch) -> dict[str, object]:
    """The launch as JSON: steps with state and record, waivers, simulated or not."""
    return {
        "simulated": launch.simulated,
        "complete": launch.complete,
        "waivers": launch.waivers,
        "steps": [_step_json(launch, status) for status in launch.statuses()],
    }


def _step_json(launch: Launch, status: StepStatus) -> dict[str, object]:
    fact = launch.facts.get(status.step.id)
    return {
        "step": status.step.id,
        "state": status.state.value,
        "reason": status.reason,
        "record": dict(fact.record) if fact is not None else None,
    }


def launch_result(
    launch: Launch, lines: tuple[str, ...], error: WatchwordError | None, **more: object
) -> Result:
    """The end of a launch as a command's result: its own exit status, waivers included."""
    status = ExitStatus.WAIVED if is_waived(launch) else ExitStatus.OK
    if error is not None:
        status = error.exit_status
    return Result({**more, **launch_payload(launch)}, lines, status, error)
