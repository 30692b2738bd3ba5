# SPDX-License-Identifier: Apache-2.0
"""Checks that a wheel holds the files git tracks under core/, gui/ and resources/, and no others.

Usage: git ls-files -z core gui resources | check_wheel.py WHEEL
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable


def differences(tracked: Iterable[str], packed: Iterable[str]) -> list[str]:
    """What the wheel lacks or holds too much, as sentences (none if it is right).

    ``tracked`` are paths in the tree, ``packed`` the names in the wheel.
    """
    wanted = {f"watchword/{name}" for name in tracked}
    found = {name for name in packed if ".dist-info/" not in name}
    return [
        *(f"tracked by git but missing from the wheel: {name}" for name in sorted(wanted - found)),
        *(f"in the wheel but not tracked by git: {name}" for name in sorted(found - wanted)),
    ]


def main() -> int:
    """Read the tracked names from stdin, compare, and return 1 if anything differs."""
    tracked = [name for name in sys.stdin.read().split("\0") if name]
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        packed = [name for name in wheel.namelist() if not name.endswith("/")]
    problems = differences(tracked, packed)
    print("\n".join(problems) or f"The wheel holds all {len(tracked)} tracked files and no others.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
