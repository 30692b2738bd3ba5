# SPDX-License-Identifier: Apache-2.0
"""Work in the loop's thread: results, errors and cancellation come back to the GUI thread."""

from __future__ import annotations

import asyncio
import threading

import pytest
from PySide6.QtCore import QObject, Slot

from watchword.core.errors import UsageError, WatchwordError
from watchword.gui.bridge import Bridge, Job


class Listener(QObject):
    """Keeps what a job says, with the thread that it was heard in."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.heard: list[object] = []
        self.threads: set[threading.Thread] = set()
        job.progress.connect(self.hear)
        job.succeeded.connect(self.hear)
        job.failed.connect(self.hear)
        job.cancelled.connect(self.hear_cancelled)
        job.finished.connect(self.hear_finished)

    @Slot(object)
    def hear(self, what: object) -> None:
        self.heard.append(what)
        self.threads.add(threading.current_thread())

    @Slot()
    def hear_cancelled(self) -> None:
        self.hear("cancelled")

    @Slot()
    def hear_finished(self) -> None:
        self.hear("finished")


def an_error() -> UsageError:
    return UsageError("some-code", "A title", "A message.", "A remedy.")


async def for_ever(report) -> None:
    report("began")
    await asyncio.Event().wait()


def test_a_result_comes_after_all_progress_and_in_the_gui_thread(qtbot, bridge: Bridge) -> None:
    worked_in: list[threading.Thread] = []

    async def work(report) -> str:
        worked_in.append(threading.current_thread())
        for number in range(5):
            report(number)
            await asyncio.sleep(0)
        return "result"

    job = bridge.submit(work)
    listener = Listener(job)
    with qtbot.waitSignal(job.finished):
        pass
    assert listener.heard == [0, 1, 2, 3, 4, "result", "finished"]
    assert listener.threads == {threading.main_thread()}
    assert worked_in != [threading.main_thread()]
    assert not bridge.busy


def test_an_error_of_ours_arrives_as_it_was_raised(qtbot, bridge: Bridge) -> None:
    error = an_error()

    async def work(_report) -> None:
        raise error

    job = bridge.submit(work)
    listener = Listener(job)
    with qtbot.waitSignal(job.finished):
        pass
    assert listener.heard == [error, "finished"]


def test_a_fault_of_ours_fails_the_job_without_its_words_and_is_reported(
    qtbot, bridge: Bridge
) -> None:
    fault = ValueError("the canary 0xC0FFEE")

    async def work(_report) -> None:
        raise fault

    reported: list[object] = []
    bridge.crashed.connect(reported.append)
    job = bridge.submit(work)
    listener = Listener(job)
    with qtbot.waitSignal(job.finished):
        pass
    assert reported == [fault]
    failure = listener.heard[0]
    assert isinstance(failure, WatchwordError)
    assert failure.code == "unexpected"
    assert "canary" not in str(failure.as_json())


def test_cancelled_comes_once_the_work_has_cleaned_up(qtbot, bridge: Bridge) -> None:
    cleaned: list[str] = []

    async def work(report) -> None:
        try:
            await for_ever(report)
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    job = bridge.submit(work)
    listener = Listener(job)
    with qtbot.waitSignal(job.progress):
        pass
    with qtbot.waitSignal(job.cancelled):
        job.cancel()
    assert cleaned == ["up"]
    qtbot.waitUntil(lambda: listener.heard == ["began", "cancelled", "finished"])


def test_work_that_is_cancelled_before_it_began_never_begins(qtbot, bridge: Bridge) -> None:
    began: list[str] = []

    async def work(_report) -> None:
        began.append("it")

    loop_is_free = threading.Event()

    async def hold(report) -> None:
        report("held")
        loop_is_free.wait(60)

    with qtbot.waitSignal(bridge.submit(hold).progress):
        pass  # else both might begin together, before anything is cancelled
    job = bridge.submit(work)
    with qtbot.waitSignal(job.cancelled):
        job.cancel()
        loop_is_free.set()
    assert began == []


def test_cancelling_what_is_over_does_nothing(qtbot, bridge: Bridge) -> None:
    async def work(_report) -> str:
        return "result"

    job = bridge.submit(work)
    with qtbot.waitSignal(job.succeeded):
        pass
    job.cancel()
    assert not bridge.busy


def test_jobs_run_beside_each_other(qtbot, bridge: Bridge) -> None:
    waiting = bridge.submit(for_ever)

    async def work(_report) -> str:
        return "result"

    with qtbot.waitSignal(bridge.submit(work).succeeded):
        pass
    with qtbot.waitSignal(waiting.cancelled):
        waiting.cancel()


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_cancels_what_is_at_work_and_leaves_no_thread(qtbot, busy: bool) -> None:
    bridge = Bridge()
    cleaned: list[str] = []

    async def work(report) -> None:
        try:
            await for_ever(report)
        finally:
            cleaned.append("up")

    if busy:
        with qtbot.waitSignal(bridge.submit(work).progress):
            pass
    assert bridge.shutdown(60)
    assert cleaned == (["up"] if busy else [])
    assert not [t for t in threading.enumerate() if t.name == "watchword-work"]


def test_no_signal_comes_after_the_end(qtbot) -> None:
    bridge = Bridge()
    job = bridge.submit(for_ever)
    listener = Listener(job)
    assert bridge.shutdown(60)
    job.cancel()
    qtbot.wait(10)
    assert set(listener.heard) <= {"began"}


def test_work_that_does_not_stop_does_not_hold_up_the_end(qtbot) -> None:
    bridge = Bridge()
    go_on = threading.Event()

    async def stubborn(report) -> None:
        report("began")
        go_on.wait(60)

    with qtbot.waitSignal(bridge.submit(stubborn).progress):
        pass
    assert not bridge.shutdown(seconds=0.05)
    go_on.set()
    assert bridge.shutdown(60)
