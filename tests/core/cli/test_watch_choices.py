# SPDX-License-Identifier: Apache-2.0
"""``watchword --watch``: what it is called with, what a person decides, and where it tells."""

from __future__ import annotations

import os
import pty
import resource
import signal
import stat
import subprocess
import sys
import time

import pytest

from watchword.core.secret import Secret
from watchword.core.vault.credential_way import CredentialWay
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault
from watchword.core.watch.approvals import decision_of, request_approval

from .batch_support import DRIVER, SECRET, lines
from .watch_support import LIMITS, SECONDS, Service, Watched

FIRMWARE = "ab" * 32


@pytest.fixture
def watched(folder, batch_home, platform):
    batch_home.store.remove("web")
    batch_home.profile(watch=LIMITS)
    return Watched(folder, batch_home, platform)


# -- decisions ---------------------------------------------------------------------


@pytest.fixture
def question(watched):
    return request_approval(
        watched.folder / "approvals",
        "web",
        FIRMWARE,
        launch_id="launch-1",
        host="qmp+unix:///run/vm1.qmp",
        asked="2026-11-23T14:00:00Z",
    )


def test_a_person_sees_what_waits_and_decides(command, watched, question):
    listed = command("--watch", watched.settings, "--approvals", "--json")
    [one] = listed.json["approvals"]
    assert (one["id"], one["guest"], one["launch"]) == (question, "web", "launch-1")
    shown = command("--watch", watched.settings, "--approvals")
    assert question in shown.out
    assert FIRMWARE in shown.out
    assert command("--watch", watched.settings, "--allow", question).status == 0
    assert decision_of(watched.folder / "approvals", "web", FIRMWARE) is True
    assert command("--watch", watched.settings, "--refuse", question).status == 0
    assert decision_of(watched.folder / "approvals", "web", FIRMWARE) is False
    shown = command("--watch", watched.settings, "--approvals")
    assert shown.out == "Nothing waits for a decision.\n"


def test_a_guest_that_is_not_sound_keeps_nobody_from_deciding(command, watched, question):
    watched.write(guests='["none"]')
    assert command("--watch", watched.settings, "--allow", question).status == 0


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("--allow", "0" * 32), "no-such-approval", 6),
        (("--allow", "../../x"), "no-such-approval", 6),
        (("--allow", "a", "--refuse", "b"), "bad-arguments", 2),
        (("--approvals", "--allow", "a"), "bad-arguments", 2),
    ],
)
def test_a_decision_that_means_nothing_is_refused(command, watched, question, words, code, status):
    shown = command("--watch", watched.settings, *words, "--json")
    assert (shown.status, shown.code) == (status, code)


def test_settings_without_a_place_for_questions_say_so(command, watched):
    text = watched.settings.read_text()
    watched.settings.write_text(text.replace('approvals = "approvals"\n', ""))
    assert command("--watch", watched.settings, "--approvals", "--json").code == "no-approvals"
    watched.settings.write_text(text.replace('approvals = "approvals"\n', "approvals = 1\n"))
    assert command("--watch", watched.settings, "--approvals", "--json").code == (
        "watch-file-invalid"
    )


# -- what it is called with --------------------------------------------------------


def test_help_is_of_the_watch_and_the_settings_are_wanted(command):
    shown = command("--watch", "--help")
    assert shown.status == 0
    assert "WATCH.toml" in shown.out
    assert "docs/watch.md" in shown.out
    assert (command("--watch", "--json").status, command("--watch").status) == (2, 2)
    assert command("--watch", "--jobs", "3").status == 2


@pytest.mark.parametrize("how", ["missing", "broken", "refused"])
def test_settings_that_cannot_be_used_end_it_before_the_vault_is_opened(command, watched, how):
    if how == "missing":
        watched.settings.unlink()
    else:
        watched.home.profile("loose", watch=LIMITS, ceks=[])
        watched.write(*(("colour = 1",) if how == "broken" else ("", '["loose"]')))
    shown = command("--watch", watched.settings, "--passphrase-file", "/nonexistent")
    assert shown.status == (3 if how == "refused" else 6), shown.err
    assert lines(shown.out)[-1]["error"]["code"] in (
        "file-missing",
        "watch-file-invalid",
        "watch-file-refused",
    )
    assert not (watched.folder / "ask.sock").exists()


def test_a_vault_that_does_not_open_ends_it(command, watched):
    (watched.folder / "wrong").write_text("wrong\n")
    words = ("--watch", watched.settings, "--passphrase-file", watched.folder / "wrong")
    assert command(*words).status == 5


def test_metrics_that_cannot_be_told_end_it(command, watched):
    text = watched.settings.read_text()
    watched.settings.write_text(text.replace("unix:metrics.sock", "unix:none/metrics.sock"))
    shown = command(*watched.words())
    assert (shown.status, lines(shown.out)[-1]["error"]["code"]) == (6, "cannot-listen")


def test_a_socket_that_cannot_be_listened_on_ends_it(command, watched):
    text = watched.settings.read_text()
    watched.settings.write_text(text.replace("ask.sock", "none/ask.sock"))
    shown = command(*watched.words())
    assert (shown.status, lines(shown.out)[-1]["error"]["code"]) == (6, "cannot-listen")


def test_more_at_once_than_there_may_be_files_is_said_in_the_settings_words(
    command, watched, monkeypatch
):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (128, 128))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: None)
    shown = command(*watched.words())
    error = lines(shown.out)[-1]["error"]
    assert (shown.status, error["code"]) == (2, "too-many-jobs")
    assert "most_waiting" in error["remedy"]
    assert "--jobs" not in error["remedy"]


# -- where it tells ----------------------------------------------------------------


@pytest.mark.slow
def test_a_systemd_credential_opens_the_vault(watched):
    credentials = watched.folder / "credentials"
    credentials.mkdir()
    (credentials / "watchword-vault").write_bytes(bytes(range(32)))
    vault = watched.folder / "vault"
    with Vault.create(vault, CredentialWay(credentials)) as made:
        made.add("web/disk", EntryKind.DISK_SECRET, Secret(SECRET))
    words = ("--watch", watched.settings, "--vault", vault)
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    with Service(watched.platform, watched.folder, *words, **environment) as service:
        service.wait_for_word("READY=1")
        answer = watched.ask("vm1")
        with watched.vm("vm1", answer) as host:
            assert watched.announce("vm1")["answer"] == "launched"
            assert host.machine.memory.holds(SECRET)
        assert service.end()[0] == 0


def test_a_file_gets_the_lines_instead_of_stdout(watched):
    path = watched.folder / "events.jsonl"
    with watched.service("--output", path) as service:
        service.wait_for_word("READY=1")
        assert watched.ask("vm1")["answer"] == "blob"
        assert service.end()[0] == 0
    assert service.events == []
    told = [one["event"] for one in lines(path.read_text())]
    assert told[:2] == ["watch", "records"]
    assert told[-1] == "stopped"
    assert "answered" in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in path.read_bytes()


@pytest.mark.slow
def test_people_at_a_terminal_read_plain_lines(watched):
    master, terminal = pty.openpty()
    words = [sys.executable, "-c", DRIVER, str(watched.platform), *map(str, watched.words())]
    process = subprocess.Popen(words, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        shown = read_until(master, b"Watching for web")
        while not (watched.folder / "ask.sock").exists():
            time.sleep(0.02)
        refused = watched.ask("vm1", guest="\x1b[2Jevil")
        assert refused["code"] == "guest-not-watched"
        watched.ask("vm1")
        shown += read_until(master, b"given out")
        process.send_signal(signal.SIGINT)
        shown += read_until(master, b"Stopped")
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"\x1b" not in shown
    assert b"{" not in shown
    assert b"REFUSED: request for" in shown


def read_until(descriptor, words):
    """What a terminal shows up to these words; the kill of a test that hangs ends it."""
    shown, end = b"", time.monotonic() + SECONDS
    while words not in shown:
        assert time.monotonic() < end, shown
        shown += os.read(descriptor, 4096)
    return shown


def test_json_is_told_at_a_terminal_that_asks_for_it(watched, command):
    shown = command(*watched.words("--dry-run", "--json"))
    assert [one["event"] for one in lines(shown.out)] == ["watch", "checked"]
