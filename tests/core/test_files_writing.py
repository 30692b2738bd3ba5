# SPDX-License-Identifier: Apache-2.0
"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from watchword.core import file_writing
from watchword.core.errors import BadInput
from watchword.core.files import make_folder, read_secret, write_file


def listing(folder) -> list[str]:
    return sorted(entry.name for entry in Path(folder).iterdir())


def test_a_file_is_written_for_its_owner_alone(tmp_path):
    write_file(tmp_path / "tek.bin", b"key")
    assert (tmp_path / "tek.bin").read_bytes() == b"key"
    assert stat.S_IMODE((tmp_path / "tek.bin").stat().st_mode) == 0o600
    assert listing(tmp_path) == ["tek.bin"]


def test_a_mode_is_obeyed_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "f", b"public", 0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644


def test_a_secret_is_written_from_its_view(tmp_path):
    (tmp_path / "in").write_bytes(b"key")
    secret = read_secret(tmp_path / "in", "in", 10)
    with secret.reveal() as view:
        write_file(tmp_path / "out", view)
    secret.wipe()
    assert (tmp_path / "out").read_bytes() == b"key"


def test_an_existing_file_is_replaced_and_loses_its_open_mode(tmp_path):
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o666)
    write_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(file_writing.os, "write", lambda fd, data: real(fd, bytes(data[:7])))
    write_file(tmp_path / "f", bytes(range(256)))
    monkeypatch.undo()
    assert (tmp_path / "f").read_bytes() == bytes(range(256))


def write_refusal(path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        write_file(path, b"new", field="--out")
    error = caught.value
    assert error.code == "file-not-written"
    assert error.field == "--out"
    assert error.remedy
    return error


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "folder"])
def test_a_fault_leaves_nothing_behind(tmp_path, monkeypatch, call):
    def full(*_, **places):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "folder":
        monkeypatch.setattr(file_writing, "_sync_folder", full)
    else:
        monkeypatch.setattr(file_writing.os, call, full)
    error = write_refusal(tmp_path / "f")
    assert "full" in error.message
    assert listing(tmp_path) == []


def test_a_fault_leaves_the_old_file_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"old")

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(file_writing.os, "fsync", broken)
    write_refusal(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert listing(tmp_path) == ["f"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(file_writing.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "f", b"new")
    assert listing(tmp_path) == []


def test_a_folder_that_cannot_be_synced_is_no_fault(tmp_path, monkeypatch):
    real = os.fsync

    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(file_writing.os, "fsync", sync)
    write_file(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe", "device"])
def test_odd_targets_are_refused_and_left_alone(tmp_path, kind):
    target = tmp_path / "target"
    (tmp_path / "elsewhere").write_bytes(b"old")
    if kind == "link":
        target.symlink_to("elsewhere")
    elif kind == "dangling link":
        target.symlink_to("nowhere")
    elif kind == "folder":
        target.mkdir()
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target = Path("/dev/null")
    before = listing(tmp_path)
    error = write_refusal(target)
    assert str(target) in error.message
    assert listing(tmp_path) == before
    assert (tmp_path / "elsewhere").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["missing/f", "a\0b", "", ".", "n" * 300])
def test_impossible_targets_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_refusal(name)
    assert listing(tmp_path) == []


def test_a_file_that_replaced_another_is_not_lost_when_the_folder_cannot_be_synced(
    tmp_path, monkeypatch
):
    (tmp_path / "f").write_bytes(b"old")

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(file_writing, "_sync_folder", broken)
    write_refusal(tmp_path / "f")
    assert listing(tmp_path) == ["f"]


# -- in a folder that is open ----------------------------------------------------------


@pytest.fixture
def swapped(tmp_path):
    """An open folder whose name leads elsewhere by now: descriptor, the folder, and elsewhere."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(elsewhere)
    yield descriptor, tmp_path / "moved", elsewhere
    os.close(descriptor)


def test_a_file_comes_to_lie_in_the_folder_that_was_opened(swapped, tmp_path):
    descriptor, moved, elsewhere = swapped
    for content in (b"old", b"new"):
        write_file(tmp_path / "folder" / "f", content, folder=descriptor)
        assert (moved / "f").read_bytes() == content
    make_folder(tmp_path / "folder" / "inner", "a folder", descriptor)
    make_folder(tmp_path / "folder" / "inner", "a folder", descriptor)
    assert listing(moved) == ["f", "inner"]
    assert stat.S_IMODE((moved / "inner").stat().st_mode) == 0o700
    assert listing(elsewhere) == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_fault_leaves_nothing_in_the_folder_that_was_opened(swapped, tmp_path, monkeypatch, call):
    descriptor, moved, elsewhere = swapped

    def full(*_, **places):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_writing.os, call, full)
    with pytest.raises(BadInput):
        write_file(tmp_path / "folder" / "f", b"new", folder=descriptor)
    assert listing(moved) == listing(elsewhere) == []


def test_a_link_in_the_folder_that_was_opened_is_not_replaced(swapped, tmp_path):
    descriptor, moved, elsewhere = swapped
    (moved / "f").symlink_to(elsewhere / "f")
    with pytest.raises(BadInput, match="symbolic link"):
        write_file(tmp_path / "folder" / "f", b"new", folder=descriptor)
    assert listing(elsewhere) == []
