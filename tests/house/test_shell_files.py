# SPDX-License-Identifier: Apache-2.0
"""Completion and manual pages: in step with the parser, and understood by shells and man."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.cli.completion_command import SHELLS
from watchword.core.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "resources"
WRITE = "WATCHWORD_WRITE_DOCS"


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = tuple(map(str, words))
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """What .ci/shell_files.py writes now."""
    folder = RESOURCES if os.environ.get(WRITE) else tmp_path_factory.mktemp("shell-files")
    environment = {**os.environ, "COLUMNS": "200"}
    made = run(sys.executable, ROOT / ".ci" / "shell_files.py", folder, env=environment)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize("kind", ["completion", "man"])
def test_the_files_are_what_the_parser_makes_now(written, kind):
    def texts(folder: Path) -> dict[str, str]:
        return {one.name: one.read_text() for one in (folder / kind).iterdir()}

    now, kept = texts(written), texts(RESOURCES)
    stale = sorted(name for name in now.keys() | kept.keys() if now.get(name) != kept.get(name))
    assert stale == [], f"write them anew with .ci/shell_files.py (or {WRITE}=1)"


def test_every_command_has_a_page(written):
    pages = {one.name for one in (RESOURCES / "man").iterdir()}
    assert {f"watchword-{word}.1" for word in COMMANDS} <= pages
    assert {"watchword.1", "watchword-batch.1"} <= pages


def test_no_page_makes_man_complain(program):
    groff = program("groff", "groff-base")
    for page in sorted((RESOURCES / "man").iterdir()):
        told = run(groff, "-man", "-Tutf8", "-ww", "-z", page)
        assert (told.returncode, told.stderr) == (0, ""), page.name


@pytest.mark.parametrize(
    ("shell", "package", "check"),
    [("bash", "bash", "-n"), ("zsh", "zsh", "-n"), ("fish", "fish", "--no-execute")],
)
def test_each_shell_can_read_its_file(program, shell, package, check):
    told = run(program(shell, package), check, RESOURCES / SHELLS[shell])
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["watchword", "lau"], ["launch"]),
        (["watchword", "launch", "pre"], ["prepare"]),
        (["watchword", "launch", "prepare", "--waive-pl"], ["--waive-platform"]),
    ],
)
def test_bash_completes_commands_and_options(program, words, offered):
    script = (
        f"source {RESOURCES / SHELLS['bash']}; COMP_WORDS=({' '.join(words)});"
        f" COMP_CWORD={len(words) - 1}; _shtab_watchword; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    told = run(program("bash", "bash"), "--norc", "-c", script, env={"PATH": os.environ["PATH"]})
    assert told.stdout.split() == offered


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_the_command_prints_the_file_as_it_is(shell):
    told = run(sys.executable, "-m", "watchword.core", "completion", shell)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == (RESOURCES / SHELLS[shell]).read_text()
