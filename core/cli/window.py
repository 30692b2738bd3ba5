# SPDX-License-Identifier: Apache-2.0
"""Lets ``watchword`` without any words become the window, where one can be shown."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Mapping

_DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY")


def become_window(environment: Mapping[str, str]) -> None:
    """Put ``watchword-gui`` in the place of this process; comes back where there is no window.

    That is so without a display, and without the extra ``gui``.
    """
    if not any(environment.get(name) for name in _DISPLAYS):
        return
    if importlib.util.find_spec("PySide6") is None:
        return
    with contextlib.suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-m", "watchword.gui"])  # noqa: S606 - ours
