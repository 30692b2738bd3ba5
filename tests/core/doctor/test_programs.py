# SPDX-License-Identifier: Apache-2.0
"""Programs asked for their version: whatever they do, an answer or none comes in time."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

import pytest

from watchword.core.doctor import programs
from watchword.core.doctor.programs import first_line


@pytest.fixture
def program(tmp_path):
    """Makes a program of a few shell lines, and gives its path."""

    def make(script):
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture(autouse=True)
def ended(monkeypatch):
    """Sees to it that every process that was started has ended and was waited for."""
    started = []

    class Recorded(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    yield started
    assert all(process.returncode is not None for process in started)


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_the_first_line_on_either_stream_is_the_answer(program, stream):
    path = program(f"echo 'QEMU emulator version 9' {stream}; echo more")
    assert first_line((path, "--version")) == "QEMU emulator version 9"


def test_arguments_go_without_a_shell(program):
    assert first_line((program('echo "$1"'), "$(id); *")) == "$(id); *"


@pytest.mark.parametrize("script", ["true", "exit 3", "echo; echo", "printf ' \\n \\n'"])
def test_a_program_that_says_nothing_gives_none(program, script):
    assert first_line((program(script),)) is None


@pytest.mark.parametrize("path", ["/nonexistent/program", "/etc", "/etc/passwd", "a\0b"])
def test_what_is_no_program_gives_none(path):
    assert first_line((path,)) is None


def test_a_program_that_hangs_is_ended(program):
    path = program("echo half; exec 1>&2; sleep 60")
    assert first_line((path,), seconds=20) == "half"
    assert first_line((program("sleep 60"),), seconds=0.05) is None


def test_a_program_that_leaves_a_child_with_the_pipe_is_ended_with_it(program, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        path = program(f"(exec 3> {fifo}; echo ready; sleep 60) & exit 0")
        assert first_line((path,), seconds=20) == "ready"
        # Readable without a byte: the last one who could write has ended.
        assert select.select([reader], [], [], 20)[0]
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_a_program_that_never_ends_a_line_is_cut_off(program, monkeypatch):
    monkeypatch.setattr(programs, "MOST_BYTES", 1000)
    answer = first_line((program("while :; do printf xxxxxxxxxx; done"),), seconds=20)
    assert answer == "x" * 200


def test_it_gets_nothing_to_read_and_little_environment(program, monkeypatch):
    monkeypatch.setenv("A_SECRET", "hunter2")
    path = program('read line; echo "[$line][$A_SECRET][$LC_ALL][${PATH:+path}]"')
    assert first_line((path,)) == "[][][C][path]"


def test_bytes_that_are_no_text_are_shown_somehow(program):
    assert first_line((program("printf '\\377abc\\n'"),)) == "\ufffdabc"


def test_descriptors_are_closed(program):
    path = program("echo x")
    first_line((path,))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        first_line((path,))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
