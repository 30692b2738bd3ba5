# SPDX-License-Identifier: Apache-2.0
"""File work beside the loop ends with its result, its error, or a limit, and never holds up."""

from __future__ import annotations

import asyncio
import threading

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


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "watchword-files":
            thread.join(5)
            assert not thread.is_alive()
