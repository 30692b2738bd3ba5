# SPDX-License-Identifier: Apache-2.0
"""Tries whether Qt's Python bindings fit this Python; PySide6 6.12.0 does not fit Python 3.11.

There each Qt function that returns nothing drops a reference to None, and after some
five thousand of them Python aborts the process. Since Python 3.12 None is immortal.
"""

from __future__ import annotations

import sys
from typing import Final

import PySide6
from PySide6.QtCore import QObject

from watchword.core.errors import UsageError

_TRIES: Final = 64


def bindings_problem() -> UsageError | None:
    """Why these bindings would end the program half-way, or None."""
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(_TRIES):
        thing.parent()
    lost = before - sys.getrefcount(None)
    return _unfit() if lost >= _TRIES // 2 else None


def _unfit() -> UsageError:
    python = "{}.{}".format(*sys.version_info)
    return UsageError(
        "qt-unfit",
        "This version of PySide6 does not fit this Python",
        f"PySide6 {PySide6.__version__} on Python {python} aborts programs after a while.",
        f"Install another: {sys.executable} -m pip install 'PySide6-Essentials!=6.12.0'."
        " Use the command line meanwhile: `watchword --help`.",
    )
