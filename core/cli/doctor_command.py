# SPDX-License-Identifier: Apache-2.0
"""``watchword doctor``: what there is, what is missing, and the line that gets it."""

from __future__ import annotations

import argparse

from ..errors import ExitStatus
from .command import Parser, Subparsers, add_command
from .output import Console, Result


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``doctor``."""
    add_command(
        subparsers,
        "doctor",
        summary="look at what this machine has of what Watchword uses, and how to get the rest",
        example="watchword doctor --json",
        run=_doctor,
    )


def _doctor(arguments: argparse.Namespace, console: Console) -> Result:
    """Exit 0 unless something is missing that every command needs; then 1."""
    del arguments, console
    from ..doctor.checks import Check, Standing, examine, lacking  # noqa: PLC0415 - only here

    def describe(check: Check) -> list[str]:
        if check.standing is Standing.OK:
            return [f"ok       {check.name}: {check.found}"]
        word = check.standing.value.upper() if check.required else check.standing.value
        lines = [f"{word:8} {check.name}: {check.found}. {check.use}".replace("..", ".")]
        return lines if check.remedy is None else [*lines, f"           {check.remedy}"]

    checks = examine()
    missing = lacking(checks)
    payload: dict[str, object] = {
        "checks": [check.as_json() for check in checks],
        "missing": list(missing),
    }
    lines = [line for check in checks for line in describe(check)]
    if missing:
        lines.append(f"Watchword can't work without: {', '.join(missing)}.")
        return Result(payload, tuple(lines), ExitStatus.UNEXPECTED)
    lines.append("Everything that every command needs is there; the rest is for what it says.")
    return Result(payload, tuple(lines))
