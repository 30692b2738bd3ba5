# SPDX-License-Identifier: Apache-2.0
"""The turns of an exchange by hand: their numbers, folders and files."""

from __future__ import annotations

import re
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCH_FILE: Final = "LAUNCH"
"""Says which launch a folder belongs to; in the exchange folder and in each turn's."""

CHECKSUM_FILE: Final = "SHA256SUMS"
"""As sha256sum writes and checks it."""

README_FILE: Final = "README.txt"
FORM_FILE: Final = "answer.txt"
"""The form that a host's operator may fill in instead of bringing outputs of programs."""

LAUNCH_KEY: Final = "launch"
MESSAGE_ID_PREFIX: Final = "watchword:"
"""Begins the ``id`` of our QMP commands; QEMU repeats it, and so names the launch."""

_LAUNCH_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class Turn(IntEnum):
    """What is carried, in order: odd ones come from the host, even ones go to it."""

    PLATFORM = 1
    START = 2
    MEASUREMENT = 3
    SECRET = 4
    RUNNING = 5

    @property
    def incoming(self) -> bool:
        """Whether the host's operator fills it."""
        return self % 2 == 1

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return _FOLDERS[self]

    @property
    def brings(self) -> str:
        """What it carries, in words."""
        return _BRINGS[self]


LAST_TURN: Final = Turn.RUNNING

_FOLDERS: Final[Mapping[Turn, str]] = MappingProxyType(
    {
        Turn.PLATFORM: "1-platform-from-host",
        Turn.START: "2-start-to-host",
        Turn.MEASUREMENT: "3-measurement-from-host",
        Turn.SECRET: "4-secret-to-host",
        Turn.RUNNING: "5-running-from-host",
    }
)
_BRINGS: Final[Mapping[Turn, str]] = MappingProxyType(
    {
        Turn.PLATFORM: "the host's certificates",
        Turn.START: "what the VM is started with",
        Turn.MEASUREMENT: "the launch measurement",
        Turn.SECRET: "the sealed packet",
        Turn.RUNNING: "the word that the VM runs",
    }
)


def check_launch_id(launch_id: str) -> str:
    """The id of a launch as folders and texts hold it; UsageError ``bad-launch-id`` otherwise."""
    if not _LAUNCH_ID.fullmatch(launch_id):
        raise UsageError(
            "bad-launch-id",
            "This can't be the id of a launch",
            "An id has 1 to 64 letters, digits, dots, hyphens and underscores.",
            "Take the id from `watchword launch list`.",
        )
    return launch_id


def check_outgoing(turn: int) -> Turn:
    """A turn that goes to the host; UsageError ``bad-turn`` for any other."""
    if turn not in (Turn.START, Turn.SECRET):
        raise UsageError(
            "bad-turn",
            "Nothing goes to the host in this turn",
            "Turn 1 asks the host for its certificates; turns 2 and 4 bring it what the VM is "
            "started with, and the sealed packet.",
            "Name one of these turns.",
        )
    return Turn(turn)


def check_incoming(turn: int) -> Turn:
    """A turn that the host's operator answers; UsageError ``bad-turn`` for any other."""
    if turn not in (Turn.PLATFORM, Turn.MEASUREMENT, Turn.RUNNING):
        raise UsageError(
            "bad-turn",
            "Nothing comes from the host in this turn",
            "Turns 1, 3 and 5 come from the host: its certificates, the measurement, and the "
            "word that the VM runs.",
            "Name one of these turns.",
        )
    return Turn(turn)
