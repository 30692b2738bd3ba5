# SPDX-License-Identifier: Apache-2.0
"""Which skipped tests CI lets pass, and what a person is told about the others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with our conftest.py and package list, for a test file of the test's own."""
    for name in ("tests/conftest.py", "tests/firmware/artifacts.py", ".ci/debian-packages.txt"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    return tmp_path


def run_pytest(tree: Path, test_file: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    (tree / "tests" / "test_it.py").write_text(test_file)
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tree,
        env={**env, "CI": "true"} if ci else env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


ALLOWED = """
import pytest

@pytest.mark.parametrize("reason", ["no SEV hardware", "no ../shared", "no ../shared/vectors"])
def test_one(reason):
    pytest.skip(reason)
"""
FORBIDDEN = """
import pytest

def test_one():
    pytest.skip("not today")

@pytest.mark.skip(reason="not today")
def test_two(): ...

@pytest.fixture
def tool():
    pytest.skip("not today")

def test_three(tool): ...
"""
WHOLE_FILE = """
import pytest

pytest.skip("not today", allow_module_level=True)
"""


def test_ci_lets_pass_what_no_machine_of_ours_can_run(tree: Path) -> None:
    result = run_pytest(tree, ALLOWED, ci=True)
    assert result.returncode == 0, result.stdout
    assert " 3 skipped" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("test_file", "outcome"), [(FORBIDDEN, " 1 failed, 2 errors in"), (WHOLE_FILE, " 1 error in")]
)
def test_any_other_skip_fails_the_run_in_ci(tree: Path, test_file: str, outcome: str) -> None:
    result = run_pytest(tree, test_file, ci=True)
    assert result.returncode != 0
    assert "skipped, which CI=true forbids: not today" in result.stdout
    assert outcome in result.stdout.splitlines()[-1]


def test_outside_ci_any_skip_is_a_skip(tree: Path) -> None:
    result = run_pytest(tree, FORBIDDEN, ci=False)
    assert result.returncode == 0, result.stdout
    assert " 3 skipped in" in result.stdout.splitlines()[-1]


def test_an_expected_failure_is_no_skip(tree: Path) -> None:
    test_file = "import pytest\n\n@pytest.mark.xfail\ndef test_one(): raise ValueError\n"
    result = run_pytest(tree, test_file, ci=True)
    assert result.returncode == 0
    assert "1 xfailed" in result.stdout.splitlines()[-1]


USES_A_PROGRAM = "def test_one(program):\n    program({name!r}, {package!r})\n"


def test_a_missing_program_skips_and_the_end_gives_the_line_to_type(tree: Path) -> None:
    test_file = USES_A_PROGRAM.format(name="no-such-program", package="libvirt-clients-qemu")
    result = run_pytest(tree, test_file, ci=False)
    assert result.returncode == 0
    assert "\napt install libvirt-clients-qemu\n" in result.stdout
    assert re.search(r"1 skipped", result.stdout.splitlines()[-1])


def test_a_package_that_is_not_in_the_list_fails(tree: Path) -> None:
    test_file = USES_A_PROGRAM.format(name="no-such-program", package="cowsay")
    result = run_pytest(tree, test_file, ci=False)
    assert result.returncode == 1
    assert "cowsay is not in .ci/debian-packages.txt" in result.stdout
