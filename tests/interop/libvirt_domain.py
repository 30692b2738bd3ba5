# SPDX-License-Identifier: Apache-2.0
"""A domain of a real libvirtd, the launches for it, and what the daemon is asked."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.connect import connect_host
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.record import LaunchState
from watchword.core.launch.surroundings import connector

from ..core.launch.support import SECRET, Office, state_of
from .libvirt_daemon import LibvirtDaemon
from .libvirt_machine import LibvirtMachine

DOMAIN = """<domain type='qemu'>
  <name>vm1</name><uuid>3064b1c0-c005-40ff-8185-50046e924ec1</uuid>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash' stateless='yes'>{loader}</loader>
  </os>
  <features><acpi/></features><on_reboot>destroy</on_reboot>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>"""


class Domain:
    """A domain of the daemon, and the launches for it."""

    def __init__(self, daemon: LibvirtDaemon, machine: LibvirtMachine, office: Office) -> None:
        self.daemon, self.machine, self.office = daemon, machine, office
        self.url = daemon.url("vm1")
        self.define()

    def define(self, *changes: tuple[str, str]) -> None:
        """Have libvirt know it, with some of its XML replaced."""
        loader = self.daemon.folder / "OVMF.fd"
        loader.write_bytes(self.office.firmware.read_bytes())
        text = DOMAIN.format(loader=loader, emulator=self.daemon.emulator)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = self.daemon.folder / "vm1.xml"
        path.write_text(text)
        self.virsh("define", path)

    def virsh(self, *words: str | Path) -> str:
        ended = self.daemon.virsh(*words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextlib.contextmanager
    def desk(self, limits: HostLimits = DEFAULT_LIMITS):
        with self.office.desk(connect=connector(limits)) as desk:
            yield desk

    def prepare(self, **order: object) -> str:
        """A launch whose domain is not started yet; its id."""
        with self.desk() as desk, desk.new(self.office.order(host=self.url, **order)) as run:
            asyncio.run(run.run(until="session"))
            return run.id

    def take_on(self, launch_id: str, until: str | None = None, **options: object):
        """Take the launch on as a new process would; what it established."""
        with self.desk(**options) as desk, desk.open(launch_id) as run:
            return asyncio.run(run.run(until))

    def fails(self, launch_id: str, until: str | None = None, **options: object) -> HostError:
        with pytest.raises(HostError) as caught:
            self.take_on(launch_id, until, **options)
        return caught.value

    def state(self, launch_id: str) -> LaunchState:
        return state_of(self.office, launch_id)

    @property
    def guest(self):
        return self.machine.guests[-1]

    @property
    def has_the_secret(self) -> bool:
        return self.guest.ram.holds(SECRET)


def asked(url: str, question, limits: HostLimits = DEFAULT_LIMITS):
    """What a host answers to one question."""

    async def ask():
        async with await connect_host(parse_host_url(url), limits) as host:
            return await question(host)

    return asyncio.run(ask())


def refused(url: str, question, limits: HostLimits = DEFAULT_LIMITS) -> HostError:
    with pytest.raises(HostError) as caught:
        asked(url, question, limits)
    assert caught.value.remedy
    return caught.value


def virshes(daemon: LibvirtDaemon) -> list[str]:
    """The command lines of all virsh that talk to this daemon."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"virsh" in words[0] and any(bytes(daemon.folder) in word for word in words):
                found.append(str(words))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
