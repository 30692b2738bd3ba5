# SPDX-License-Identifier: Apache-2.0
"""``watchword --watch`` as the service that it is: a real process, real sockets, real signals."""

from __future__ import annotations

import json
import signal
import stat

import pytest

from .batch_support import SECRET
from .watch_support import LIMITS, Gate, Watched


@pytest.fixture
def watched(folder, batch_home, platform):
    batch_home.store.remove("web")
    batch_home.profile(watch=LIMITS)
    return Watched(folder, batch_home, platform)


def test_a_vm_is_asked_for_by_socket_announced_by_folder_and_gets_its_secret(watched):
    with watched.service() as service:
        started = service.wait_for("started")
        assert started["guests"] == ["web"]
        assert service.wait_for_word("READY=1")[1].startswith("STATUS=serving 1 guests")
        answer = watched.ask("vm1")
        assert answer["answer"] == "blob", answer
        assert watched.ask("vm1") == answer
        assert watched.metrics()['outstanding_blobs{guest="web"}'] == 1
        with watched.vm("vm1", answer) as host:
            launched = watched.drop("r1", {"event": "paused", "host": watched.url("vm1")})
            assert (launched["answer"], launched["launch"]) == ("launched", answer["launch"])
            assert host.machine.memory.holds(SECRET)
            [_] = host.packets
            # Told again, it gets nothing more.
            watched.announce("vm1")
            assert len(host.packets) == 1
        assert service.wait_for("launched")["launch"] == answer["launch"]
        found = watched.metrics()
        assert found['launches_total{guest="web"}'] == 1
        assert found['blobs_total{guest="web",again="yes"}'] == 1
        assert (found['outstanding_blobs{guest="web"}'], found["answer_seconds_count"]) == (0, 1)
        assert service.wait_for_word("WATCHDOG=1")
        status, errors = service.end()
    assert status == 0
    assert all(line.startswith("warning: Guest “web”: firmware ") for line in errors.splitlines())
    assert service.events[-2]["event"] == "stopped"
    assert service.events[-1]["event"] == "end"
    for name in ("ask.sock", "metrics.sock"):
        assert not (watched.folder / name).exists()


def test_systemd_is_told_of_the_stop_and_told_nothing_secret(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        for name in ("ask.sock", "metrics.sock"):
            assert stat.S_IMODE((watched.folder / name).stat().st_mode) == 0o600
        refused = watched.ask("vm1", guest="none\nREADY=1")
        assert (refused["answer"], refused["code"]) == ("refused", "guest-not-watched")
        service.wait_for("refused", code="guest-not-watched")
        status, _ = service.end()
        assert service.wait_for_word("STOPPING=1")
    assert status == 0


def test_settings_are_read_anew_while_a_launch_is_under_way(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        answer = watched.ask("vm1")
        behind = watched.folder / "vm1.behind"
        with (
            watched.vm("vm1", answer, address=behind) as host,
            Gate(watched.folder / "vm1.qmp", behind) as gate,
        ):
            watched.folder.joinpath("requests/r1.json").write_text(
                json.dumps({"event": "paused", "host": watched.url("vm1")})
            )
            assert gate.knocked.wait(30)
            # A broken file is told of, and the old one stays in force.
            watched.write("colour = 1")
            service.signal(signal.SIGHUP)
            refused = service.wait_for("reload-refused")
            assert refused["problems"][0]["path"] == ["colour"]
            moment = service.wait_for_word("RELOADING=1")[1]
            assert moment.startswith("MONOTONIC_USEC=")
            assert "refused" in service.wait_for_word("READY=1")[1]
            # A good one counts at once.
            watched.home.profile("db", watch=LIMITS)
            watched.write(guests='["web", "db"]')
            service.signal(signal.SIGHUP)
            assert service.wait_for("reloaded")["guests"] == ["db", "web"]
            assert "serving 2 guests" in service.wait_for_word("READY=1")[1]
            assert watched.ask("db1", guest="db")["answer"] == "blob"
            gate.open.set()
            assert service.wait_for("launched")["launch"] == answer["launch"]
            assert host.machine.memory.holds(SECRET)
        assert watched.metrics()['reloads_total{outcome="refused"}'] == 1
        assert service.end()[0] == 0


def test_a_second_watch_of_a_home_is_told_which_one_serves_it(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        with watched.service() as second:
            assert second.process.wait(60) == 6
            assert not second.notified.qsize()
            said = second.wait_for("watch")
            assert said["event"] == "watch"
            error = second.wait_for(None, ok=False)["error"]
        assert error["code"] == "watch-runs-already"
        assert f"Process {service.process.pid} (since " in error["message"]
        # Looking and deciding need no turn, and the first one goes on.
        assert watched.ask("vm1")["answer"] == "blob"
        service.signal(signal.SIGKILL)
        assert service.process.wait(20) == -signal.SIGKILL
    with watched.service() as service:  # the lock of what was killed is in nobody's way
        service.wait_for_word("READY=1")
        assert service.end()[0] == 0


@pytest.mark.slow
def test_what_only_a_restart_changes_is_said(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        text = watched.settings.read_text()
        watched.settings.write_text(text.replace("ask.sock", "other.sock"))
        service.signal(signal.SIGHUP)
        service.wait_for("restart-needed")
        assert watched.ask("vm1")["answer"] == "blob"
        assert not (watched.folder / "other.sock").exists()


@pytest.mark.slow
def test_after_kill_9_in_the_middle_the_next_one_goes_on(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        answer = watched.ask("vm1")
        behind = watched.folder / "vm1.behind"
        with watched.vm("vm1", answer, address=behind) as host:
            with Gate(watched.folder / "vm1.qmp", behind) as gate:
                request = watched.folder / "requests/r1.json"
                request.write_text(json.dumps({"event": "paused", "host": watched.url("vm1")}))
                assert gate.knocked.wait(30)
                service.signal(signal.SIGKILL)
                assert service.process.wait(20) == -signal.SIGKILL
            assert not host.packets
    assert (watched.folder / "ask.sock").exists()  # left by what was killed
    (watched.folder / "vm1.qmp").unlink()
    with watched.service() as service:
        service.wait_for_word("READY=1")
        assert watched.ask("vm1") == answer
        with watched.vm("vm1", answer) as host:
            # The request is still in the folder.
            assert service.wait_for("launched")["launch"] == answer["launch"]
            assert host.machine.memory.holds(SECRET)
            [_] = host.packets
        assert service.end()[0] == 0


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(watched):
    with watched.service() as service:
        service.wait_for_word("READY=1")
        answer = watched.ask("vm1")
        with watched.vm("vm1", answer, "silence"):
            request = watched.folder / "requests/r1.json"
            request.write_text(json.dumps({"event": "paused", "host": watched.url("vm1")}))
            service.wait_for("paused")
            service.signal(signal.SIGTERM)
            service.wait_for_word("STOPPING=1")
            service.signal(signal.SIGINT)
            assert service.process.wait(30) in (0, 130)
