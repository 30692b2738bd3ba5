# SPDX-License-Identifier: Apache-2.0
"""From a running guest's console to the verdict: did its disk open by itself?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..simulator import QemuMachine
from .qemu_console import Console, Sign

_CHUNK: Final = 64 << 10
_SETTLE_SECONDS: Final = 3.0
"""How long a guest that has asked may take to go on by itself."""
_SILENCE_SECONDS: Final = 2.0
_TIMES_STILL: Final = 2
"""How often in a row, each after a silence, the processor must be seen standing still."""


class Verdict(StrEnum):
    """How the guest fared once it ran."""

    UNLOCKED = "unlocked"
    ASKED = "asked-for-a-passphrase"
    STUCK = "stuck"
    ENDED = "ended"
    HALTED = "halted"
    KERNEL_REFUSED = "kernel-refused"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A verdict, and what it rests on.

    ``marker``   the text on the console that showed it, if a text did
    ``also``     what else was seen, such as a disk that was opened after a refused kernel
    ``lines``    the console's last lines, unescaped
    ``seconds``  from the moment in which the guest ran to the verdict
    ``leaked``   whether a secret stood on the console in clear
    """

    verdict: Verdict
    marker: str | None
    also: tuple[Sign, ...]
    lines: tuple[str, ...]
    seconds: float
    leaked: bool


async def watch(machine: QemuMachine, console: Console, limit: float) -> Sighting:
    """Read the console until it is clear how the guest fares, ``limit`` seconds at most."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ended = await _read_on(machine, console, begun + limit)
    console.finish()
    return _judge(console, ended, loop.time() - begun)


async def _read_on(machine: QemuMachine, console: Console, deadline: float) -> Verdict:
    """Why reading stopped: ENDED, HALTED or (time is up, or a sign is clear) STUCK."""
    loop = asyncio.get_running_loop()
    still = 0
    while Sign.UNLOCKED not in console.signs:
        left = deadline - loop.time()
        if left <= 0:
            return Verdict.STUCK
        try:
            # Not wait_for(): Python 3.11's loses a cancellation that comes together with words.
            async with asyncio.timeout(min(left, _SILENCE_SECONDS)):
                data = await machine.qemu.console.read(_CHUNK)
        except TimeoutError:
            still = still + 1 if await machine.qemu.stands_still() else 0
            if still >= _TIMES_STILL:
                return Verdict.HALTED
            continue
        except ConnectionError:
            data = b""
        if not data:
            return Verdict.ENDED
        still = 0
        asked_before = Sign.ASKED in console.signs
        console.feed(data)
        if Sign.ASKED in console.signs and not asked_before:
            deadline = min(deadline, loop.time() + _SETTLE_SECONDS)
    return Verdict.STUCK


def _judge(console: Console, ended: Verdict, seconds: float) -> Sighting:
    signs = console.signs
    order: tuple[tuple[Sign, Verdict], ...] = (
        (Sign.REFUSED, Verdict.KERNEL_REFUSED),
        (Sign.UNLOCKED, Verdict.UNLOCKED),
        (Sign.ASKED, Verdict.ASKED),
    )
    # A guest that goes on after such words has not halted.
    if ended in (Verdict.ENDED, Verdict.HALTED):
        order = (*order, (Sign.HALTED, Verdict.HALTED))
    sign, verdict = next(
        ((sign, verdict) for sign, verdict in order if sign in signs), (None, ended)
    )
    return Sighting(
        verdict,
        None if sign is None else signs[sign],
        tuple(other for other in signs if other is not sign),
        console.lines,
        seconds,
        console.leaked,
    )
