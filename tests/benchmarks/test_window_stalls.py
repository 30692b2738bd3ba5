# SPDX-License-Identifier: Apache-2.0
"""How long the window stands still at most while a launch runs, against an idle window.

A timer of 10 ms beats in the GUI's thread; the longest gap between two beats is what a
person may feel. The machine adds to both, so the idle run is measured in the same process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if importlib.util.find_spec("PySide6") is None:
    pytest.skip("no PySide6 (package PySide6-Essentials)", allow_module_level=True)

MOST_MS = 500
"""More than that is felt as a program that hangs."""
ATTEMPTS = 4

SCRIPT = """
import json, sys, time
from PySide6.QtCore import QTimer
from watchword.gui import application as program
from watchword.gui.theme import Scheme, Theme

app = program.make_application()
theme = Theme(app, Scheme.LIGHT)
bridge = program.Bridge(app)
window = program.MainWindow(bridge, theme, program.WindowSettings(program.settings_path()))
beats = []
timer = QTimer()
timer.timeout.connect(lambda: beats.append(time.perf_counter()))
timer.start(10)

def live(until):
    beats.clear()
    end = time.monotonic() + 60
    while not until() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.001)
    return 1000 * max((b - a for a, b in zip(beats, beats[1:])), default=0)

def seconds(length):
    end = time.monotonic() + length
    return lambda: time.monotonic() > end

window.show()
live(seconds(1))
frame = window.only_try(None).frame
rest = lambda: not frame.conductor_at_work and frame._target is None
live(rest)
found = {"idle": live(seconds(2)), "launch": 0.0}
for _ in range(3):
    frame.row.primary.click()
    found["launch"] = max(found["launch"], live(rest))
found["complete"] = frame.conductor.launch.complete
print(json.dumps(found), flush=True)
timer.stop()
window.close_wizard()
bridge.shutdown()
"""


def test_a_launch_lets_the_window_breathe(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "WATCHWORD_HOME": str(tmp_path)}
    for _ in range(ATTEMPTS):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["complete"]
        if found["launch"] <= MOST_MS:
            break
    ratio = found["launch"] / found["idle"]
    words = f"{found['launch']:.0f} ms (idle {found['idle']:.0f} ms, {ratio:.1f} times)"
    record_property("longest stall of the window during a launch", words)
    print(f"\nlongest stall during a launch: {words}; at most {MOST_MS} ms")
    assert found["launch"] <= MOST_MS, words
