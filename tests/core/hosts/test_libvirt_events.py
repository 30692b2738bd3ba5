# SPDX-License-Identifier: Apache-2.0
"""Domain events from a stand-in for virsh: hostile words, ends, stalls, and what was missed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.libvirt_domains import DomainState
from watchword.core.hosts.libvirt_events import DomainEvents, ListenTimes
from watchword.core.hosts.limits import DEFAULT_LIMITS
from watchword.core.hosts.urls import parse_host_url

UUID = "3064b1c0-c005-40ff-8185-50046e924ec1"
OTHER = "3064b1c0-c005-40ff-8185-50046e924ec2"
ADDRESS = parse_host_url("libvirt+qemu:///system")
TIMES = ListenTimes(quiet=0.3, settled=0.05, between=0.01)
STARTED = "event 'lifecycle' for domain 'vm1': Started Booted\n"

# Waits for events as a command of its own; lists the domains as the files say that name states.
STAND_IN = """#!/bin/sh
if [ "$4" = event ]; then
  cat "$0.events"
  if [ -e "$0.ends" ]; then exit 1; fi
  exec sleep 60
fi
while read -r word rest; do
  case $word in
    echo) set -- $rest; echo "$1 $2" ;;
    list)
      if [ -e "$0.stalls" ]; then exec sleep 60; fi
      case $rest in
        *running*) cat "$0.running" ;; *paused*) cat "$0.paused" ;; *) cat "$0.all" ;;
      esac ;;
    uri) cat "$0.uri" ;;
  esac
done
"""


class StandIn:
    """What virsh says; ``lists`` may be called again while it is asked."""

    def __init__(self, program):
        self.program = program
        self.says("uri", "qemu:///system\n")
        self.says("events", "")
        self.lists()

    def says(self, what, text):
        Path(f"{self.program}.{what}").write_bytes(text.encode() if isinstance(text, str) else text)

    def lists(self, *, running="", paused="", off=""):
        self.says("running", running)
        self.says("paused", paused)
        self.says("all", running + paused + off)


@pytest.fixture
def virsh(socket_folder, monkeypatch):
    program = socket_folder / "virsh"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{socket_folder}{os.pathsep}{os.environ['PATH']}")
    yield StandIn(program)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            assert str(program).encode() not in (folder / "cmdline").read_bytes()


def told(number, *, known=None, limits=DEFAULT_LIMITS, meanwhile=lambda: None, times=TIMES):
    """So many events, and what was known at the end; ``meanwhile`` happens after the first."""

    async def listen():
        async with await DomainEvents.connect(
            ADDRESS, limits, known=known or {}, times=times
        ) as events:
            found = []
            async with asyncio.timeout(60):
                while len(found) < number:
                    found.append(await anext(events))
                    if len(found) == 1:
                        meanwhile()
            return found, dict(events.known)

    return asyncio.run(listen())


def fails(limits=DEFAULT_LIMITS, number=50):
    with pytest.raises(HostError) as caught:
        told(number, limits=limits)
    assert caught.value.remedy
    return caught.value


def test_events_come_with_the_uuids_of_the_listing(virsh):
    virsh.says("events", STARTED)
    virsh.lists(running=f"{UUID} vm1\n", off=f"{OTHER} vm2\n")
    events, known = told(3)
    assert [(e.change.value, e.uuid, e.listed) for e in events] == [
        ("started", UUID, True),
        ("defined", OTHER, True),
        ("started", UUID, False),
    ]
    assert known[OTHER].state is DomainState.SHUT_OFF


def test_what_no_event_tells_is_found_by_listing_now_and_then(virsh):
    virsh.lists(off=f"{UUID} vm1\n")
    events, _ = told(3, meanwhile=lambda: virsh.lists(paused=f"{UUID} vm1\n", off=f"{OTHER} x\n"))
    assert {(e.change.value, e.uuid, e.listed) for e in events} == {
        ("defined", UUID, True),
        ("suspended", UUID, True),
        ("defined", OTHER, True),
    }


def test_who_connects_anew_is_told_what_happened_in_between(virsh):
    virsh.lists(off=f"{UUID} vm1\n{OTHER} vm2\n")
    _, known = told(2)
    virsh.lists(paused=f"{UUID} vm1\n")
    events, _ = told(2, known=known)
    assert [(e.change.value, e.uuid) for e in events] == [("suspended", UUID), ("undefined", OTHER)]


def test_lines_that_virsh_never_prints_are_passed_over(virsh):
    hostile = b"\xff\xfe\nevent\n\x1b[2Jevent 'lifecycle' for domain 'vm1': Exploded\n"
    virsh.says("events", hostile + STARTED.encode())
    virsh.lists(running=f"{UUID} vm1\n")
    events, _ = told(2)
    assert [(e.change.value, e.listed) for e in events] == [("started", True), ("started", False)]


def test_a_flood_of_events_is_bounded(virsh):
    virsh.says("events", STARTED * 200_000)  # 10 MB
    virsh.lists(running=f"{UUID} vm1\n")
    events, known = told(3000)
    assert len(events) == 3000
    assert set(known) == {UUID}


def test_a_line_without_end_is_refused(virsh):
    virsh.says("events", b"x" * 1_000_000)
    assert fails().code == "host-message-too-large"


def test_a_daemon_that_went_away_is_told_in_libvirts_words(virsh):
    virsh.says("events", f"{STARTED}error: Disconnected from qemu:///system due to end of file\n")
    virsh.says("ends", "")
    error = fails()
    assert error.code == "libvirt-unreachable"
    assert "end of file" in error.message


@pytest.mark.parametrize("last", ["", "what \x1b[31mwas"])
def test_a_virsh_that_ends_is_an_error(virsh, last):
    virsh.says("events", last)
    virsh.says("ends", "")
    error = fails()
    assert error.code == "libvirt-connection-lost"
    assert "\x1b" not in error.message


def test_a_daemon_that_stalls_is_noticed_though_no_event_was_awaited(virsh):
    limits = replace(DEFAULT_LIMITS, command_seconds=0.3)

    async def listen():
        async with await DomainEvents.connect(ADDRESS, limits, times=TIMES) as events:
            async with asyncio.timeout(60):
                await anext(events)
                virsh.says("stalls", "")
                await anext(events)

    virsh.lists(off=f"{UUID} vm1\n")
    with pytest.raises(HostError) as caught:
        asyncio.run(listen())
    assert caught.value.code == "libvirt-timeout"


def test_a_daemon_that_refuses_the_first_question_is_told_at_once(virsh):
    virsh.says("uri", "error: authentication unavailable: no polkit agent\n")
    assert fails().code == "libvirt-authentication-refused"


def test_cancelling_ends_both_virsh(virsh):
    async def cancelled():
        async with await DomainEvents.connect(ADDRESS, times=TIMES) as events:
            task = asyncio.create_task(anext(events))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())


def test_without_virsh_the_package_is_named(monkeypatch, tmp_path):
    from watchword.core.hosts import virsh as module

    monkeypatch.setattr(module, "_SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    error = fails()
    assert (error.code, error.details["package"]) == ("virsh-missing", "libvirt-clients")
