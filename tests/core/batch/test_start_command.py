# SPDX-License-Identifier: Apache-2.0
"""Start commands: bounded, without a shell or our secrets, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from watchword.core.batch.start_command import StartCommand
from watchword.core.errors import BadInput, HostError

PYTHON = sys.executable


def run(folder, *words, seconds=20.0, environment=None):
    command = StartCommand(words, folder, seconds, environment or {"PATH": os.environ["PATH"]})
    asyncio.run(command.run())


def is_gone(pid):
    """Whether a process has ended; for one that was killed this takes a moment."""
    for _ in range(3000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if state_of(pid) == "Z":  # nobody has asked for its status yet
            return True
        time.sleep(0.01)
    return False


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_words_arrive_as_they_are_in_the_folder_and_the_given_environment(tmp_path):
    script = "import os, sys; open('seen', 'w').write(repr((sys.argv[1:], sorted(os.environ))))"
    words = ["a b", "$HOME; rm -rf x", "`id`", "*"]
    run(tmp_path, PYTHON, "-c", script, *words, environment={"ONLY": "this"})
    seen, names = eval((tmp_path / "seen").read_text())
    assert seen == words
    assert [name for name in names if name != "LC_CTYPE"] == ["ONLY"]


def test_a_program_may_lie_beside_the_manifest(tmp_path):
    script = tmp_path / "start"
    script.write_text("#!/bin/sh\ntouch started\n")
    script.chmod(0o700)
    run(tmp_path, "./start")
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize("word", ["./missing", "no-such-program-anywhere", "/", "a\0b"])
def test_a_program_that_can_t_be_run_is_bad_input(tmp_path, word):
    with pytest.raises(BadInput) as caught:
        run(tmp_path, word)
    assert caught.value.code == "start-command-unusable"
    assert caught.value.message.isprintable()


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    script = "import sys; print('x' * 100000); print('no\\x1b[31m route <b>'); sys.exit(3)"
    with pytest.raises(HostError) as caught:
        run(tmp_path, PYTHON, "-c", script)
    error = caught.value
    assert (error.code, error.details["status"]) == ("start-command-failed", 3)
    assert "exit status 3" in error.message
    assert len(error.message) < 1000
    assert error.message.isprintable()


def test_the_last_words_are_the_last(tmp_path):
    with pytest.raises(HostError) as caught:
        run(tmp_path, PYTHON, "-c", "import sys; print('x' * 300000, 'at last'); sys.exit(1)")
    assert caught.value.message.endswith("at last")


def test_a_command_that_is_killed_is_told_so(tmp_path):
    with pytest.raises(HostError) as caught:
        run(tmp_path, "/bin/sh", "-c", "kill -9 $$")
    assert "signal 9" in caught.value.message


def test_a_command_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path):
    script = "sleep 600 & echo $! > child; echo $$ > self; echo waiting; wait"
    with pytest.raises(HostError) as caught:
        run(tmp_path, "/bin/sh", "-c", script, seconds=4.0)  # a busy machine begins it late
    assert caught.value.code == "start-command-timeout"
    for name in ("child", "self"):
        assert is_gone(int((tmp_path / name).read_text()))


def test_what_a_command_leaves_running_is_not_waited_for_and_goes_on(tmp_path):
    # It keeps the command's output open, as a VM does that was sent into the background.
    run(tmp_path, "/bin/sh", "-c", "sleep 600 & echo $! > child")
    child = int((tmp_path / "child").read_text())
    try:
        assert state_of(child) != "Z"
    finally:
        os.kill(child, signal.SIGKILL)
    assert is_gone(child)


def test_cancelling_kills_the_command(tmp_path):
    async def cancel():
        words = ("/bin/sh", "-c", "echo $$ > self; sleep 600")
        task = asyncio.create_task(StartCommand(words, tmp_path, 60.0, {}).run())
        while not (tmp_path / "self").exists() or not (tmp_path / "self").read_text().strip():
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), 50))
    assert is_gone(int((tmp_path / "self").read_text()))
