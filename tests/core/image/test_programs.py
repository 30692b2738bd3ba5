# SPDX-License-Identifier: Apache-2.0
"""The tools for disk images: bounded, killed with their children, no secret in what they show."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path

import pytest

from watchword.core.errors import BadInput
from watchword.core.image import programs
from watchword.core.image.programs import (
    KeyPipe,
    Limits,
    ProgramFailed,
    find_program,
    require_programs,
    run_program,
)
from watchword.core.secret import Secret


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a shell script into a tool on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(text: str, name: str = "some-tool") -> str:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(stat.S_IRWXU)
        return name

    return make


def run(*arguments, **options):
    return asyncio.run(run_program(*arguments, **options))


def gone(pid: int) -> bool:
    for _ in range(1500):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_a_tool_gets_its_words_unchanged_and_its_output_comes_back(tool) -> None:
    name = tool('printf "%s|" "$@"; cat')
    done = run(name, ["a b", "$HOME", "*"], feed=b"fed")
    assert done.output == b"a b|$HOME|*|fed"


def test_a_large_feed_and_much_stderr_do_not_deadlock(tool) -> None:
    name = tool("head -c 300000 /dev/zero >&2; wc -c")
    assert run(name, [], feed=b"x" * 700_000).output.strip() == b"700000"


def test_a_secret_comes_by_a_pipe_and_shows_in_no_argument(tool) -> None:
    name = tool('tr "\\0" " " </proc/$$/cmdline; echo; cat "${1#key=}"')
    done = run(name, [KeyPipe(Secret(b"the watchword"), "key=")])
    shown, _, read = done.output.partition(b"\n")
    assert b"watchword" not in shown
    assert b"key=/dev/fd/" in shown
    assert read == b"the watchword"


def test_two_secrets_stay_apart_and_no_pipe_is_left_open(tool) -> None:
    name = tool('cat "$2"; echo; cat "$1"')
    before = len(list(Path("/proc/self/fd").iterdir()))
    done = run(name, [KeyPipe(Secret(b"one")), KeyPipe(Secret(b"two"))])
    assert done.output == b"two\none"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_secret_larger_than_the_smallest_pipe_is_refused(tool) -> None:
    with pytest.raises(BadInput) as refused:
        run(tool("exit 0"), [KeyPipe(Secret(bytes(4097)))])
    assert refused.value.code == "secret-too-large"


def test_the_environment_holds_nothing_of_ours(tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHWORD_VAULT_PASSPHRASE", "must not travel")
    output = run(tool("env"), [], environment={"TMPDIR": "/nowhere"}).output
    assert b"must not travel" not in output
    assert b"LC_ALL=C\n" in output
    assert b"TMPDIR=/nowhere\n" in output


def test_a_failure_names_the_tool_its_last_words_and_the_package(tool) -> None:
    tool("echo first >&2; printf 'bad \\033[31mthing\\n' >&2; exit 3", "qemu-img")
    with pytest.raises(ProgramFailed) as failed:
        run("qemu-img", [])
    assert failed.value.status == 3
    assert "first; bad \\x1b[31mthing" in failed.value.message
    assert "qemu-utils" in failed.value.remedy


def test_an_allowed_status_is_no_failure(tool) -> None:
    assert run(tool("exit 2"), [], allowed=(0, 2)).status == 2


def test_a_full_disk_is_told_as_such(tool, tmp_path: Path) -> None:
    name = tool("echo 'write failed: No space left on device' >&2; exit 1")
    with pytest.raises(BadInput) as full:
        run(name, [], folder=tmp_path)
    assert full.value.code == "no-room"
    assert str(tmp_path) in full.value.message


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", ())
    with pytest.raises(BadInput) as missing:
        find_program("mkfs.ext4")
    assert missing.value.code == "program-missing"
    assert "apt install e2fsprogs" in missing.value.remedy
    with pytest.raises(BadInput):
        require_programs(["mcopy"])


def test_tools_of_the_system_are_found_without_sbin_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mkfs.ext4"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", (str(tmp_path),))
    assert find_program("mkfs.ext4") == path


def test_a_tool_that_takes_too_long_is_killed_with_its_children(tool, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    name = tool(f"sleep 600 & echo $! >{note}; wait")
    with pytest.raises(BadInput) as slow:
        run(name, [], limits=Limits(seconds=4.0))  # a busy machine begins with it late
    assert slow.value.code == "program-too-slow"
    assert gone(int(note.read_text()))


def test_a_tool_without_a_sign_of_life_is_killed_and_a_pulse_keeps_it(tool) -> None:
    with pytest.raises(BadInput) as slow:
        run(tool("sleep 600"), [], limits=Limits(seconds=60, idle=0.3))
    assert "without getting any further" in slow.value.message
    beats = iter(range(1000))
    done = run(tool("sleep 4"), [], limits=Limits(seconds=60, idle=3), pulse=lambda: next(beats))
    assert done.status == 0


def test_cancelling_kills_the_tool_and_its_children(tool, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    name = tool(f"sleep 600 & echo $! >{note}.new; mv {note}.new {note}; wait")

    async def cancel() -> None:
        task = asyncio.create_task(run_program(name, []))
        for _ in range(3000):
            if note.exists():
                break
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert gone(int(note.read_text()))


@pytest.mark.parametrize("impatient", [False, True])
@pytest.mark.parametrize("turns", range(12))
def test_cancelling_while_the_tool_is_being_started_ends_too(
    tool, turns: int, impatient: bool
) -> None:
    """asyncio alone would wait for ever for pipes that are not connected yet."""
    name = tool("sleep 600 & wait")

    async def cancel() -> None:
        task = asyncio.create_task(run_program(name, []))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if impatient:
            await asyncio.sleep(0)
            task.cancel()
        ended, _ = await asyncio.wait([task], timeout=20)
        assert ended
        with pytest.raises(asyncio.CancelledError):
            task.result()

    asyncio.run(cancel())


def test_output_without_end_is_cut_off(tool) -> None:
    with pytest.raises(BadInput) as much:
        run(tool("exec cat /dev/zero"), [], limits=Limits(seconds=30))
    assert much.value.code == "program-says-too-much"


def test_output_that_is_taken_piece_by_piece_is_not_kept(tool) -> None:
    sizes: list[int] = []
    done = run(
        tool("head -c 3000000 /dev/zero"), [], on_output=lambda piece: sizes.append(len(piece))
    )
    assert sum(sizes) == 3_000_000
    assert done.output == b""
