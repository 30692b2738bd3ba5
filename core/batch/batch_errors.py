# SPDX-License-Identifier: Apache-2.0
"""Why a launch of a batch was left alone, in words that a person can act on."""

from __future__ import annotations

from ..errors import AnswerPending, VerificationRefused, WatchwordError
from .fleet import FleetLaunch


def machine_refused(
    planned: FleetLaunch, other: str, refusal: WatchwordError
) -> VerificationRefused:
    """A launch on a machine whose platform was refused for another launch a moment ago."""
    return VerificationRefused(
        "machine-refused",
        "Not tried: its machine was refused",
        f"The platform of {planned.machine} was refused for launch “{other}”: {refusal.title}.",
        "Look at that refusal. Once the machine is in order: --resume --retry-failed.",
        {"machine": planned.machine, "refused_for": other, "cause": refusal.code},
    )


def refused_before(planned: FleetLaunch, launch_id: str) -> VerificationRefused:
    """A launch that an earlier run refused, where nobody has asked to try again."""
    return VerificationRefused(
        "refused-before",
        "An earlier run refused it",
        f"Launch {launch_id} of “{planned.name}” was refused; it was not tried again now.",
        f"See why with `watchword launch show {launch_id}`. Try again with --retry-failed, or"
        f" give it up with `watchword launch abandon {launch_id}`.",
        {"launch": launch_id},
    )


def launched_elsewhere(
    planned: FleetLaunch, launch_id: str | None = None, does: str = "has begun it since"
) -> AnswerPending:
    """A launch that another process works on, or has begun since this batch looked."""
    which = "is at work on it" if launch_id is None else f"{does}, as {launch_id}"
    return AnswerPending(
        "launched-elsewhere",
        "Another batch launches it",
        f"Another process {which}: guest “{planned.profile.name}” at {planned.host}."
        " It was not begun a second time.",
        "Look at that one's result; go on with --resume if it was ended.",
        {"name": planned.name, "launch": launch_id},
    )
