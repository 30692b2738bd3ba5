# SPDX-License-Identifier: Apache-2.0
"""Programs that reach a host are ended with all that they started, also after their own end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from watchword.core.hosts.child_process import ChildProcess
from watchword.core.hosts.process_end import exit_status, kill_group
from watchword.core.hosts.ssh_process import SshProcess

from .process_looks import is_gone, runs

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def command(text):
    return ("/bin/sh", "-c", text)


def leaves_a_child(folder, status=0):
    """A program that ends at once, and a child of it that would run on; writes its number."""
    return command(f"sleep 60 >/dev/null 2>&1 & echo $! >{folder}/child; exit {status}")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def child_of(folder):
    return int((folder / "child").read_text())


@pytest.mark.parametrize("status", [0, 7])
def test_what_a_program_left_behind_is_killed_with_its_group(tmp_path, status):
    async def run():
        process = await ChildProcess.start(leaves_a_child(tmp_path, status), ENVIRONMENT)
        try:
            ended = await process.wait()
            assert runs(child_of(tmp_path))
        finally:
            await process.end()
        await process.end()
        return ended, process.status

    assert asyncio.run(run()) == (status, status)
    assert is_gone(child_of(tmp_path))


def test_a_program_that_ended_keeps_its_number_until_its_group_is_killed(tmp_path):
    process = subprocess.Popen(leaves_a_child(tmp_path, 3), start_new_session=True)
    while exit_status(process) is None:
        time.sleep(0.01)
    assert exit_status(process) == 3
    assert process.returncode is None  # not reaped, so that no other program can have its number
    kill_group(process)
    assert process.wait(10) == 3
    assert exit_status(process) == 3
    assert is_gone(child_of(tmp_path))


def test_a_reaped_programs_number_is_left_alone(monkeypatch):
    process = subprocess.Popen(command("exit 0"), start_new_session=True)
    process.wait(10)
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("that may be somebody else's group"))
    kill_group(process)


def test_a_signal_is_told_as_a_negative_status():
    process = subprocess.Popen(command("kill -9 $$"), start_new_session=True)
    while exit_status(process) is None:
        time.sleep(0.01)
    assert exit_status(process) == -9
    assert process.wait(10) == -9


def test_a_running_program_is_killed_with_its_children_and_its_pipes_closed(tmp_path):
    async def run():
        text = f"sleep 60 & echo $! >{tmp_path}/child; echo ready; cat; wait"
        process = await ChildProcess.start(
            command(text), ENVIRONMENT, takes_input=True, errors_apart=True
        )
        assert await process.stdout.readline() == b"ready\n"
        process.stdin.write(b"echoed\n")
        await process.stdin.drain()
        assert await process.stdout.readline() == b"echoed\n"
        await process.end()
        return process.status

    before = open_files()
    assert asyncio.run(run()) == -9
    assert is_gone(child_of(tmp_path))
    assert open_files() == before


def test_an_ssh_that_ended_by_itself_leaves_no_proxy_behind(tmp_path):
    async def run():
        process = SshProcess(leaves_a_child(tmp_path, 255), "qmp+ssh://host/x")
        assert await process.wait(10) == 255
        process.close(5)
        assert process.status == 255

    asyncio.run(run())
    assert is_gone(child_of(tmp_path))


def test_a_program_that_closed_its_input_before_it_was_ended():
    async def run():
        process = await ChildProcess.start(
            command("exec <&-; echo closed; sleep 60"), ENVIRONMENT, takes_input=True
        )
        assert await process.stdout.readline() == b"closed\n"
        with contextlib.suppress(ConnectionError):
            while True:
                process.stdin.write(b"x" * 100_000)
                await process.stdin.drain()
        await asyncio.sleep(0)
        await process.end()
        return process.status

    assert asyncio.run(run()) == -9


def test_a_program_that_the_system_does_not_start_is_an_error_and_leaves_no_pipe():
    before = open_files()
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(ChildProcess.start(("/nonexistent/virsh",), ENVIRONMENT))
    assert open_files() == before
