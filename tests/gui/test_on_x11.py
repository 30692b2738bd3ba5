# SPDX-License-Identifier: Apache-2.0
"""The real program on a real X11 display: it starts with Qt's xcb plug-in, and ends when told."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 60.0

TELLING = """
import sys
from PySide6.QtGui import QGuiApplication
from watchword.gui import application

class Telling(application.MainWindow):
    def _begin(self):
        super()._begin()
        print(QGuiApplication.platformName(), flush=True)

application.MainWindow = Telling
from watchword.gui.app import main
sys.exit(main({arguments!r}))
"""


@pytest.fixture
def environment(program, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a session with a display of its own has in its environment."""
    xvfb = program("Xvfb", "xvfb")
    reading, writing = os.pipe()
    # Without -noreset the server begins anew whenever its last client is gone, as after a check.
    screen = ["-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(writing), *screen],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, "no X server came up"
        unset = ("QT_", "WAYLAND", "XAUTHORITY")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        yield kept | {"DISPLAY": f":{number}", "TMPDIR": str(tmp_path)}
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_the_program_shows_its_window_with_the_xcb_plug_in_and_ends_when_told(start) -> None:
    process = start("-c", TELLING.format(arguments=[]))
    assert process.stdout.readline() == "xcb\n", process.stderr.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONGEST) == 130
    assert "Traceback" not in process.stderr.read()


def test_a_check_finds_the_display(start) -> None:
    process = start("-m", "watchword.gui", "--check")
    assert process.wait(LONGEST) == 0
    assert process.communicate() == ("", "")


def test_a_display_that_is_gone_is_a_sentence_and_no_abort(start, environment) -> None:
    environment["DISPLAY"] = ":4711"
    process = start("-m", "watchword.gui", "--check")
    assert process.wait(LONGEST) == 2
    assert "display can't be reached" in process.communicate()[1]


def test_the_command_without_words_becomes_the_window(start) -> None:
    words = "import sys; sys.argv[1:] = []; from watchword.core.cli.start import main; main()"
    process = start("-c", words)
    status = Path("/proc", str(process.pid))
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and process.poll() is None:
        if "libqxcb.so" in (status / "maps").read_text():
            break
        time.sleep(0.02)
    assert process.poll() is None, process.stderr.read()
    assert b"watchword.gui" in (status / "cmdline").read_bytes()
    process.send_signal(signal.SIGKILL)
    process.wait(LONGEST)


def test_pictures_are_taken_of_the_real_program(program, tmp_path: Path) -> None:
    program("xvfb-run", "xvfb")
    program("xauth", "xauth")
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "screenshots.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * LONGEST,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 7
    for picture in pictures:
        width, height = struct.unpack(">II", picture.read_bytes()[16:24])
        assert (width, height) == (1120, 760)
    assert len({picture.read_bytes() for picture in pictures}) == 7
    listed = {path.name for path in (ROOT / "docs" / "screenshots").iterdir()}
    assert listed == {picture.name for picture in pictures}
