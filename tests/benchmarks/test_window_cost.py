# SPDX-License-Identifier: Apache-2.0
"""What the first window costs as a process, against a bare window of PySide6's.

Both are started anew each time, and end at once when their window was painted.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .ratio import Ratio

if importlib.util.find_spec("PySide6") is None:
    pytest.skip("no PySide6 (package PySide6-Essentials)", allow_module_level=True)

MOST = 2.0

# There is nothing in it: whatever a program shows only adds to that.
BARE = """
import os
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

class Window(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, lambda: os._exit(7))

application = QApplication([])
window = Window()
window.resize(1120, 760)
window.show()
application.exec()
"""

OURS = """
import os
from watchword.gui import app
class Ending:
    def find_spec(self, name, *_):
        if name == "watchword.gui.signals":  # the last thing that is imported before the window
            from watchword.gui.main_window import MainWindow
            MainWindow._begin = lambda _window: os._exit(7)
sys.meta_path.insert(0, Ending())
app.main([])
"""


@pytest.fixture
def shown(tmp_path: Path) -> Callable[[str], None]:
    """Runs a script until its window is painted; modules are kept compiled, as when installed."""
    unusual = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "QT_SCALE_FACTOR")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in unusual},
        "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"),
        "QT_QPA_PLATFORM": "offscreen",
        "WATCHWORD_HOME": str(tmp_path / "home"),
    }

    def run(script: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", f"import sys{script}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 7, done.stderr.decode()

    return run


def test_the_first_window_takes_a_small_multiple_of_a_bare_one(
    shown: Callable[[str], None], ratio: Ratio
) -> None:
    ratio(
        "first window / bare PySide6 window",
        lambda: shown(OURS),
        lambda: shown(BARE),
        MOST,
    )


def test_nothing_heavy_is_imported_before_the_first_window(shown: Callable[[str], None]) -> None:
    heavy = ("asyncio", "cryptography", "httpx", "keyring", "qemu", "sqlite3", "watchword.core.sev")
    told = OURS.replace(
        "os._exit(7)", f"os._exit(8 if any(name in sys.modules for name in {heavy}) else 7)"
    )
    assert told != OURS
    shown(told)
