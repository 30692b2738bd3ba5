# SPDX-License-Identifier: Apache-2.0
"""A host as libvirt is one, over the simulator: it knows VMs, shows their XML, and starts one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

from watchword.core.errors import HostError
from watchword.core.handover.domain_xml import element_text, parse_domain, remove_all
from watchword.core.handover.libvirt_domain import new_domain, secured_domain
from watchword.core.handover.vm_order import SevOptions, VmOrder
from watchword.core.hosts.protocol import GuestRow

URL = "libvirt+qemu+ssh://me@server1/system?domain=vm1"
FIRMWARE = "/usr/share/ovmf/OVMF.amdsev.fd"


def defined(**changes):
    """The XML of a domain that is defined, and has no launchSecurity yet."""
    nothing = {"godh": bytes(2084), "blob": bytes(128), "policy": 0x1100002F}
    order = VmOrder(name="vm1", **nothing, **{"firmware": FIRMWARE, **changes})
    root = parse_domain(new_domain(order), "test")
    remove_all(root, "launchSecurity")
    return element_text(root)


class Daemon:
    """What there is behind the URL: one VM, which ``orders`` were to start.

    ``looks``     how often it was asked whether the VM is started
    ``refusal``   raised in place of a start
    ``shut_off``  the code of the error that says that nothing is started
    ``gate``      a threading.Event that a start waits for
    ``gate_xml``  one that an answer with the XML waits for
    ``firmware``  what it loads, where that is not what was approved
    """

    def __init__(self, host, xml=""):
        self.host = host
        self.xml = xml or defined()
        self.url = host.url
        self.orders = []
        self.looks = 0
        self.refusal = self.gate = self.gate_xml = self.firmware = None
        self.shut_off = "libvirt-domain-not-running"

    def at(self, service):
        """Have the service reach it, whatever the URL."""
        real = service.surroundings

        def surroundings(*, ask_amd):
            found = real(ask_amd=ask_amd)

            async def connect(url, launch_id):
                inner = await found.connect(self.url, launch_id)
                return LibvirtLike(self, inner, url, found.connect)

            return replace(found, connect=connect)

        service.surroundings = surroundings
        return self

    async def start(self, order):
        """The VM is started with these keys, paused, as libvirt does it."""
        if self.gate is not None:
            await asyncio.to_thread(self.gate.wait, 60)
        if self.refusal is not None:
            raise self.refusal
        sev = SevOptions(
            godh=order.owner_dh_certificate,
            blob=order.launch_blob,
            policy=order.policy,
            kernel_hashes=order.kernel_hashes,
        )
        material = SimpleNamespace(godh_base64=sev.godh_base64, session_base64=sev.session_base64)
        self.url = await asyncio.to_thread(self.host.start, material, self.firmware)
        self.xml = secured_domain(sev, self.xml, "test")


class LibvirtLike:
    """One connection; what it doesn't know is the simulated host's."""

    def __init__(self, daemon, inner, url, connect):
        self._daemon = daemon
        self._inner = inner
        self._connect = connect
        self.url = url

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def guests(self):
        return tuple(
            GuestRow(f"{n:08x}-0000-0000-0000-000000000000", name)
            for n, name in enumerate(("other", "vm1"))
        )

    async def domain_xml(self):
        if self._daemon.gate_xml is not None:
            await asyncio.to_thread(self._daemon.gate_xml.wait, 60)
        return self._daemon.xml

    async def state(self):
        self._daemon.looks += 1
        if self._daemon.url == self._daemon.host.url:
            title, message = "The VM is not started", "The domain is shut off."
            raise HostError(self._daemon.shut_off, title, message, "Have it started.")
        return await self._inner.state()

    async def start(self, order):
        self._daemon.orders.append(order)
        if self._daemon.url == self._daemon.host.url:
            await self._daemon.start(order)
            await self._inner.close()
            self._inner = await self._connect(self._daemon.url, "")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *fault):
        await self._inner.close()
