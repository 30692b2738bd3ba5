# SPDX-License-Identifier: Apache-2.0
"""The verdict on a console: words about halting count where the machine halts, and nowhere else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from watchword.core.rehearsal.qemu_console import Console, ConsoleMarkers, Sign
from watchword.core.rehearsal.qemu_verdict import Verdict, _judge, watch

HALTS = b"WATCHWORD-GRUB halted: the launch secret opens no disk\r\n"


def judged(text: bytes, ended: Verdict) -> tuple[Verdict, str | None]:
    console = Console(ConsoleMarkers())
    console.feed(text)
    sighting = _judge(console, ended, 1.0)
    return sighting.verdict, sighting.marker


@pytest.mark.parametrize("ended", [Verdict.ENDED, Verdict.HALTED])
def test_a_machine_that_says_so_and_does_nothing_more_has_halted(ended: Verdict) -> None:
    assert judged(HALTS, ended) == (Verdict.HALTED, "WATCHWORD-GRUB halted: ")


def test_a_machine_that_only_says_so_has_not_halted() -> None:
    assert judged(HALTS, Verdict.STUCK) == (Verdict.STUCK, None)


def test_a_disk_that_opened_and_a_question_count_for_more_than_such_words() -> None:
    assert judged(HALTS + b"web1 login: ", Verdict.ENDED)[0] is Verdict.UNLOCKED
    assert judged(HALTS + b"Enter passphrase for hd0: ", Verdict.ENDED)[0] is Verdict.ASKED


def test_the_words_of_our_firmware_are_no_other_sign() -> None:
    console = Console(ConsoleMarkers())
    console.feed(b"WATCHWORD-OVMF halted: not the measured kernel, initrd or command line\r\n")
    assert list(console.signs) == [Sign.HALTED]


def test_a_cancellation_that_comes_together_with_words_is_not_lost() -> None:
    async def main() -> bool:
        words = asyncio.StreamReader()
        machine: Any = SimpleNamespace(qemu=SimpleNamespace(console=words))
        task = asyncio.create_task(watch(machine, Console(ConsoleMarkers()), 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # until it reads
        words.feed_data(b"Booting\r\n")
        await asyncio.sleep(0)  # the words are on their way
        task.cancel()
        words.feed_eof()  # what would end it, were the cancellation lost
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
