# SPDX-License-Identifier: Apache-2.0
"""What the tests of recorded launches share: a host with an operator, and a person."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from pathlib import Path

from watchword.core.hosts.exchange_start import start_files
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import SimulatedHost, StartOrder, build_firmware

from ...core.launch.support import profile_policy


class HostThread:
    """A simulated host in a thread and a loop of its own; everything goes over real sockets."""

    def __init__(self, keys, attack=None):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-host")
        self._thread.start()
        self.host = SimulatedHost(keys, attack)
        self.home = Path(tempfile.mkdtemp(prefix="host"))
        self.call(self.host.__aenter__())
        self.place = self.home / "vm1.sock"
        self.monitor = self.call(self.host.open_monitor(self.place))
        self.server = None

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    @property
    def url(self):
        """Where the host answers before the VM is there."""
        return self.monitor.url

    @property
    def machine(self):
        return self.server.machine

    @property
    def packets(self):
        return self.host.processor.packets

    def start(self, material, firmware=None, place=None, **otherwise):
        """What the host's operator does with the launch blob; the URL of the VM's monitor.

        ``otherwise``  what he does in another way than for plain SEV: see StartOrder
        """
        order = StartOrder(
            firmware=firmware or build_firmware(),
            dh_cert=material.godh_base64.encode(),
            session=material.session_base64.encode(),
            **{"policy": profile_policy(), **otherwise},
        )
        place = place or self.home / f"started{len(self.host._servers)}.sock"
        self.server = self.call(self.host.start_vm(order, place))
        return self.server.url

    def start_in_place(self, material):
        """The VM comes up where the host, or another VM, answered before."""
        there = next(one for one in self.host._servers if one.url == self.url)
        self.host._servers.remove(there)
        self.call(there.stop())
        self.start(material, place=self.place)

    def close(self):
        self.call(self.host.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
        shutil.rmtree(self.home)


class Person:
    """Drives a recorded launch as a person does, and waits until it is at rest."""

    def __init__(self, qtbot, wizard):
        self.qtbot = qtbot
        self.wizard = wizard
        self.clicks = 0

    @property
    def frame(self):
        return self.wizard.frame

    @property
    def launch(self):
        return self.frame.conductor.launch

    @property
    def page(self):
        return self.frame.current

    @property
    def row(self):
        return self.frame.row

    @property
    def waits_for_vm(self):
        mark = self.launch.marks.get("start")
        return mark is not None and mark.reason.get("code") == "vm-not-started"

    def until(self, condition):
        try:
            self.qtbot.waitUntil(condition)
        except self.qtbot.TimeoutError:
            marks = None if self.frame.conductor is None else dict(self.launch.marks)
            at_work, target = self.frame.conductor_at_work, self.frame._target
            raise AssertionError(f"{self.page}, at work: {at_work}, {target}, {marks}") from None

    def rest(self):
        self.until(lambda: not self.frame.conductor_at_work and self.frame._target is None)

    def rest_on(self, page):
        self.until(lambda: self.page == page and not self.frame.conductor_at_work)
        self.rest()
        assert self.page == page

    def click(self, button):
        self.until(lambda: button.isVisible() and button.isEnabled())
        self.clicks += 1
        button.click()  # a page that was just shown may still move under a mouse

    def go_on(self):
        self.click(self.row.primary)


def ledger_entries(home):
    with Records.open(Path(home)) as records:
        ledger = Ledger(records)
        ledger.verify()
        return list(ledger.entries())


def host_files(run):
    return start_files(run.id, run.start_order, None)


def begin(person, url):
    """Choose the one guest and a host, and begin."""
    choices = person.wizard.choices
    person.until(lambda: choices.guests.currentText() == "vm1")
    choices.host.setText(url)
    person.go_on()


def accept(person):
    """Look at the fingerprint, and say that it is the machine that is meant."""
    person.rest_on("platform")
    person.click(person.wizard.platform.accept.accept)
    person.rest_on("session")


def find_vm(person, url):
    """Say where the VM waits, and have it measured."""
    person.frame.go("start")
    person.wizard.start.host.url.setText(url)
    person.click(person.wizard.start.host.look)
