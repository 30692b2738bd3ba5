# SPDX-License-Identifier: Apache-2.0
"""What ./try does, with fakes for Python and pip: no test downloads anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

INSTALL = [
    "-m pip --retries 1 install --require-hashes -r requirements/core.txt",
    "-m pip --retries 1 install --no-deps --no-build-isolation -e .",
]


def test_the_first_run_makes_the_environment_and_the_second_only_launches(tree) -> None:
    assert tree.run("try").returncode == 0
    assert tree.calls() == ["venv", *INSTALL, "watchword [rehearse]"]
    assert tree.run("try").returncode == 0
    assert tree.calls() == ["watchword [rehearse]"]


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements/core.txt"])
def test_changed_requirements_are_installed_into_the_same_environment(tree, name: str) -> None:
    tree.run("try")
    with (tree.root / name).open("a") as file:
        file.write("# changed\n")
    tree.calls()
    tree.run("try")
    assert tree.calls() == [*INSTALL, "watchword [rehearse]"]


def test_an_installation_that_was_cut_short_counts_for_nothing(tree) -> None:
    pyproject = (tree.root / "pyproject.toml").read_text()
    tree.run("try")
    (tree.root / "pyproject.toml").write_text(f"{pyproject}# changed\n")
    tree.run("try", FAKE_PIP_SAYS="killed")
    (tree.root / "pyproject.toml").write_text(pyproject)
    tree.calls()
    tree.run("try")
    assert tree.calls() == ["venv", *INSTALL, "watchword [rehearse]"]


def test_an_environment_made_for_the_tests_will_do(tree) -> None:
    tree.run("test")
    tree.calls()
    tree.run("try")
    assert tree.calls() == ["watchword [rehearse]"]


def test_a_half_made_environment_is_replaced(tree) -> None:
    tree.run("try", FAKE_PIP_SAYS="killed")
    left_over = tree.root / ".venv" / "left-over"
    left_over.touch()
    tree.calls()
    assert tree.run("try").returncode == 0
    assert tree.calls() == ["venv", *INSTALL, "watchword [rehearse]"]
    assert not left_over.exists()


def test_an_environment_whose_tree_was_moved_is_replaced(tree) -> None:
    tree.run("try")
    tree.calls()
    tree.root = tree.root.rename(tree.root.with_name("moved here"))
    tree.run("try")
    assert tree.calls()[0] == "venv"


def test_an_environment_whose_python_is_gone_is_replaced(tree) -> None:
    tree.run("try")
    tree.calls()
    (tree.root / ".venv" / "bin" / "python").unlink()
    assert tree.run("try").returncode == 0
    assert tree.calls()[0] == "venv"


@pytest.mark.parametrize("status", ["0", "3", "4"])
def test_the_exit_status_is_the_launchs_own_and_the_last_line_says_how_to_go_on(
    tree, status: str
) -> None:
    result = tree.run("try", FAKE_STATUS=status)
    assert result.returncode == int(status)
    assert "For real: " in result.stdout.splitlines()[-1]
    assert r"a\ tree/.venv/bin/watchword --help" in result.stdout.splitlines()[-1]


def test_where_it_was_called_wrongly_nothing_is_called_a_simulation(tree) -> None:
    result = tree.run("try", "--headless", "--nonsense", FAKE_STATUS="2")
    assert result.returncode == 2
    assert "simulation" not in result.stdout + result.stderr


def test_arguments_go_to_the_rehearsal_except_headless(tree) -> None:
    tree.run("try", "--headless", "--attack", "forged-chain", "--name", "two words")
    assert tree.calls()[-1] == "watchword [rehearse] [--attack] [forged-chain] [--name] [two words]"


def test_with_json_stdout_holds_only_the_result(tree) -> None:
    result = tree.run("try", "--json", DISPLAY=":0")
    assert result.stdout == "the launch's own words\n"
    assert "For real: " in result.stderr.splitlines()[-1]


def test_state_lives_in_a_directory_of_its_own_that_is_removed(tree) -> None:
    tree.run("try", WATCHWORD_HOME="/the/users/own", FAKE_STATUS="3")
    home = Path((tree.fakes / "home").read_text().strip())
    assert home != Path("/the/users/own")
    assert not home.exists()


def test_where_there_is_a_display_the_wizard_opens_and_its_size_is_told_first(tree) -> None:
    first = tree.run("try", DISPLAY=":0")
    calls = tree.calls()
    assert "about 90 MB" in first.stdout
    assert "-r requirements/gui.txt" in calls[1]
    assert calls[-1] == "watchword-gui [--try]"
    assert "about 90 MB" not in tree.run("try", WAYLAND_DISPLAY="wayland-0").stdout
    assert tree.calls() == ["watchword-gui [--try]"]


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["--attack", "silence"], "watchword-gui [--try] [--attack] [silence]"),
        (["--attack=silence"], "watchword-gui [--try] [--attack=silence]"),
        (["--attack", "list"], "watchword [rehearse] [--attack] [list]"),
        (["--attack=list"], "watchword [rehearse] [--attack=list]"),
        (["--headless"], "watchword [rehearse]"),
        (["--vcpus", "2"], "watchword [rehearse] [--vcpus] [2]"),
    ],
)
def test_what_the_wizard_asks_for_itself_runs_in_the_terminal(
    tree, arguments: list[str], last: str
) -> None:
    tree.run("try", *arguments, DISPLAY=":0")
    assert tree.calls()[-1] == last


def test_where_qt_cant_load_the_launch_runs_in_the_terminal(tree) -> None:
    result = tree.run("try", DISPLAY=":0", FAKE_QT="missing")
    assert "Qt can't show a window here." in result.stderr
    assert "runs here in the terminal" in result.stdout
    assert tree.calls()[-1] == "watchword [rehearse]"


def test_it_runs_from_another_directory_without_home_and_through_a_link(tree) -> None:
    elsewhere = tree.fakes / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "watchword-try").symlink_to(tree.root / "try")
    result = subprocess.run(
        ["../elsewhere/watchword-try"],
        cwd=elsewhere,
        env={
            "PATH": str(tree.fakes),
            "CALLS": str(tree.calls_file),
            "FAKES": str(tree.fakes),
            "FAKE_BASE": str(tree.fakes / "python3.14"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert (tree.root / ".venv" / "ready").is_file()
    assert list(elsewhere.iterdir()) == [elsewhere / "watchword-try"]


def test_it_runs_with_stdin_closed(tree) -> None:
    result = tree.run("try", close_stdin=True)
    assert result.returncode == 0, result.stderr
    assert tree.calls()[-1] == "watchword [rehearse]"


NO_NETWORK = (
    "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
    "ERROR: No matching distribution found for cffi==2.1.1",
    "ReadTimeoutError: Read timed out.",
)


@pytest.mark.parametrize("words", NO_NETWORK)
def test_without_a_network_it_says_so_in_one_sentence(tree, words: str) -> None:
    result = tree.run("try", FAKE_PIP_SAYS=words)
    assert result.returncode == 1
    (sentence,) = result.stderr.splitlines()
    assert "can't be downloaded" in sentence
    assert "watchword" not in "".join(tree.calls())


@pytest.mark.parametrize(
    "words",
    [
        "No space left on device",
        "DO NOT MATCH THE HASHES; unreachable",
        "CERTIFICATE_VERIFY_FAILED; No matching distribution found",
    ],
)
def test_what_else_stops_pip_is_shown(tree, words: str) -> None:
    result = tree.run("try", FAKE_PIP_SAYS=words)
    assert result.returncode == 1
    assert words in result.stderr
    assert "can't be downloaded" not in result.stderr


def test_without_python_it_gives_the_line_to_type_and_exits_2(tree) -> None:
    tree.has_no_python()
    result = tree.run("try")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 2
    assert "apt install python3" in result.stderr.splitlines()[-1]
    assert tree.calls() == []
