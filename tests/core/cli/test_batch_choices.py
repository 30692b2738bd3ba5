# SPDX-License-Identifier: Apache-2.0
"""``--dry-run``, ``--retry-failed`` and ``--jobs``: what a batch would do, and may be asked to."""

from __future__ import annotations

import resource

import pytest

from watchword.core.records.database import FILE_NAME

from .batch_support import lines, outcomes


def intents(shown):
    """Intents by name, in the order in which they were told."""
    return {one["name"]: one["intent"] for one in lines(shown.out) if one["event"] == "intent"}


@pytest.fixture
def mixed(batches):
    """A fleet of which one is done, one was refused, one is prepared and one was never begun."""
    text = batches.manifest("done", "refused", "prepared")
    assert batches(text, "--phase", "prepare").status == 0
    with batches.vm("done"), batches.vm("refused", "wrong-firmware"):
        shown = batches(text, "--phase", "complete")
    assert outcomes(lines(shown.out)) == {
        "done": "done",
        "refused": "failed",
        "prepared": "waiting",
    }
    return batches.manifest("done", "refused", "prepared", "new")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(batches, batch_home):
    shown = batches(batches.manifest("a", "b"), "--dry-run")
    assert (shown.status, intents(shown)) == (0, {"a": "begin", "b": "begin"})
    assert "a would be begun" in shown.err
    assert not (batches.folder / "out").exists()
    assert not (batch_home.path / FILE_NAME).exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--resume",), ("done-before", "refused-before", "go-on", "begin")),
        (("--retry-failed",), ("done-before", "go-on", "go-on", "begin")),
        (("--phase", "complete"), ("done-before", "go-on", "go-on", "nothing-prepared")),
    ],
)
def test_a_dry_run_goes_by_what_the_records_say(batches, mixed, words, expected):
    shown = batches(mixed, "--dry-run", *words)
    assert shown.status == 0
    assert tuple(intents(shown).values()) == expected
    assert outcomes(lines(shown.out)) == {}
    assert batches(mixed, "--dry-run").status == 6  # launches are under way


def test_what_was_refused_is_tried_again_only_when_that_is_asked_for(batches):
    text = batches.manifest("a")
    assert batches(text, "--phase", "prepare").status == 0
    with batches.vm("a", "wrong-firmware") as host:
        assert batches(text, "--phase", "complete").status == 7
        assert host.packets == ()
    with batches.vm("a") as host:
        left = batches(text, "--resume")
        assert (left.status, lines(left.out)[-1]["failed"][0]["code"]) == (7, "refused-before")
        assert host.packets == ()
        again = batches(text, "--retry-failed")
        assert len(host.packets) == 1
    assert (again.status, outcomes(lines(again.out))) == (0, {"a": "done"})


def test_more_launches_at_once_than_there_may_be_files_begin_nothing(batches, monkeypatch):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 68))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: asked.append(limits))
    text = batches.manifest("a", "b", "c")
    shown = batches(text, "--jobs", "3")
    assert shown.status == 2
    error = lines(shown.out)[-1]["error"]
    assert (error["code"], error["details"]) == ("too-many-jobs", {"most": 2})
    assert asked == [(68, 68)]
    assert not (batches.folder / "out").exists()
    assert batches(text, "--jobs", "2").status == 9


@pytest.mark.parametrize("number", ["0", "-1", "x", "1000000", "\u0661"])
def test_a_number_of_launches_at_once_that_is_none_is_refused(batches, number):
    assert batches(batches.manifest("a"), f"--jobs={number}").status == 2
