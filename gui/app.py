# SPDX-License-Identifier: Apache-2.0
"""Where ``watchword-gui`` starts: everything is checked here before Qt is loaded, without Qt."""

from __future__ import annotations

import sys


def main() -> int:
    """Say that this version has no window, and what to use in its place; exit status 2 (usage)."""
    sys.stderr.write(
        "The window is not part of this version of Watchword;"
        " try “watchword rehearse”, or see “watchword --help”.\n"
    )
    return 2
