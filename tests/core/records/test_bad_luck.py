# SPDX-License-Identifier: Apache-2.0
"""The records file on full and read-only disks, and under several processes at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from watchword.core.errors import BadInput
from watchword.core.records.database import FILE_NAME, Records

from .support import add_nonce, child, let_go, nonces

NOBODY = 65534
WRITER = """
import sys
from pathlib import Path
from watchword.core.records.database import Records
with Records.open(Path(sys.argv[1])) as records:
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2]), int(sys.argv[2]) + 20):
        with records.writing() as connection:
            row = (number.to_bytes(16), "launch", "now")
            connection.execute("insert into nonces values (?, ?, ?)", row)
"""
HOLDER = """
import sys
from pathlib import Path
from watchword.core.records.database import Records
with Records.open(Path(sys.argv[1])) as records, records.writing() as connection:
    connection.execute("insert into nonces values (x'ff', 'launch', 'now')")
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def ordinary_user(folder):
    """Root is stopped by no mode: give the folder to somebody and be him for a while."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that others can get to once it is theirs."""
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def fill(records):
    """Write until there is no more room, at most 2 MiB; gives how much could be written."""
    for number in range(512):
        with records.writing() as connection:
            row = (number, bytes(4096), f"{number:064}")
            connection.execute("insert into ledger values (?, ?, ?)", row)
    return 512


def written(records):
    with records.reading() as connection:
        return connection.execute("select count(*) from ledger").fetchone()[0]


def test_no_more_room_is_told_and_the_old_state_stands(folder):
    with Records.open(folder) as records:
        add_nonce(records, 1)
        with records.reading() as connection:
            pages = connection.execute("pragma page_count").fetchone()[0]
            connection.execute(f"pragma max_page_count={pages + 10}")
        with pytest.raises(BadInput) as caught:
            fill(records)
        assert caught.value.code == "records-not-written"
        assert "the disk is full" in caught.value.message
        count = written(records)
        assert 0 < count < 20
    with Records.open(folder) as records:
        assert (nonces(records), written(records)) == ([1], count)
        add_nonce(records, 2)


def test_no_more_room_inside_two_blocks_undoes_both(records):
    with records.reading() as connection:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count={pages + 10}")

    def fill_in_two_blocks():
        with records.writing():
            add_nonce(records, 1)
            with records.writing():
                fill(records)

    with pytest.raises(BadInput) as caught:
        fill_in_two_blocks()
    assert caught.value.code == "records-not-written"
    assert (nonces(records), written(records)) == ([], 0)


@pytest.fixture
def tiny_disk(open_folder):
    """A file system of 256 KiB; skipped over where nobody may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(open_folder)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    yield open_folder
    subprocess.run(["umount", str(open_folder)], check=True)


def test_a_file_system_that_is_full_is_told_and_the_old_state_stands(tiny_disk):
    if tiny_disk is None:
        return  # the test with max_page_count says the same without a mount
    with Records.open(tiny_disk / "home") as records:
        add_nonce(records, 1)
        with pytest.raises(BadInput) as caught:
            fill(records)
        assert caught.value.code == "records-not-written"
        count = written(records)
        assert 0 < count < 64
        assert nonces(records) == [1]
    with Records.open(tiny_disk / "home") as records:
        assert (nonces(records), written(records)) == ([1], count)


def test_a_file_system_without_any_room_says_so_at_once(tiny_disk):
    if tiny_disk is None:
        return
    with contextlib.suppress(OSError), (tiny_disk / "filler").open("wb") as filler:
        for _ in range(512):
            filler.write(bytes(1024))
            filler.flush()
    with pytest.raises(BadInput) as caught:
        Records.open(tiny_disk / "home").close()
    assert caught.value.code in ("records-not-written", "bad-folder")


def test_a_folder_that_may_not_be_written_is_told_and_the_old_state_stands(open_folder):
    with Records.open(open_folder) as records:
        add_nonce(records, 1)
    before = (open_folder / FILE_NAME).read_bytes()
    open_folder.chmod(0o500)
    with ordinary_user(open_folder):
        with pytest.raises(BadInput) as caught, Records.open(open_folder) as records:
            add_nonce(records, 2)
        assert caught.value.code == "records-not-written"
    assert (open_folder / FILE_NAME).read_bytes() == before


def test_a_file_that_may_not_be_written_is_told_and_the_old_state_stands(open_folder):
    with Records.open(open_folder) as records:
        add_nonce(records, 1)
    before = (open_folder / FILE_NAME).read_bytes()
    (open_folder / FILE_NAME).chmod(0o400)
    with ordinary_user(open_folder):
        with pytest.raises(BadInput) as caught:
            Records.open(open_folder).close()
        assert caught.value.code == "records-not-written"
    assert (open_folder / FILE_NAME).read_bytes() == before


def test_a_folder_that_can_not_be_made_is_told(open_folder):
    open_folder.chmod(0o500)
    with ordinary_user(open_folder):
        with pytest.raises(BadInput) as caught:
            Records.open(open_folder / "home").close()
        assert caught.value.code == "bad-folder"


def test_processes_that_make_and_write_the_file_at_once_lose_nothing(folder):
    writers = [child(WRITER, folder, 1000 * number) for number in range(4)]
    for writer in writers:
        assert writer.stdout.readline() == b"open\n"
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [let_go(writer) for writer in writers] == [0] * 4
    with Records.open(folder) as records:
        assert nonces(records) == [1000 * w + n for w in range(4) for n in range(20)]


def test_a_writer_waits_for_the_one_before(folder, records):
    holder = child(HOLDER, folder)
    assert holder.stdout.readline() == b"held\n"
    writer = child(WRITER, folder, 5)
    assert writer.stdout.readline() == b"open\n"
    writer.stdin.write(b"go\n")
    writer.stdin.flush()
    assert nonces(records) == []  # reading waits for nobody
    assert writer.poll() is None
    assert let_go(holder) == 0
    assert let_go(writer) == 0
    assert nonces(records) == [*range(5, 25), 255]


def test_a_writer_that_does_not_end_is_told_of(folder):
    holder = child(HOLDER, folder)
    try:
        assert holder.stdout.readline() == b"held\n"
        with Records.open(folder, busy_seconds=0.2) as records:
            with pytest.raises(BadInput) as caught:
                add_nonce(records, 1)
            assert caught.value.code == "records-busy"
            assert nonces(records) == []
    finally:
        let_go(holder)
    with Records.open(folder) as records:
        add_nonce(records, 1)
        assert nonces(records) == [1, 255]


def test_what_a_killed_writer_had_not_finished_is_not_there(folder):
    holder = child(HOLDER, folder)
    assert holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGKILL)
    let_go(holder)
    with Records.open(folder) as records:
        assert nonces(records) == []
        add_nonce(records, 1)
        assert nonces(records) == [1]


def test_opening_waits_until_the_file_has_been_made_by_somebody_else(folder):
    Records.open(folder).close()
    maker = sqlite3.connect(folder / FILE_NAME, isolation_level=None, check_same_thread=False)
    maker.execute("pragma journal_mode=delete")
    maker.execute("begin immediate")
    made = threading.Timer(0.2, maker.execute, ["commit"])
    made.start()
    try:
        with Records.open(folder) as records:
            add_nonce(records, 1)
    finally:
        made.join()
        maker.close()
    with pytest.raises(BadInput) as caught:
        _open_while_it_is_made(folder)
    assert caught.value.code == "records-busy"


def _open_while_it_is_made(folder):
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as maker:
        maker.execute("pragma journal_mode=delete")
        maker.execute("begin immediate")
        Records.open(folder, busy_seconds=0.1).close()
