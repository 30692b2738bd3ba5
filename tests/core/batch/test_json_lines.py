# SPDX-License-Identifier: Apache-2.0
"""Results in a file: appended line by line, private, and no reason to stop anything."""

from __future__ import annotations

import errno
import json
import os

import pytest

from watchword.core.batch.json_lines import JsonLinesFile, json_line
from watchword.core.errors import BadInput


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_there_as_soon_as_they_are_written(tmp_path):
    path = tmp_path / "out.jsonl"
    with JsonLinesFile(path, "--output") as file:
        for number in range(3):
            file.write({"n": number})
            assert len(read(path)) == number + 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert not file.lost


def test_what_was_there_stays_and_a_torn_line_spoils_no_other(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"n": 0}\n{"n": ')
    with JsonLinesFile(path, "--output") as file:
        file.write({"n": 1})
        file.write({"n": 2})
    assert path.read_text() == '{"n": 0}\n{"n": \n{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "no folder", "nul"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "nul":
        path = tmp_path / "a\0b"
    else:
        path = tmp_path / "none" / "out"
    with pytest.raises(BadInput) as caught:
        JsonLinesFile(path, "--output")
    assert (caught.value.code, caught.value.field) == ("file-not-written", "--output")
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_noted_and_stops_nothing(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    real, room = os.write, [3]

    def write(descriptor, data):
        if not room:
            return real(descriptor, data)
        space = room.pop()
        if not space:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[:space])

    with JsonLinesFile(path, "--output") as file:
        monkeypatch.setattr(os, "write", write)
        file.write({"n": 1})
        assert file.lost
        file.write({"n": 2})
        room.append(0)
        file.write({"n": 3})
        file.write({"n": 4})
    assert path.read_text() == '{"n\n{"n": 2}\n{"n": 4}\n'


def test_a_line_is_one_line_of_ascii():
    line = json_line({"text": "a\n\x1b[31m\u202eé"})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
