# SPDX-License-Identifier: Apache-2.0
"""What reaches a terminal, a pipe, a full disk or nobody."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from watchword.core.cli.output import Console, Result, accept_any_text, grouped, printable, table
from watchword.core.errors import ExitStatus, HostError

from .support import finish, start

PROBLEM = HostError("host-gone", "The host is gone", "It hung up.", "Try again.", {"host": "x"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, ünïcode 日本", "plain words, ünïcode 日本"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("one\ntwo\rthree\ttab", r"one\ntwo\rthree\ttab"),
        ("\u202egnirts\u2066", r"\u202egnirts\u2066"),
        ("bell\a nul\0 c1\x9b del\x7f", r"bell\x07 nul\x00 c1\x9b del\x7f"),
        ("\u200bzero\u2028line\ufeff", r"\u200bzero\u2028line\ufeff"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert printable(text) == shown


def test_names_and_values_are_aligned():
    assert table([("a", "1"), ("long", "2")]) == ("  a     1", "  long  2")
    assert table([]) == ()
    assert grouped("0123456789abcdef") == "01234567 89abcdef"


def test_text_goes_to_stdout_and_what_went_wrong_to_stderr(capsys):
    console = Console(as_json=False)
    console.progress("going\n")
    console.event({"never": "shown"})
    console.note("mind")
    console.result(Result({"a": 1}, ("done",), ExitStatus.HOST, PROBLEM))
    out, err = capsys.readouterr()
    assert out == "going\\n\ndone\n"
    assert err == "mind\nThe host is gone.\nIt hung up.\nTry again.\n"


@pytest.mark.parametrize("status", [ExitStatus.OK, ExitStatus.WAIVED, ExitStatus.REFUSED])
def test_with_json_there_is_one_document_and_nothing_beside_it(capsys, status):
    console = Console(as_json=True)
    console.progress("going")
    console.result(Result({"a": 1}, ("done",), status))
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"ok": status is not ExitStatus.REFUSED, "a": 1}


def test_a_result_with_an_error_carries_both_in_json(capsys):
    Console(as_json=True).result(Result({"a": 1}, (), ExitStatus.HOST, PROBLEM))
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "a": 1,
        "error": {
            "code": "host-gone",
            "title": "The host is gone",
            "message": "It hung up.",
            "remedy": "Try again.",
            "details": {"host": "x"},
        },
    }


def test_after_an_event_everything_is_one_line(capsys):
    console = Console(as_json=True)
    console.event({"listening": "here"})
    console.failure(PROBLEM)
    console.result(Result({"a": 1}, ()))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line).get("ok") for line in lines] == [None, False, True]


class Failing(io.TextIOBase):
    """A stream that takes nothing."""

    def __init__(self, problem):
        self._problem = problem

    def write(self, text):
        raise self._problem


def test_a_reader_that_has_left_does_not_stop_the_command(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    console = Console(as_json=False)
    console.progress("one")
    console.result(Result({}, ("two",)))
    assert not console.output_lost


def test_output_that_gets_lost_is_remembered(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Failing(OSError(28, "No space left on device")))
    console = Console(as_json=True)
    console.result(Result({}, ()))
    assert console.output_lost


def test_streams_that_were_closed_from_the_start_get_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    console = Console(as_json=True)
    console.note("a warning must not end up between the JSON")
    console.result(Result({}, ()))
    assert json.loads(capsys.readouterr().out) == {"ok": True}
    monkeypatch.setattr(sys, "stdout", None)
    console.result(Result({}, ()))
    console.finish()
    assert not console.output_lost


def test_characters_that_the_encoding_lacks_are_written_out(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    accept_any_text()
    Console(as_json=False).progress("“quoted” …")
    assert stream.buffer.getvalue() == rb"\u201cquoted\u201d \u2026" + b"\n"


def test_help_can_be_shown_whatever_the_encoding():
    shown = finish(start("attest", "--help", env={"PYTHONIOENCODING": "ascii"}))
    assert (shown.status, shown.err) == (0, "")
    assert r"qmp+unix:///\u2026" in shown.out


@pytest.mark.parametrize("words", [["--help"], ["digest", "--json"]])
def test_a_reader_that_leaves_at_once_sees_no_traceback(words):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*words, stdout=writing)
    os.close(writing)
    shown = finish(process)
    assert shown.status == (0 if words == ["--help"] else 2)
    assert shown.err == ""


@pytest.mark.parametrize("words", [["--help"], ["firmware", "inspect", "a-file", "--json"]])
def test_output_to_a_full_disk_is_no_success(words):
    with Path("/dev/full").open("wb") as full:
        # Buffered, as it is by default: the loss shows only when the buffer is written.
        shown = finish(start(*words, stdout=full, env={"PYTHONUNBUFFERED": ""}))
    assert shown.status == (1 if words == ["--help"] else 6)
    assert shown.err == "The output could not be written, or not all of it.\n"
