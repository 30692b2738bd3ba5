# SPDX-License-Identifier: Apache-2.0
"""Checks that a wheel holds the files git tracks under core/, gui/ and resources/, and no others.

And that it brings what a desktop needs, under share/, as pyproject.toml has it.
Usage: git ls-files -z core gui resources | check_wheel.py WHEEL
"""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

# Where a wheel keeps what pip puts under the environment's own folder.
DATA = re.compile(r"[^/]+\.data/data/")


def data_files(pyproject: str) -> list[str]:
    """What is installed outside the package, by its place under the environment's folder."""
    folders = tomllib.loads(pyproject)["tool"]["setuptools"]["data-files"]
    return [
        f"{folder}/{one.name}"
        for folder, patterns in folders.items()
        for pattern in patterns
        for one in sorted(PYPROJECT.parent.glob(pattern))
    ]


def differences(
    tracked: Iterable[str], packed: Iterable[str], installed: Iterable[str] = ()
) -> list[str]:
    """What the wheel lacks or holds too much, as sentences (none if it is right).

    ``tracked`` are paths in the tree, ``packed`` the names in the wheel, ``installed``
    as ``data_files`` gives them.
    """
    wanted = {f"watchword/{name}" for name in tracked} | set(installed)
    found = {DATA.sub("", name, count=1) for name in packed if ".dist-info/" not in name}
    return [
        *(f"tracked by git but missing from the wheel: {name}" for name in sorted(wanted - found)),
        *(f"in the wheel but not tracked by git: {name}" for name in sorted(found - wanted)),
    ]


def main() -> int:
    """Read the tracked names from stdin, compare, and return 1 if anything differs."""
    tracked = [name for name in sys.stdin.read().split("\0") if name]
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        packed = [name for name in wheel.namelist() if not name.endswith("/")]
    installed = data_files(PYPROJECT.read_text(encoding="utf-8"))
    problems = differences(tracked, packed, installed)
    good = f"The wheel holds all {len(tracked)} tracked files, {len(installed)} for the desktop,"
    print("\n".join(problems) or f"{good} and no others.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
