# SPDX-License-Identifier: Apache-2.0
"""What the owner lets `watchword --watch` do with a guest: how many, how often, what firmware."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .fields import read_whole
from .problems import FieldProblem
from .toml_document import Table
from .value_types import read_by

MOST_INSTANCES = 100_000
"""Live instances, and starts in an hour, that a profile may allow."""
DEFAULT_STARTS_PER_HOUR = 60


class FirstFirmware(StrEnum):
    """What becomes of a VM whose approved firmware no launch of this owner has verified before."""

    ALLOW = "allow"
    """It is launched: the profile approves it, after all."""
    ASK = "ask"
    """It waits, verified, until a person allows it."""
    REFUSE = "refuse"


def _read_number(value: object) -> int:
    number = read_whole(value, MOST_INSTANCES)
    if number < 1:
        raise FieldProblem(f"It takes a whole number from 1 to {MOST_INSTANCES}.")
    return number


def _read_first_firmware(value: object) -> FirstFirmware:
    if value in [choice.value for choice in FirstFirmware]:
        return FirstFirmware(value)
    raise FieldProblem("It takes “allow”, “ask” (a person decides) or “refuse”.")


_Number = Annotated[
    int,
    *read_by(_read_number, {"type": "integer", "minimum": 1, "maximum": MOST_INSTANCES}),
]
_FirstFirmware = Annotated[
    FirstFirmware,
    *read_by(
        _read_first_firmware,
        {"enum": [choice.value for choice in FirstFirmware]},
        lambda choice: choice.value,
    ),
]


class WatchLimits(Table):
    """How far a watch may go with this guest; a profile without it is not served.

    The platforms are the profile's ``ceks``; without any, a watch refuses.
    """

    instances_at_most: _Number = Field(
        description="VMs of this guest that may be live at once, blobs under way counted"
    )
    starts_per_hour: _Number = Field(
        DEFAULT_STARTS_PER_HOUR, description="launch blobs that are given out in any one hour"
    )
    first_firmware: _FirstFirmware = Field(
        FirstFirmware.ALLOW,
        description="what becomes of approved firmware that no launch has verified before:"
        " allow, ask or refuse",
    )
