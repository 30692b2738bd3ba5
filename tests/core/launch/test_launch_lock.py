# SPDX-License-Identifier: Apache-2.0
"""One process at a time works on a launch, and others are told who does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from watchword.core.errors import BadInput
from watchword.core.launch.launch_lock import LaunchLock

from .support import (
    Stage,
)


def test_one_process_at_a_time_works_on_a_launch_and_the_other_is_told_who_does(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk, office.desk(stage) as other:
                run = desk.new(office.order())
                for act in (other.open, lambda name: other.abandon(name, "mine")):
                    with pytest.raises(BadInput) as error:
                        act(run.id)
                    assert error.value.code == "launch-busy"
                    assert error.value.details["pid"] == os.getpid()
                    assert str(os.getpid()) in error.value.message
                    assert "2026-11-23" in error.value.message
                assert other.show(run.id).id == run.id
                assert len(other.list()) == 1
                run.close()
                other.open(run.id)

    asyncio.run(scenario())


HOLD = """
import sys
from pathlib import Path
from watchword.core.launch.launch_lock import LaunchLock
lock = LaunchLock.take(Path(sys.argv[1]), "vm1", "2026-11-23T14:00:00Z", 5)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_process_that_was_killed_leaves_no_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BadInput) as error:
            LaunchLock.take(tmp_path, "vm1", "", 0)
        assert error.value.details["pid"] == holder.pid
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert (tmp_path / "locks" / "vm1.lock").exists()
    lock = LaunchLock.take(tmp_path, "vm1", "", 0)
    lock.release()
    lock.release()
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_lock_that_its_holder_removed_is_not_held_by_two(tmp_path):
    first = LaunchLock.take(tmp_path, "vm1", "", 0)
    waiting = os.open(tmp_path / "locks" / "vm1.lock", os.O_RDWR)
    first.release()
    second = LaunchLock.take(tmp_path, "vm1", "", 0)
    os.close(waiting)
    with pytest.raises(BadInput):
        LaunchLock.take(tmp_path, "vm1", "", 0)
    second.release()


@pytest.mark.parametrize(
    "note", [b"", b"{", b"\xff", b'{"pid":"x"}', b'{"pid":1,"since":"\\u001b[2J"}']
)
def test_whatever_a_lock_file_says_is_shown_safely(tmp_path, note):
    lock = LaunchLock.take(tmp_path, "vm1", "", 0)
    (tmp_path / "locks" / "vm1.lock").write_bytes(note)
    with pytest.raises(BadInput) as error:
        LaunchLock.take(tmp_path, "vm1", "", 0)
    assert error.value.message.isprintable()
    lock.release()
