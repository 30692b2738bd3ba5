# SPDX-License-Identifier: Apache-2.0
"""The host's side of a rehearsal, and the owner's ways to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..hosts.limits import HostLimits
from ..hosts.protocol import Host
from ..hosts.qmp import QmpHost
from ..hosts.urls import parse_host_url
from ..launch.sev_plan import CertificateFile, SevWorld
from ..launch.worlds import opener
from ..sev.chain import PlatformCertificates
from ..sev.chain_files import is_signed_cek
from ..sev.digest import VcpuSetup
from ..sev.session import LaunchMaterial
from ..simulator import QmpServer, SaveAreaKind, SimulatedHost, StartOrder
from .guest import RehearsedGuest


class Stage:
    """A simulated host that starts ``guest`` as the owner orders it, unless it attacks."""

    def __init__(self, host: SimulatedHost, guest: RehearsedGuest, limits: HostLimits) -> None:
        self.host = host
        self.guest = guest
        self.limits = limits
        self.monitor: QmpServer | None = None
        self.machine: QmpServer | None = None

    def world(self) -> SevWorld:
        """What a launch on this stage works with."""
        return SevWorld(
            open_platform=opener(self.open_platform),
            open_guest=opener(self.open_guest),
            random=os.urandom,
            roots=amd_roots(),
            advisories=published_advisories(),
            start=self.start,
            more_certificates=self.more_certificates,
        )

    async def open_platform(self) -> Host:
        """The monitor of a QEMU without a guest, as an owner asks it first."""
        if self.monitor is None:
            self.monitor = await self.host.open_monitor()
        return await self._connect(self.monitor)

    async def open_guest(self) -> Host:
        """The monitor of the started VM."""
        # Before the VM is started there is only the monitor that the host opened first.
        server = self.machine or self.monitor
        if server is None:
            return await self.open_platform()
        return await self._connect(server)

    async def _connect(self, server: QmpServer) -> Host:
        return await QmpHost.connect(parse_host_url(server.url), self.limits)

    async def start(self, material: LaunchMaterial) -> None:
        """What a host's operator does with GODH, blob and policy."""
        guest, vcpus = self.guest, self.guest.vcpus
        order = StartOrder(
            firmware=guest.firmware,
            policy=guest.policy.policy.value,
            dh_cert=material.godh_base64.encode(),
            session=material.session_base64.encode(),
            kernel=guest.kernel,
            initrd=guest.initrd,
            command_line=guest.cmdline,
        )
        if vcpus is not None:
            order = _with_vcpus(order, vcpus)
        self.machine = await self.host.start_vm(order)

    async def more_certificates(
        self, chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        """The operator's full export; the key service only if the CEK in that is unsigned."""
        files = [("the operator's export", self.host.exported_chain)]
        if chip_id is not None and not is_signed_cek(self.host.processor.keys.cek):
            signed = self.host.key_service_cek(chip_id)
            files += [] if signed is None else [("the key service's CEK", signed)]
        del so_far
        return files

    def secret_in_guest(self, secret: bytes) -> bool:
        """Look where a guest would."""
        return self.machine is not None and self.machine.machine.memory.holds(secret)


def _with_vcpus(order: StartOrder, vcpus: VcpuSetup) -> StartOrder:
    return replace(
        order,
        vcpus=vcpus.count,
        cpu_signature=vcpus.cpu.value,
        save_area_kind=SaveAreaKind(vcpus.generation.value),
        sev_features=vcpus.sev_features,
    )
