# SPDX-License-Identifier: Apache-2.0
"""Reading what people name, and writing files whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import socket
import tempfile
from pathlib import Path

import pytest

from watchword.core import files
from watchword.core.errors import BadInput, ExitStatus
from watchword.core.files import (
    read_base64_or_raw,
    read_chunks,
    read_file,
    read_secret,
)


def listing(folder) -> list[str]:
    return sorted(entry.name for entry in Path(folder).iterdir())


def drain(path, field="--kernel", **options):
    return b"".join(read_chunks(path, field, **options))


READERS = [
    pytest.param(lambda path: read_file(path, "--kernel", 1000), id="read_file"),
    pytest.param(lambda path: read_secret(path, "--kernel", 1000), id="read_secret"),
    pytest.param(drain, id="read_chunks"),
    pytest.param(lambda path: read_base64_or_raw(path, "--kernel", {16}), id="read_base64_or_raw"),
]


@pytest.fixture(params=READERS)
def reader(request):
    return request.param


def refusal(reader, path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        reader(path)
    error = caught.value
    assert error.exit_status is ExitStatus.BAD_INPUT
    assert error.field == "--kernel"
    assert error.remedy
    assert error.__cause__ is None
    return error


def test_a_missing_file_is_named(reader, tmp_path):
    error = refusal(reader, tmp_path / "nowhere")
    assert error.code == "file-missing"
    assert str(tmp_path / "nowhere") in error.message


def test_a_path_through_a_file_is_missing(reader, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert refusal(reader, tmp_path / "file" / "below").code == "file-missing"


def test_an_empty_file_is_refused(reader, tmp_path):
    (tmp_path / "empty").touch()
    error = refusal(reader, tmp_path / "empty")
    assert error.code == "file-empty"
    assert str(tmp_path / "empty") in error.message


def test_a_folder_is_refused(reader, tmp_path):
    error = refusal(reader, tmp_path)
    assert error.code == "file-is-folder"
    assert str(tmp_path) in error.message


def test_a_pipe_is_refused_without_waiting_for_a_writer(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    error = refusal(reader, tmp_path / "pipe")
    assert error.code == "file-not-regular"
    assert "a pipe" in error.message


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(reader, device):
    assert refusal(reader, device).code == "file-not-regular"


def test_a_socket_is_refused(reader):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as peer:
        peer.bind(f"{folder}/s")
        assert refusal(reader, f"{folder}/s").code == "file-not-regular"


def test_an_unreadable_file_is_refused(reader, tmp_path, monkeypatch):
    # Tests may run as root, whom no permission stops.
    def denied(*_arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.os, "open", denied)
    error = refusal(reader, tmp_path / "secret")
    assert error.code == "file-unreadable"
    assert "permission" in error.message


def test_links_in_a_circle_are_refused(reader, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert refusal(reader, tmp_path / "a").code == "file-missing"


def test_a_path_with_a_nul_is_refused_and_shown_escaped(reader):
    error = refusal(reader, "a\0b\x1b[31m")
    assert error.code == "file-missing"
    assert "\x1b" not in error.message
    assert "\\x1b" in error.message


def test_three_gigabytes_are_refused_before_anything_is_read(reader, tmp_path, monkeypatch):
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(3 << 30)
    monkeypatch.setattr(files, "_read_block", lambda *_: pytest.fail("it was read"))
    error = refusal(reader, large)
    assert error.code == "file-too-large"
    assert error.details["size"] == 3 << 30


def test_a_file_at_the_limit_is_read_and_one_byte_more_is_not(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    assert read_file(path, "f", 100) == bytes(100)
    with pytest.raises(BadInput, match="at most 99"):
        read_file(path, "f", 99)


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "f").write_bytes(b"data")
    (tmp_path / "link").symlink_to("f")
    assert read_file(tmp_path / "link", "f", 10) == b"data"
    assert drain(tmp_path / "link") == b"data"


def test_an_empty_file_can_be_allowed(tmp_path):
    (tmp_path / "empty").touch()
    assert read_file(tmp_path / "empty", "--initrd", 10, allow_empty=True) == b""
    assert drain(tmp_path / "empty", allow_empty=True) == b""


def test_chunks_have_the_size_asked_for(tmp_path):
    (tmp_path / "f").write_bytes(bytes(range(100)))
    chunks = list(read_chunks(tmp_path / "f", "f", chunk=33))
    assert [len(chunk) for chunk in chunks] == [33, 33, 33, 1]
    assert b"".join(chunks) == bytes(range(100))


@pytest.mark.parametrize("size", [0, 10, 150])
def test_a_file_that_changes_its_size_between_chunks_is_refused(tmp_path, size):
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    chunks = read_chunks(path, "--kernel", chunk=40)
    next(chunks)
    os.truncate(path, size)
    with pytest.raises(BadInput) as caught:
        list(chunks)
    assert caught.value.code == "file-changed"


def test_a_file_rewritten_between_chunks_is_refused(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    chunks = read_chunks(path, "--kernel", chunk=40)
    next(chunks)
    os.utime(path, ns=(1, 1))
    with pytest.raises(BadInput) as caught:
        list(chunks)
    assert caught.value.code == "file-changed"


def test_a_file_that_grows_without_end_is_cut_off(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    seen = []

    def read_and_grow():
        with path.open("ab") as grower:
            for chunk in read_chunks(path, "--kernel", chunk=60):
                seen.append(len(chunk))
                # Bounded here too: code that doesn't stop must not fill the disk.
                assert len(seen) < 50
                grower.write(bytes(1000))
                grower.flush()

    with pytest.raises(BadInput) as caught:
        read_and_grow()
    assert caught.value.code == "file-changed"
    assert seen == [60]


class FailingDisk(io.FileIO):
    def read(self, *_):
        raise OSError(errno.EIO, "Input/output error")

    readinto = read


def test_a_failing_disk_is_said_so(reader, tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(bytes(100))
    monkeypatch.setattr(files.io, "FileIO", FailingDisk)
    error = refusal(reader, tmp_path / "f")
    assert error.code == "file-unreadable"
    assert "Input/output error" in error.message


def test_a_shrinking_file_is_refused_by_read_file(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(bytes(100))

    class Shrinking(io.FileIO):
        def readinto(self, buffer):
            os.truncate(tmp_path / "f", 0)
            return super().readinto(buffer)

    monkeypatch.setattr(files.io, "FileIO", Shrinking)
    with pytest.raises(BadInput) as caught:
        read_file(tmp_path / "f", "f", 1000)
    assert caught.value.code == "file-changed"


def test_readers_leave_no_descriptor_open(reader, tmp_path):
    before = len(listing("/proc/self/fd"))
    (tmp_path / "f").write_bytes(b"x" * 16)
    reader(tmp_path / "f")
    with pytest.raises(BadInput):
        reader(tmp_path)
    chunks = read_chunks(tmp_path / "f", "f", chunk=1)
    next(chunks)
    chunks.close()
    assert len(listing("/proc/self/fd")) == before


def test_a_secret_file_comes_back_as_a_secret(tmp_path):
    (tmp_path / "tek").write_bytes(b"0123456789abcdef")
    secret = read_secret(tmp_path / "tek", "--tek", 16)
    with secret.reveal() as shown:
        assert shown == b"0123456789abcdef"
    assert "0123" not in repr(secret)


@pytest.mark.parametrize(
    "text",
    [bytes(range(16)), b"AAECAwQFBgcICQoLDA0ODw==", b"AAECAwQFBgcICQ\r\noLDA0ODw==\n"],
)
def test_raw_and_base64_give_the_same(tmp_path, text):
    (tmp_path / "f").write_bytes(text)
    assert read_base64_or_raw(tmp_path / "f", "f", {16, 32}) == bytes(range(16))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (bytes([200]) * 15, "wrong-size"),
        (b"AAECAwQF", "wrong-size"),
        (b"not base64!", "base64-junk"),
        (b"-----BEGIN CERTIFICATE-----\n", "pem-not-expected"),
    ],
)
def test_what_is_neither_is_refused(tmp_path, content, code):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_base64_or_raw(tmp_path / "f", "f", {16})
    assert caught.value.code == code
