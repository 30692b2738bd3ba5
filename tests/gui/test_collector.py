# SPDX-License-Identifier: Apache-2.0
"""Garbage is collected by the GUI thread's timer alone."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from watchword.gui.collector import Collector


class Cycle:
    def __init__(self):
        self.me = self


@pytest.fixture
def collector(qapp):
    made, before = Collector(), gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # Python's own; a run of tests may have other ones
    made.begin()
    yield made
    gc.set_threshold(*before)
    made.stop()
    gc.disable()  # as the window's tests have it
    made.deleteLater()


def gather(number):
    return [weakref.ref(Cycle()) for _ in range(number)]


def test_no_other_thread_collects(collector):
    left = []
    thread = threading.Thread(target=lambda: left.extend(gather(5000)))
    thread.start()
    thread.join()
    assert not gc.isenabled()
    assert all(one() is not None for one in left)


def test_what_has_gathered_is_collected_at_the_next_look(collector):
    left = gather(2 * gc.get_threshold()[0])
    collector.look()
    assert all(one() is None for one in left)


def test_the_timer_looks(qtbot, collector):
    left = gather(2 * gc.get_threshold()[0])
    qtbot.waitUntil(lambda: all(one() is None for one in left))


def test_little_garbage_is_left_for_later(collector):
    gc.collect()
    (one,) = gather(1)
    collector.look()
    assert one() is not None


def test_afterwards_python_collects_by_itself_again(collector):
    collector.stop()
    assert gc.isenabled()
