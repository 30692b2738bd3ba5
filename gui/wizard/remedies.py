# SPDX-License-Identifier: Apache-2.0
"""What may be done about a mismatch: another launch, with another approval or another host's way.

None of it lifts a refusal. Knows no Qt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Record = Mapping[str, object]

MOST_SHOWN: Final = 3
"""Explanations of one mismatch for which remedies are offered; more than one is rare."""
_NO_DIFFERENCE: Final = "no-difference"
_APPROVABLE_ALARMS: Final = ("other-firmware",)
"""What has other code than was approved, and yet may be the one that was meant."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """A new launch that differs from the refused one in a single point.

    ``changes``      fields of the guest's profile with what would be approved; none: the new
    launch is the same, and the host is to do otherwise
    ``instruction``  for the host's operator, one line for each thing; empty where he can do nothing
    ``alarm``        whether other code would be approved than before
    """

    changes: dict[str, object] = field(default_factory=dict)
    instruction: str = ""
    alarm: bool = False


def remedies(diagnosis: Record) -> list[list[Remedy]]:
    """For each explanation of a mismatch, in the order of the diagnosis, what may be done."""
    matches = diagnosis.get("matches")
    known = [one for one in matches if isinstance(one, list)] if isinstance(matches, list) else []
    return [_remedies_of(match) for match in known[:MOST_SHOWN]]


def _remedies_of(match: list[object]) -> list[Remedy]:
    deviations = [one for one in match if isinstance(one, Mapping)]
    if not deviations or any(one.get("code") == _NO_DIFFERENCE for one in deviations):
        return []
    found = []
    if all(_may_be_approved(one) for one in deviations):
        changes = {str(key): value for one in deviations for key, value in _profile(one).items()}
        found.append(Remedy(changes=changes, alarm=any(one.get("alarm") for one in deviations)))
    lines = [str(one.get("on_host") or "") for one in deviations]
    # Half of an instruction would lead to the next refusal.
    instruction = "\n".join(lines) if all(lines) else ""
    return [*found, Remedy(instruction=instruction)]


def _may_be_approved(deviation: Record) -> bool:
    if deviation.get("alarm") and deviation.get("code") not in _APPROVABLE_ALARMS:
        return False
    if "firmware" in _profile(deviation):  # a name is no path that could be looked at
        return str(_profile(deviation)["firmware"]).startswith("/")
    return bool(_profile(deviation))


def _profile(deviation: Record) -> Record:
    value = deviation.get("profile")
    return value if isinstance(value, Mapping) else {}
