# SPDX-License-Identifier: Apache-2.0
"""The program from its start to its end, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from watchword.gui import app
from watchword.gui.early_checks import Surroundings

READY = """
import sys
from PySide6.QtCore import QTimer
from watchword.gui import application

window = application.MainWindow
class Told(window):
    def showEvent(self, event):
        super().showEvent(event)
        QTimer.singleShot({delay}, self.ready)
    def ready(self):
        print("ready", flush=True)
application.MainWindow = Told
from watchword.gui.app import main
sys.exit(main({arguments!r}))
"""


# Presses the primary button whenever nothing is at work, until that many times or refused.
DRIVEN = """
import sys
from PySide6.QtCore import QTimer
from watchword.gui import application

class Driven(application.MainWindow):
    presses = {presses}

    def showEvent(self, event):
        super().showEvent(event)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.drive)
        self.timer.start(20)

    def drive(self):
        frame = self.wizard.frame
        if frame.conductor_at_work or frame._target is not None:
            return
        if not self.presses or frame.conductor.launch.marks:
            self.timer.stop()
            self.{end}
        else:
            self.presses -= 1
            frame.row.primary.click()

application.MainWindow = Driven
from watchword.gui.app import main
sys.exit(main(["--try", *{arguments!r}]))
"""


@pytest.fixture
def started(tmp_path):
    """Starts the program with these arguments and waits until it shows its window."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, delay: int = 0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", READY.format(arguments=list(arguments), delay=delay)],
            env=os.environ | {"QT_LOGGING_RULES": "*.debug=false", "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_program_at_once(started, number: signal.Signals) -> None:
    process = started()
    process.send_signal(number)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read()


def test_a_signal_ends_a_rehearsal_and_leaves_no_socket_behind(started, tmp_path) -> None:
    process = started("--try", delay=600)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.glob("ww-*")) == []


@pytest.mark.parametrize(
    ("arguments", "presses", "end", "status"),
    [
        ((), 0, "close()", 0),
        ((), 3, "close()", 0),
        ((), 4, "close()", 0),
        ((), 1, "close()", 130),
        (("--attack", "forged-chain"), 9, "close()", 3),
        (("--attack", "forged-chain"), 9, "wizard.frame.row.leaving.click()", 3),
        (("--attack", "garbage-json"), 9, "close()", 4),
    ],
)
def test_after_a_rehearsal_the_exit_status_is_its_own_and_nothing_of_the_owners_was_touched(
    tmp_path, arguments, presses: int, end: str, status: int
) -> None:
    home = tmp_path / "owner"
    home.mkdir()
    unset = ("WATCHWORD_HOME", "DBUS_SESSION_BUS_ADDRESS")
    environment = {k: v for k, v in os.environ.items() if k not in unset and "XDG" not in k}
    done = subprocess.run(
        [sys.executable, "-c", DRIVEN.format(arguments=arguments, presses=presses, end=end)],
        env=environment | {"HOME": str(home), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    files = [path.name for path in home.rglob("*") if path.is_file()]
    assert set(files) <= {"window.ini"}
    assert list(tmp_path.glob("ww-*")) == []


def test_a_check_is_quiet_where_a_window_can_be_shown(capsys, monkeypatch) -> None:
    monkeypatch.setattr(app, "harden_process", lambda: None)
    assert app.main(["--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_unknown_attack_is_answered_with_the_known_ones(capsys, monkeypatch) -> None:
    monkeypatch.setattr(app, "harden_process", lambda: None)
    assert app.main(["--try", "--attack", "no-such\x1b"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "forged-chain" in err
    assert "\x1b" not in err


def test_an_attack_without_a_rehearsal_is_a_matter_of_usage(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        app.main(["--attack", "silence"])
    assert end.value.code == 2
    assert "--try" in capsys.readouterr().err


def test_an_unknown_word_is_a_matter_of_usage(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        app.main(["--no-such-thing"])
    assert end.value.code == 2


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--try"]])
def test_without_a_display_it_names_the_command_line_and_exits_2(
    monkeypatch, capsys, arguments: list[str]
) -> None:
    nowhere = Surroundings({}, lambda _: True, *[lambda: True] * 3, frozenset)
    monkeypatch.setattr(Surroundings, "of_this_machine", lambda _environment: nowhere)
    monkeypatch.setattr(app, "harden_process", lambda: None)
    assert app.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "watchword --help" in err
