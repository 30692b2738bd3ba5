# SPDX-License-Identifier: Apache-2.0
"""The list of named attacks."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from .attack import Attack
from .guest_attacks import OwnDisk, SwappedKernel, TamperedPacket
from .launch_attacks import (
    ClonedLaunch,
    ErrorWithMarkup,
    PolicyDowngrade,
    ReplayedMeasurement,
    SaysInjectedButNot,
    StateLies,
    WrongFirmware,
    WrongKernel,
    WrongTypes,
)
from .platform_attacks import (
    ForeignCek,
    ForgedChain,
    KnownBadBuild,
    LowApi,
    SwappedPdh,
    UnsignedCek,
)
from .wire_attacks import (
    AnswersLate,
    CorruptPacketReply,
    DeepJson,
    DisconnectMidCommand,
    Flood,
    GarbageJson,
    HugeReply,
    SecondClient,
    Silence,
    SlowDrip,
)

ATTACKS: tuple[type[Attack], ...] = (
    ForgedChain,
    SwappedPdh,
    ForeignCek,
    UnsignedCek,
    WrongFirmware,
    WrongKernel,
    ReplayedMeasurement,
    ClonedLaunch,
    PolicyDowngrade,
    LowApi,
    KnownBadBuild,
    Silence,
    SlowDrip,
    DisconnectMidCommand,
    Flood,
    HugeReply,
    DeepJson,
    GarbageJson,
    WrongTypes,
    SecondClient,
    StateLies,
    ErrorWithMarkup,
    CorruptPacketReply,
    SaysInjectedButNot,
    AnswersLate,
)
"""Every attack, in the order in which they are listed to people."""

GUEST_ATTACKS: tuple[type[Attack], ...] = (*ATTACKS, TamperedPacket, SwappedKernel, OwnDisk)
"""Every attack that can be played where a real guest runs; the last ones make sense only there."""


def attack_named(name: str, among: Sequence[type[Attack]] = ATTACKS) -> Attack:
    """A fresh attack for one host. Raises UsageError ``unknown-attack``, which lists the names."""
    for attack in among:
        if attack.name == name:
            return attack()
    names = ", ".join(attack.name for attack in among)
    raise UsageError(
        "unknown-attack",
        "There is no such attack",
        f"'{name}' is not an attack that the simulator can play.",
        f"Choose one of: {names}.",
    )
