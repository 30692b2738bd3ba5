# SPDX-License-Identifier: Apache-2.0
"""``watchword`` alone opens the window where one can be shown, and prints its help elsewhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from watchword.core.cli import window

HERE = [sys.executable, "-m", "watchword.gui"]


@pytest.fixture
def execs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was to be run in the place of this process; there is a PySide6."""
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, argv: seen.append(argv))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    return seen


@pytest.mark.parametrize("environment", [{"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_where_there_is_a_display_it_becomes_the_window(execs, environment) -> None:
    window.become_window(environment)
    assert execs == [HERE]


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ""}])
def test_without_a_display_it_comes_back(execs, environment) -> None:
    window.become_window(environment)
    assert execs == []


def test_without_qt_it_comes_back(execs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    window.become_window({"DISPLAY": ":0"})
    assert execs == []


def test_what_can_not_be_run_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: str, _argv: list[str]) -> None:
        raise OSError

    monkeypatch.setattr(os, "execv", fail)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    window.become_window({"DISPLAY": ":0"})


def test_the_program_alone_prints_its_help_where_there_is_no_display() -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ended = subprocess.run(
        [sys.executable, "-m", "watchword.core"],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0
    assert "usage: watchword" in ended.stdout
