# SPDX-License-Identifier: Apache-2.0
"""What ./try, ./test and .ci/run share: how a Python is chosen, and which packages hold one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def in_library(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-uec", f'. "{ROOT}/.ci/lib.sh"\n{code}'],
        env={"PATH": f"{path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def fake(folder: Path, name: str, script: str = "true") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_python_is_run_before_it_is_chosen(tmp_path: Path) -> None:
    fake(tmp_path, "python3.14", "echo 'command not found' >&2; exit 127")
    fake(tmp_path, "python3.13", "exit 0")  # too old: prints nothing
    good = fake(tmp_path, "python3.12", 'echo "$0"')
    fake(tmp_path, "python3.11", 'echo "$0"')
    assert in_library("find_python", tmp_path).stdout == f"{good}\n"


def test_inside_an_environment_the_python_below_it_is_chosen() -> None:
    # It may be .venv itself that is active and about to be replaced.
    chosen = Path(in_library("find_python", Path(sys.executable).parent).stdout.strip())
    assert chosen.is_file()
    assert sys.prefix == sys.base_prefix or not chosen.is_relative_to(sys.prefix)


def test_no_python_is_a_status(tmp_path: Path) -> None:
    assert in_library("PYTHONS=(no-such-python); find_python", tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("os_release", "packages"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm", "python3-venv"),
        ("ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble", "python3-venv"),
        ("ID=ubuntu\nVERSION_CODENAME=jammy", "python3.11 python3.11-venv"),
        (
            "ID=linuxmint\nVERSION_CODENAME=vera\nUBUNTU_CODENAME=jammy",
            "python3.11 python3.11-venv",
        ),
        ("ID=debian\nVERSION_CODENAME=bullseye", ""),
        ("ID=debian", "python3-venv"),
    ],
)
def test_the_packages_that_hold_a_python(tmp_path: Path, os_release: str, packages: str) -> None:
    fake(tmp_path, "apt-get")
    (tmp_path / "os-release").write_text(os_release)
    code = f'OS_RELEASE="{tmp_path}/os-release"; python_packages'
    assert in_library(code, tmp_path).stdout == packages


def test_without_os_release_the_usual_package_is_named(tmp_path: Path) -> None:
    fake(tmp_path, "apt-get")
    code = 'OS_RELEASE=/nonexistent; packages="$(python_packages)"; echo "$packages"'
    assert in_library(code, tmp_path).stdout == "python3-venv\n"


def test_the_package_list_is_read_without_its_comments(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# why\n\none  # because\n  two\n")
    assert in_library(f'packages_in "{tmp_path}/list"', tmp_path).stdout == "one\ntwo\n"


def test_only_packages_that_are_not_installed_are_missing(tmp_path: Path) -> None:
    fake(tmp_path, "dpkg-query", '[ "${!#}" = here ] && printf installed || printf config-files')
    assert in_library("missing_packages here gone here removed", tmp_path).stdout == "gone removed"
    assert in_library("missing_packages here", tmp_path).stdout == ""
