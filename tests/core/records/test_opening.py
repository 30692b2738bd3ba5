# SPDX-License-Identifier: Apache-2.0
"""Making and opening the records file: its modes, and everything else that may lie in its place."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, ExitStatus
from watchword.core.records.database import FILE_NAME, Records, records_folder

from .support import add_nonce, nonces


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def refusal(folder):
    """How opening fails, as an error for people."""
    with pytest.raises(BadInput) as caught:
        Records.open(folder).close()
    error = caught.value
    assert error.exit_status is ExitStatus.BAD_INPUT
    assert "sqlite" not in error.message.replace(FILE_NAME, "").lower()
    assert "Errno" not in error.message
    return error


@pytest.fixture
def database(folder):
    """Another program's SQLite file in the place of the records, open."""
    folder.mkdir()
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    yield connection
    connection.close()


def test_the_folder_follows_the_environment(monkeypatch):
    assert records_folder({"WATCHWORD_HOME": "/srv/ww"}) == Path("/srv/ww")
    monkeypatch.setenv("WATCHWORD_HOME", "/elsewhere")
    assert records_folder() == Path("/elsewhere")
    assert records_folder({}).name == "watchword"


def test_file_and_folder_are_for_their_owner_alone(folder):
    before = os.umask(0)
    try:
        with Records.open(folder) as records:
            add_nonce(records, 1)
            assert mode(folder) == 0o700
            assert {path.name: mode(path) for path in folder.iterdir()} == {
                FILE_NAME: 0o600,
                f"{FILE_NAME}-wal": 0o600,
                f"{FILE_NAME}-shm": 0o600,
            }
    finally:
        os.umask(before)
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_what_was_written_is_there_when_it_is_opened_again(folder):
    for number in (1, 2):
        with Records.open(folder) as records:
            add_nonce(records, number)
    with Records.open(folder) as records:
        assert nonces(records) == [1, 2]


def test_every_commit_waits_for_the_disk(records):
    with records.reading() as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        assert connection.execute("pragma synchronous").fetchone() == (2,)
        assert connection.execute("pragma foreign_keys").fetchone() == (1,)


def test_whether_there_are_records_is_seen_without_making_any(folder):
    assert not Records.exists(folder)
    assert not folder.exists()
    Records.open(folder).close()
    assert Records.exists(folder)


def test_records_in_a_folder_that_is_a_file_are_none(folder):
    folder.write_text("a file")
    assert not Records.exists(folder)
    assert refusal(folder).code == "bad-folder"


def test_what_can_not_be_looked_at_counts_as_there(folder, monkeypatch):
    def denied(path):
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "lstat", denied)
    assert Records.exists(folder)


def test_a_dangling_link_counts_as_there_and_is_refused(folder):
    folder.mkdir()
    (folder / FILE_NAME).symlink_to(folder / "nowhere")
    assert Records.exists(folder)
    assert refusal(folder).code == "records-not-written"
    assert not (folder / "nowhere").exists()


def test_a_link_to_another_file_is_not_followed(folder, tmp_path):
    Records.open(tmp_path / "other").close()
    before = (tmp_path / "other" / FILE_NAME).read_bytes()
    folder.mkdir()
    (folder / FILE_NAME).symlink_to(tmp_path / "other" / FILE_NAME)
    assert refusal(folder).code == "records-not-written"
    assert (tmp_path / "other" / FILE_NAME).read_bytes() == before


def test_a_folder_in_place_of_the_file_is_refused(folder):
    (folder / FILE_NAME).mkdir(parents=True)
    assert refusal(folder).code == "records-not-written"


def test_a_pipe_in_place_of_the_file_is_refused(folder):
    folder.mkdir()
    os.mkfifo(folder / FILE_NAME)
    assert refusal(folder).code in ("records-not-written", "records-damaged")


@pytest.mark.parametrize("size", [2, 15, 100, 4096, 100_000])
def test_garbage_is_refused_and_left_as_it_is(folder, size):
    garbage = bytes(range(1, 251)) * 400
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(garbage[:size])
    error = refusal(folder)
    assert error.code == "records-damaged"
    assert str(folder / FILE_NAME) in error.message
    assert (folder / FILE_NAME).read_bytes() == garbage[:size]


def test_an_empty_file_becomes_the_records(folder):
    folder.mkdir()
    (folder / FILE_NAME).touch()
    with Records.open(folder) as records:
        add_nonce(records, 1)
        assert nonces(records) == [1]


@pytest.mark.parametrize(
    "words",
    ["create table theirs (x)", "create table ledger (x)", "pragma user_version=1", "vacuum"],
)
def test_another_programs_file_is_refused_and_left_as_it_is(folder, database, words):
    database.execute("pragma application_id=7")
    database.execute("create table first (x)")
    database.execute(words)
    database.close()
    before = (folder / FILE_NAME).read_bytes()
    assert refusal(folder).code == "records-damaged"
    assert (folder / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("number", [2, 99, 2**31 - 1, -1])
def test_records_of_a_newer_version_are_refused_and_left_as_they_are(folder, number):
    with Records.open(folder) as records, records.writing() as connection:
        connection.execute(f"pragma user_version={number}")
    before = (folder / FILE_NAME).read_bytes()
    error = refusal(folder)
    assert error.code == "records-newer"
    assert error.details["schema"] == number
    assert (folder / FILE_NAME).read_bytes() == before


def test_a_file_that_is_cut_off_is_refused(folder):
    with Records.open(folder) as records:
        add_nonce(records, 1)
    whole = (folder / FILE_NAME).read_bytes()
    (folder / FILE_NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput) as caught, Records.open(folder) as records:
        nonces(records)
    assert caught.value.code == "records-damaged"


def test_closing_twice_is_in_order(folder):
    records = Records.open(folder)
    records.close()
    records.close()
