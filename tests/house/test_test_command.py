# SPDX-License-Identifier: Apache-2.0
"""What ./test does before pytest runs, with fakes for Python, pip, apt-get and pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

LIST = Path(__file__).resolve().parents[2] / ".ci" / "debian-packages.txt"
LINES = (line.partition("#")[0].strip() for line in LIST.read_text(encoding="utf-8").splitlines())
PACKAGES = " ".join(filter(None, LINES))
RUNS = [
    (
        "pytest [-n] [auto] [--dist] [loadfile] [--max-worker-restart] [0]"
        " [--ignore] [tests/benchmarks]"
    ),
    "pytest [tests/benchmarks]",
]
APT = "apt-get -qq -o DPkg::Lock::Timeout=300"
APT_INSTALL = [f"{APT} update", f"{APT} install -y --no-install-recommends {PACKAGES}"]


def test_the_first_run_installs_the_locked_packages_and_the_second_only_tests(tree) -> None:
    assert tree.run("test").returncode == 0
    assert tree.calls() == [
        "venv",
        "-m pip --retries 1 install --require-hashes -r requirements/ci.txt",
        "-m pip --retries 1 install --no-deps --no-build-isolation -e .",
        *RUNS,
    ]
    assert tree.run("test").returncode == 0
    assert tree.calls() == RUNS


def test_an_environment_made_by_try_is_completed(tree) -> None:
    tree.run("try")
    tree.calls()
    tree.run("test")
    calls = tree.calls()
    assert "venv" not in calls
    assert "requirements/ci.txt" in calls[0]


def test_fast_leaves_out_slow_tests_and_other_arguments_go_to_pytest(tree) -> None:
    tree.run("test", "--fast", "tests/core", "-k", "chain or policy")
    assert tree.calls()[-1] == "pytest [-m] [not slow] [tests/core] [-k] [chain or policy]"


def test_fast_alone_leaves_out_slow_tests_of_all(tree) -> None:
    tree.run("test", "--fast")
    assert tree.calls()[-2:] == [f"{run} [-m] [not slow]" for run in RUNS]


def test_without_qts_libraries_the_windows_tests_are_left_out_and_it_says_so(tree) -> None:
    result = tree.run("test", FAKE_QT="missing", CI=None)
    assert "the window's tests are left out" in result.stdout
    assert all("[--ignore] [tests/gui]" in call for call in tree.calls()[-2:])


def test_ci_leaves_out_nothing(tree) -> None:
    result = tree.run("test", FAKE_QT="missing", CI="true")
    assert result.returncode == 1
    assert "CI=true leaves nothing out" in result.stderr


def test_the_exit_status_is_pytests(tree) -> None:
    assert tree.run("test", FAKE_STATUS="5").returncode == 5


def test_pytest_has_the_last_word(tree) -> None:
    assert tree.run("test").stdout.splitlines()[-1] == "the launch's own words"


@pytest.mark.parametrize(
    ("user", "arguments", "installs"),
    [
        (0, [], APT_INSTALL),
        (0, ["--no-install"], []),
        (1000, [], []),
        (1000, ["--install"], [line for apt in APT_INSTALL for line in ("sudo", apt)]),
    ],
)
def test_who_installs_debian_packages(
    tree, user: int, arguments: list[str], installs: list[str]
) -> None:
    tree.run("test")
    tree.calls()
    tree.becomes(user)
    assert tree.run("test", *arguments).returncode == 0
    assert tree.calls() == [*installs, *RUNS]


def test_nothing_is_installed_where_nothing_is_missing(tree) -> None:
    tree.becomes(0)
    tree.fake("dpkg-query", "#!/bin/bash\nprintf installed\n")
    tree.run("test")
    assert not [call for call in tree.calls() if call.startswith("apt-get")]


def test_tests_run_even_if_debian_packages_can_not_be_installed(tree) -> None:
    tree.becomes(0)
    tree.fake("apt-get", "#!/bin/bash\nexit 100\n")
    result = tree.run("test")
    assert result.returncode == 0
    assert "can't be installed now" in result.stdout
    assert tree.calls()[-2:] == RUNS


def test_without_sudo_the_line_for_root_is_given(tree) -> None:
    library = tree.root / ".ci" / "lib.sh"
    hidden = 'command() { [ "$*" != "-v sudo" ] && builtin command "$@"; }\n'
    library.write_text(library.read_text() + hidden)
    result = tree.run("test", "--install")
    assert result.returncode == 2
    assert f"apt install {PACKAGES} as root" in result.stderr
