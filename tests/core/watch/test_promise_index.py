# SPDX-License-Identifier: Apache-2.0
"""The index of promises: found by request and launch, little memory, and our own errors."""

from __future__ import annotations

import gc
import hashlib
import threading
import tracemalloc

import pytest

from watchword.core.errors import BadInput
from watchword.core.watch.promise_index import Promise, PromiseIndex


def key(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def promise(number):
    return Promise(f"launch-{number}", "vm1", key(-number))


def test_the_first_promise_of_a_request_and_of_a_launch_counts():
    index = PromiseIndex()
    index.add(key(1), promise(1))
    index.add(key(1), promise(2))
    index.add(key(3), Promise("launch-1", "vm3", "other"))
    assert index.of_request(key(1)) == promise(1)
    assert index.of_launch("launch-1") == promise(1)
    assert index.of_launch("launch-2") == promise(2)
    assert index.of_request(key(2)) is None
    assert index.of_launch("launch-4") is None


def test_what_is_gone_is_gone_once():
    index = PromiseIndex()
    many = [f"launch-{number}" for number in range(2000)]
    assert index.gone_among(many) == set()
    for launch_id in ("launch-1", "launch-1", "launch-1999", "launch-5000"):
        index.add_gone(launch_id)
    assert index.gone_among(many) == {"launch-1", "launch-1999"}
    assert index.gone_among(()) == set()


def test_refusals_are_counted_by_launch():
    index = PromiseIndex()
    for _ in range(3):
        index.add_refused("launch-1")
    assert (index.times_refused("launch-1"), index.times_refused("launch-2")) == (3, 0)


def test_what_is_kept_takes_no_memory_of_ours():
    index = PromiseIndex()
    tracemalloc.start()
    try:
        for number in range(20_000):
            index.add(key(number), promise(number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 500_000
    assert index.of_request(key(19_999)) == promise(19_999)


def test_where_there_is_no_room_the_error_is_ours():
    index = PromiseIndex()
    index._kept.execute("pragma max_page_count = 1")

    def fill():
        for number in range(10_000):
            index.add(key(number), promise(number))

    with pytest.raises(BadInput) as caught:
        fill()
    assert caught.value.code == "records-not-written"


def test_it_may_be_collected_in_any_thread():
    holder = [PromiseIndex()]

    def forget():
        holder.clear()
        gc.collect()

    thread = threading.Thread(target=forget)
    thread.start()
    thread.join(60)
    assert not holder
