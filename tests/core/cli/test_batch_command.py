# SPDX-License-Identifier: Apache-2.0
"""``watchword --batch``: over real sockets, with hosts that lie and die, down to the last line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from watchword.core.cli import main as command_line

from .batch_support import DRIVER, SECRET, lines, outcomes
from .support import spellings

# -- whole fleets ------------------------------------------------------------------


def test_three_guests_one_honest_one_lying_one_dead(batches, folder):
    text = batches.manifest("lying", "dead", "honest")
    prepared = batches(text, "--phase", "prepare")
    assert prepared.status == 0, prepared.err
    assert outcomes(lines(prepared.out)) == dict.fromkeys(("lying", "dead", "honest"), "prepared")
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket(socket.AF_UNIX))
        dead.bind(str(folder / "dead.sock"))  # nobody listens
        lying = stack.enter_context(batches.vm("lying", "wrong-firmware"))
        honest = stack.enter_context(batches.vm("honest"))
        shown = batches(text, "--phase", "complete")
        assert shown.status == 7
        assert honest.machine.memory.holds(SECRET)
        assert not lying.packets
        [packet] = honest.packets
    events = lines(shown.out)
    assert outcomes(events) == {"lying": "failed", "dead": "failed", "honest": "done"}
    summary = events[-1]
    assert list(summary)[:2] == ["ok", "event"]
    assert (summary["ok"], summary["event"], summary["exit_status"]) == (False, "summary", 7)
    assert summary["outcomes"] == {"done": 1, "failed": 2}
    assert [(one["name"], one["code"]) for one in summary["failed"]] == [
        ("lying", "measurement-mismatch"),
        ("dead", "host-refused-connection"),
    ]
    assert all(one["title"] for one in summary["failed"])
    assert "1 failed (measurement-mismatch): The measurement does not match: lying" in shown.err
    assert packet.status.name == "SUCCESS"


def test_a_guest_that_is_not_there_yet_is_gone_on_with_later(batches):
    text = batches.manifest("a", "b")
    first = batches(text)
    assert first.status == 9
    assert outcomes(lines(first.out)) == {"a": "waiting", "b": "waiting"}
    assert [one["code"] for one in lines(first.out)[-1]["waiting"]] == ["vm-not-started"] * 2
    with batches.vm("a"):
        second = batches(text, "--phase", "complete")
    assert (second.status, outcomes(lines(second.out))) == (9, {"a": "done", "b": "waiting"})
    with batches.vm("b") as host:
        third = batches(text, "--phase", "complete")
        assert len(host.packets) == 1
    assert (third.status, outcomes(lines(third.out))) == (0, {"a": "done-before", "b": "done"})
    assert lines(third.out)[-1]["ok"] is True
    # What runs may be launched anew, on another VM.
    assert outcomes(lines(batches(text, "--phase", "prepare").out))["a"] == "prepared"


def test_what_is_under_way_is_not_begun_again(batches):
    text = batches.manifest("a", "b")
    assert batches(batches.manifest("b"), "--phase", "prepare").status == 0
    for words in ((), ("--phase", "prepare"), ("--check",)):
        shown = batches(text, *words)
        assert shown.status == 6
        assert lines(shown.out)[-1]["error"]["code"] == "launches-under-way"
        assert "b (" in shown.err
    assert not (batches.folder / "out" / "a" / "godh.b64").exists()


def test_the_host_is_asked_for_what_the_certificates_lack(batches, waiting_vm, folder, platform):
    (folder / "chain.cert").write_bytes((platform / "cek.cert").read_bytes())
    text = batches.manifest("a")
    assert batches(text, "--phase", "prepare").status == 7  # there is nobody to ask
    with waiting_vm(None, folder / "a.sock", policy=1):
        # That one was never given a launch blob, and is not in the way.
        assert batches(text, "--phase", "prepare").status == 0
    with batches.vm("a") as host:
        assert batches(text, "--phase", "complete").status == 0
        assert host.machine.memory.holds(SECRET)


def test_without_injecting_nothing_is_handed_over_until_it_is_wanted(batches):
    text = batches.manifest("a", more="inject = false\n")
    batches(text, "--phase", "prepare")
    with batches.vm("a") as host:
        shown = batches(text, "--phase", "complete")
        assert (shown.status, outcomes(lines(shown.out))) == (0, {"a": "verified"})
        assert not host.packets
        shown = batches(text.replace("inject = false", ""), "--phase", "complete")
        assert outcomes(lines(shown.out)) == {"a": "done"}
        assert host.machine.memory.holds(SECRET)


def test_a_platform_that_is_not_pinned_gets_nothing(batches, batch_home):
    batch_home.profile("elsewhere", ceks=["ab" * 32])
    text = batches.manifest("a", "b").replace('guest = "web"', 'guest = "elsewhere"', 1)
    shown = batches(text, "--phase", "prepare")
    assert shown.status == 7
    assert outcomes(lines(shown.out)) == {"a": "failed", "b": "prepared"}
    assert not (batches.folder / "out" / "a" / "godh.b64").exists()


def test_a_root_that_is_not_amds_gets_nothing(batches, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("WATCHWORD_HOME", str(batches.home.path))
    monkeypatch.setattr(command_line, "harden_process", lambda: None)
    shown = batches(batches.manifest("a"), "--phase", "prepare")
    assert lines(shown.out)[-1]["failed"][0]["code"] == "chain-refused"
    assert not (batches.folder / "out").exists()


def test_what_is_carried_by_hand_waits(batches, folder):
    text = (
        f'[[launch]]\nname = "a"\nguest = "web"\nhost = "exchange://{folder}/usb"\n'
        f'certificates = "{folder}/chain.cert"\n'
    )
    (folder / "usb").mkdir()
    first = batches(text)
    assert (first.status, outcomes(lines(first.out))) == (9, {"a": "waiting"})
    carried = {path.name for path in (folder / "usb").rglob("*") if path.is_file()}
    assert carried
    again = batches(text, "--phase", "complete")
    assert (again.status, outcomes(lines(again.out))) == (9, {"a": "waiting"})
    assert (
        lines(first.out)[-1]["waiting"][0]["launch"] == lines(again.out)[-1]["waiting"][0]["launch"]
    )
    assert not (folder / "out").exists()


# -- output ------------------------------------------------------------------------


def test_results_go_to_a_file_line_by_line(batches, tmp_path):
    path = tmp_path / "results.jsonl"
    text = batches.manifest("a")
    batches(text, "--phase", "prepare", "--output", path)
    with batches.vm("a"):
        shown = batches(text, "--phase", "complete", "--output", path)
    assert (shown.status, shown.out) == (0, "")
    assert "a: done" in shown.err
    events = lines(path.read_text())
    others = [one["event"] for one in events if one["event"] not in ("step", "warning")]
    assert others == [
        *("batch", "records", "launch", "result", "summary"),
        *("batch", "records", "result", "summary"),
    ]
    warnings = [one["message"] for one in events if one["event"] == "warning"]
    assert sum("this very machine" in message for message in warnings) == 2  # once each run
    steps = [one["step"] for one in events if one["event"] == "step"]
    assert steps[-7:] == ["guest", "platform", "session", "start", "measurement", "secret", "run"]
    assert all(one["time"].endswith("+00:00") for one in events)
    assert path.stat().st_mode & 0o777 == 0o600
    broken = batches("bogus = 1", "--output", path)
    assert (broken.status, broken.out) == (6, "")
    assert lines(path.read_text())[-1]["error"]["code"] == "manifest-invalid"
    assert "bogus" in broken.err


def test_an_output_that_can_t_be_opened_stops_the_batch_before_it_begins(batches, tmp_path):
    shown = batches(batches.manifest("a"), "--output", tmp_path)
    assert (shown.status, shown.out) == (6, "")
    assert not (batches.folder / "out").exists()


def test_results_that_are_lost_stop_no_launch_and_are_no_success(batches, monkeypatch, tmp_path):
    from watchword.core.batch import json_lines

    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def write(self, descriptor, data):
            raise OSError(28, "full")

    monkeypatch.setattr(json_lines, "os", Full())
    shown = batches(batches.manifest("a"), "--phase", "prepare", "--output", tmp_path / "out")
    assert shown.status == 1
    assert (batches.folder / "out" / "a" / "godh.b64").exists()
    assert "could not be written" in shown.err


def test_what_hosts_say_steers_no_terminal(batches):
    text = batches.manifest("a")
    batches(text, "--phase", "prepare")
    with batches.vm("a", "error-with-markup"):
        shown = batches(text, "--phase", "complete")
    assert shown.status == 7
    assert shown.out.isascii()
    assert not {character for character in shown.out + shown.err if ord(character) < 32} - {"\n"}


# -- start commands ----------------------------------------------------------------

SIMULATE = """\
import os, subprocess, sys, time
name, godh, session, policy, folder = sys.argv[1:]
with open(f"{folder}/environment", "w") as stream:
    stream.write(repr(sorted(os.environ.items())))
vm = subprocess.Popen(
    [sys.executable, "-m", "watchword.core", "simulate", "--socket", f"{folder}/{name}.sock",
     "--state", f"{folder}/platform", "--firmware", f"{folder}/OVMF.fd", "--vcpus", "2",
     "--policy", policy, "--dh-cert-file", godh, "--session-file", session],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
with open(f"{folder}/{name}.pid", "w") as stream:
    stream.write(str(vm.pid))
"""


@pytest.fixture
def started_by_command(batches, folder, platform, firmware):
    """A manifest whose start command starts a VM as a process of its own, which is ended here."""
    (folder / "platform").symlink_to(platform)
    (folder / "OVMF.fd").write_bytes(firmware.read_bytes())
    (folder / "start.py").write_text(SIMULATE)
    words = [sys.executable, "start.py", "{name}", "{godh}", "{session}", "{policy}", str(folder)]
    yield batches.manifest("a", more=f"start = {json.dumps(words)}\n")
    for path in folder.glob("*.pid"):
        os.kill(int(path.read_text()), signal.SIGKILL)


def test_a_command_starts_the_vm_if_it_may(batches, started_by_command, folder, monkeypatch):
    refused = batches(started_by_command)
    assert refused.status == 2
    assert lines(refused.out)[-1]["error"]["code"] == "start-not-allowed"
    assert not (folder / "out").exists()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    monkeypatch.setenv("WATCHWORD_VAULT_PASSPHRASE", "five words chosen by chance")
    shown = batches(started_by_command, "--allow-start")
    assert (shown.status, outcomes(lines(shown.out))) == (0, {"a": "done"}), shown.err
    seen = (folder / "environment").read_text()
    assert "PATH" in seen
    assert "five words" not in seen
    assert "CREDENTIALS" not in seen


def test_a_start_command_may_be_checked_and_prepared_for_without_being_run(
    batches, started_by_command, folder
):
    checked = batches(started_by_command, "--check")
    assert (checked.status, lines(checked.out)[-1]["starting"]) == (0, ["a"])
    assert batches(started_by_command, "--phase", "prepare").status == 0
    assert not (folder / "environment").exists()


# -- secrets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "arrives"),
    [
        (None, True),
        ("wrong-firmware", False),
        ("cloned-launch", False),
        ("replayed-measurement", False),
        ("error-with-markup", False),
        ("disconnect-mid-command", False),
    ],
)
def test_a_batch_leaks_nothing(batches, batch_home, attack, arrives, tmp_path):
    text, path = batches.manifest("a"), tmp_path / "results.jsonl"
    prepared = batches(text, "--phase", "prepare", "--output", path)
    with batches.vm("a", attack) as host:
        shown = batches(text, "--phase", "complete")
        assert host.machine.memory.holds(SECRET) is arrives
        seen = [shown.out, shown.err, prepared.out, prepared.err]
        seen = [text.encode() for text in seen] + [host.host.view.data]
    for root in (tmp_path, batches.folder):
        seen += [one.read_bytes() for one in root.rglob("*") if one.is_file()]
    for marker in spellings(SECRET):
        assert not [place for place in seen if marker in place]


# -- interruption ------------------------------------------------------------------


def wait_until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_ctrl_c_leaves_a_summary_of_what_was_done(batches, platform, tmp_path):
    text, path = batches.manifest("a", "b", "c"), tmp_path / "results.jsonl"
    batches(text, "--phase", "prepare")
    with batches.vm("a"), batches.vm("b", "silence"):
        words = batches.words(text, "--phase", "complete", "--jobs", "1", "--output", path)
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(platform), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            wait_until(lambda: path.exists() and '"name": "b"' in path.read_text())
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, out) == (130, b""), err
    events = lines(path.read_text())
    assert outcomes(events) == {"a": "done", "b": "interrupted", "c": "not-begun"}
    assert (events[-1]["event"], events[-1]["exit_status"]) == ("summary", 130)
    assert b"1 done, 1 interrupted, 1 not-begun" in err
    # Nothing was lost by that.
    with batches.vm("b"), batches.vm("c"):
        again = batches(text, "--phase", "complete")
    assert outcomes(lines(again.out)) == {"a": "done-before", "b": "done", "c": "done"}
