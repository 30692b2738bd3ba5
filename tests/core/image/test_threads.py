# SPDX-License-Identifier: Apache-2.0
"""Long work in a thread has ended when the cancellation that ends it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import threading
import time
import weakref

import pytest

from watchword.core.errors import BadInput
from watchword.core.image.threads import Stop, in_thread


@pytest.mark.parametrize("times", [1, 2, 3])
def test_however_often_it_is_cancelled_the_work_has_ended_before_it_goes_on(times: int) -> None:
    at_work, ended = threading.Event(), threading.Event()

    def work(stop: Stop) -> None:
        at_work.set()
        try:
            while True:
                stop.check()
                time.sleep(0.01)
        finally:
            time.sleep(0.2)  # what it holds is let go of
            ended.set()

    async def cancelled() -> bool:
        task = asyncio.create_task(in_thread(work, "a disk"))
        await asyncio.to_thread(at_work.wait)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        return task.cancelled() and ended.is_set()

    assert asyncio.run(cancelled())


def test_what_the_work_raises_comes_back_and_a_full_disk_in_our_words() -> None:
    def work(number: int) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match="Input/output"):
        asyncio.run(in_thread(lambda stop: work(errno.EIO), "a disk"))
    with pytest.raises(BadInput) as full:
        asyncio.run(in_thread(lambda stop: work(errno.ENOSPC), "a disk"))
    assert full.value.code == "no-room"


def test_nothing_that_failed_work_held_stays_in_memory() -> None:
    class Held:
        pass

    async def main() -> bool:
        held = Held()
        gone = weakref.ref(held)

        def work(stop: Stop, held: Held = held) -> None:
            raise OSError(errno.EIO, "damaged")

        del held
        with contextlib.suppress(OSError):
            await in_thread(work, "a disk")
        del work
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)  # the loop itself knows what woke this up, until the next round
        return gone() is None

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main())
    finally:
        gc.enable()
