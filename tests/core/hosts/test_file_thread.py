# SPDX-License-Identifier: Apache-2.0
"""File work beside the loop ends with its result, its error, or a limit, and never holds up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest

from watchword.core.hosts.file_thread import in_thread


def test_the_result_and_the_error_come_back():
    assert asyncio.run(in_thread(lambda: 5, 5)) == 5
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(lambda: 1 // 0, 5))


def test_work_is_done_beside_the_loop():
    assert asyncio.run(in_thread(threading.current_thread, 5)) is not threading.current_thread()


def test_work_that_hangs_is_given_up_and_its_late_result_dropped():
    released = threading.Event()

    async def main():
        with pytest.raises(TimeoutError):
            await in_thread(lambda: released.wait(10), 0.05)
        released.set()
        await asyncio.sleep(0.05)  # the late result comes while the loop still runs

    asyncio.run(main())
    wait_for_threads()


def test_a_result_after_the_end_of_the_loop_is_dropped_in_silence():
    released = threading.Event()
    with pytest.raises(TimeoutError):
        asyncio.run(in_thread(lambda: released.wait(10), 0.05))
    released.set()
    wait_for_threads()


def test_cancelling_does_not_wait_for_the_work():
    released = threading.Event()

    async def main():
        task = asyncio.create_task(in_thread(lambda: released.wait(10), 60))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    released.set()
    wait_for_threads()


def test_a_cancellation_that_comes_together_with_the_result_is_not_lost():
    async def main():
        loop = asyncio.get_running_loop()
        at_work, released = threading.Event(), threading.Event()

        def work():
            at_work.set()
            released.wait(10)
            loop.call_soon_threadsafe(task.cancel)  # the result follows, in the same round

        task = asyncio.create_task(in_thread(work, 60))
        await asyncio.to_thread(at_work.wait, 10)
        # The loop sees both at once: it stands still until the thread has ended.
        released.set()
        wait_for_threads()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(main())


def test_nothing_that_failed_work_held_stays_in_memory():
    class Held:
        pass

    async def main():
        held = Held()
        gone = weakref.ref(held)

        def work(held=held):
            raise OSError

        del held
        with contextlib.suppress(OSError):
            await in_thread(work, 60)
        del work
        wait_for_threads()
        await asyncio.sleep(0)  # the loop itself knows what woke this up, until the next round
        return gone() is None

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main())
    finally:
        gc.enable()


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "watchword-files":
            thread.join(5)
            assert not thread.is_alive()
