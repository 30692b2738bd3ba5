# SPDX-License-Identifier: Apache-2.0
"""Where secrets come from: files, stdin, descriptors, a terminal; never the command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from watchword.core.cli import secret_options
from watchword.core.errors import WatchwordError

from .support import finish, start

SECRET = b"hunter2\0\xff and more"


def load(source):
    """The bytes that a source gives, and the Secret that holds them."""
    with secret_options._loader(str(source))().reveal() as view:
        return bytes(view)


def refusal(source):
    with pytest.raises(WatchwordError) as caught:
        load(source)
    return caught.value


@contextlib.contextmanager
def pipe_with(data):
    """The reading end of a pipe that holds ``data``."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


def test_a_file_is_taken_byte_for_byte(tmp_path):
    for content in (SECRET, b"line\n", b" \t", b"\0"):
        (tmp_path / "secret").write_bytes(content)
        assert load(tmp_path / "secret") == content


@pytest.mark.parametrize("spelling", ["fd:{}", "/dev/fd/{}", "/proc/self/fd/{}"])
def test_a_descriptor_is_read_to_its_end(spelling):
    with pipe_with(SECRET) as reading:
        assert load(spelling.format(reading)) == SECRET


@pytest.mark.parametrize("spelling", ["-", "/dev/stdin"])
def test_stdin_is_read_to_its_end(monkeypatch, spelling):
    with pipe_with(SECRET) as reading:
        monkeypatch.setattr(sys, "stdin", os.fdopen(reading, closefd=False))
        assert load(spelling) == SECRET


def test_a_secret_that_comes_in_pieces_is_put_together():
    reading, writing = os.pipe()

    def send():
        for byte in SECRET:
            os.write(writing, bytes([byte]))
        os.close(writing)

    sender = threading.Thread(target=send)
    sender.start()
    assert load(f"fd:{reading}") == SECRET
    sender.join()
    os.close(reading)


def test_what_is_too_large_is_not_read_to_its_end(tmp_path):
    with Path("/dev/zero").open("rb") as endless:
        assert refusal(f"fd:{endless.fileno()}").code == "secret-too-large"
    (tmp_path / "large").write_bytes(bytes(16385))
    assert refusal(tmp_path / "large").code == "file-too-large"
    with (tmp_path / "large").open("rb") as large:
        assert refusal(f"fd:{large.fileno()}").code == "secret-too-large"


def test_descriptors_that_cant_be_read_are_bad_input(tmp_path, monkeypatch):
    closed = os.dup(0)
    os.close(closed)
    folder = os.open(tmp_path, os.O_RDONLY)
    writing = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    try:
        for number in (closed, folder, writing, 999999999):
            assert refusal(f"fd:{number}").code == "descriptor-unreadable"
    finally:
        os.close(folder)
        os.close(writing)
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-").code == "descriptor-unreadable"


@pytest.mark.parametrize("source", ["fd:", "fd:x", "fd:-1", "fd:²", "fd:9999999999999", "fd:1 "])
def test_what_only_looks_like_a_descriptor_is_a_file_name(source):
    assert refusal(source).code == "file-missing"


def test_an_empty_source_is_refused_by_name(tmp_path):
    (tmp_path / "empty").touch()
    assert refusal(tmp_path / "empty").code == "file-empty"
    # Of a descriptor nobody knows before: sealing refuses it, as "one of them is empty".
    with pipe_with(b"") as reading:
        assert load(f"fd:{reading}") == b""


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        assert refusal(source).exit_status == 6


@pytest.fixture
def interrupted_read(monkeypatch):
    """``os.readv`` as it is when Ctrl-C comes while it waits."""
    genuine = os.readv

    def read(descriptor, buffers):
        signal.raise_signal(signal.SIGINT)
        return genuine(descriptor, buffers)

    monkeypatch.setattr(os, "readv", read)


def test_ctrl_c_ends_waiting_for_a_secret_whoever_handles_it(interrupted_read):
    marked = []
    before = signal.signal(signal.SIGINT, lambda number, frame: marked.append(number))
    try:
        with pipe_with(SECRET) as reading, pytest.raises(KeyboardInterrupt):
            load(f"fd:{reading}")
        signal.raise_signal(signal.SIGINT)
        assert marked == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_just_before_waiting_counts_too():
    async def main(reading):
        asyncio.current_task().cancel()  # as asyncio's own handler does
        load(f"fd:{reading}")

    with pipe_with(SECRET) as reading, pytest.raises(KeyboardInterrupt):
        asyncio.run(main(reading))


def test_a_person_is_asked_and_not_shown_what_is_typed():
    terminal, end = pty.openpty()
    code = (
        "import sys; sys.argv = ['x'];"
        "from watchword.core.cli.secret_options import _read_stdin\n"
        "with _read_stdin().reveal() as view: print(bytes(view) == b'hunter2')"
    )

    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(end)
    asked = process.stderr.read(len("Secret (not shown): "))
    os.write(terminal, b"hunter2\n")
    shown = finish(process)
    assert (asked, shown.out) == (b"Secret (not shown): ", "True\n")
    with contextlib.suppress(OSError):  # a terminal whose other end is closed says so by EIO
        assert b"hunter2" not in os.read(terminal, 100)
    os.close(terminal)


def test_a_shells_process_substitution_works(command, tmp_path):
    """``--secret NAME=<(pass show vm1)`` is a pipe under /dev/fd."""
    (tmp_path / "keys").write_bytes(bytes(32))
    digest = "22" * 32
    blob = command(
        *("measurement", "compute", "--tk", tmp_path / "keys", "--api", "1.49", "--build", "6"),
        *("--policy", "default", "--nonce", "00" * 16, "--launch-digest", digest, "--json"),
    ).json["blob"]
    with pipe_with(SECRET) as reading:
        process = start(
            *("secret", "seal", "--tk", tmp_path / "keys", "--api", "1.49", "--build", "6"),
            *("--policy", "default", "--reported", blob, "--launch-digest", digest, "--json"),
            *("--secret", f"disk-passphrase=/dev/fd/{reading}", "--out", tmp_path / "packet"),
            pass_fds=[reading],
        )
        shown = finish(process)
    assert shown.status == 0
    assert shown.json["secrets"][0]["size"] == len(SECRET) + 1
