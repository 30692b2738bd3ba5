# SPDX-License-Identifier: Apache-2.0
"""What would make Qt abort is found before Qt is loaded, and told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from watchword.gui import bindings_check
from watchword.gui.early_checks import Surroundings, find_problem

X11 = {"DISPLAY": ":0"}
WAYLAND = {"WAYLAND_DISPLAY": "wayland-0"}


def around(environment: dict[str, str], **changed: object) -> Surroundings:
    """A machine on which everything is well, but for what is changed."""
    machine = Surroundings(
        environment=environment,
        loads=lambda _name: True,
        has_qt=lambda: True,
        reaches_x11=lambda: True,
        reaches_wayland=lambda: True,
        families=lambda: frozenset({"debian"}),
        platform="linux",
    )
    return replace(machine, **changed)


def without(*names: str) -> Callable[[str], bool]:
    return lambda name: name not in names


@pytest.mark.parametrize("environment", [X11, WAYLAND, X11 | WAYLAND])
def test_nothing_is_wrong_where_a_display_can_be_reached(environment) -> None:
    assert find_problem(around(environment)) is None


def test_without_qt_the_line_that_installs_it_is_named() -> None:
    problem = find_problem(around(X11, has_qt=lambda: False))
    assert problem.code == "no-qt"
    assert "pip install 'watchword[gui]'" in problem.remedy


def test_without_a_display_it_says_so_and_names_the_command_line() -> None:
    problem = find_problem(around({}))
    assert problem.code == "no-display"
    assert problem.exit_status == 2
    assert "watchword --help" in problem.remedy


@pytest.mark.parametrize(
    ("library", "package"),
    [("libGL.so.1", "libgl1"), ("libxcb-cursor.so.0", "libxcb-cursor0")],
)
def test_missing_libraries_are_named_as_debian_packages(library: str, package: str) -> None:
    problem = find_problem(around(X11, loads=without(library)))
    assert problem.code == "no-qt-libraries"
    assert f"apt install {package}" in problem.remedy


def test_elsewhere_than_on_debian_no_apt_line_is_given() -> None:
    machine = around(X11, loads=without("libGL.so.1"), families=lambda: frozenset({"fedora"}))
    assert "apt" not in find_problem(machine).remedy


def test_a_wayland_session_needs_no_library_of_x11() -> None:
    assert find_problem(around(WAYLAND, loads=without("libxcb-cursor.so.0"))) is None


def test_one_display_that_works_is_enough() -> None:
    assert find_problem(around(X11 | WAYLAND, reaches_wayland=lambda: False)) is None


def test_a_display_that_is_gone_is_named() -> None:
    problem = find_problem(around({"DISPLAY": ":77"}, reaches_x11=lambda: False))
    assert problem.code == "display-unreachable"
    assert ":77" in problem.message


def test_a_platform_plugin_that_was_named_needs_no_display() -> None:
    assert find_problem(around({"QT_QPA_PLATFORM": "offscreen"})) is None


def test_other_systems_have_neither_x11_nor_wayland() -> None:
    assert find_problem(around({}, platform="darwin")) is None


def test_the_bindings_in_use_fit_this_python() -> None:
    assert bindings_check.bindings_problem() is None


def test_bindings_that_lose_references_to_none_are_refused(monkeypatch) -> None:
    counts = iter((5000, 5000 - bindings_check._TRIES))
    monkeypatch.setattr(bindings_check.sys, "getrefcount", lambda _thing: next(counts))
    problem = bindings_check.bindings_problem()
    assert problem.code == "qt-unfit"
    assert problem.exit_status == 2


def start(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    kept.pop("QT_QPA_PLATFORM", None)
    return subprocess.run(
        [sys.executable, "-m", "watchword.gui"],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":7777"}])
def test_the_program_ends_in_one_line_and_exit_2_where_no_window_can_be(environment) -> None:
    ended = start(environment)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr
