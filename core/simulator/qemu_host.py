# SPDX-License-Identifier: Apache-2.0
"""A simulated host whose virtual machines are real ones: QEMU without SEV behind each of them."""

from __future__ import annotations

from dataclasses import replace

from .attack import Attack
from .host import SimulatedHost
from .listener import Address
from .platform_keys import PlatformKeys
from .qemu_process import QemuProcess
from .qemu_server import QemuMachine, RelayingServer
from .qmp_server import QmpServer
from .virtual_machine import Disk, StartOrder, VirtualMachine


class QemuHost(SimulatedHost):
    """One machine that starts its guests in a real QEMU; otherwise as a SimulatedHost.

    ``disk`` is what every guest gets (never written to), ``ram_size`` its memory in bytes.
    The monitor without a guest stays a simulated one.
    """

    def __init__(
        self,
        keys: PlatformKeys,
        attack: Attack | None = None,
        *,
        disk: Disk | None = None,
        ram_size: int = 512 << 20,
    ) -> None:
        super().__init__(keys, attack)
        self._disk = disk
        self._ram_size = ram_size
        self._processes: list[QemuProcess] = []

    async def start_vm(self, order: StartOrder, address: Address | None = None) -> QmpServer:
        """Start QEMU, paused, with the host's disk and memory for the guest.

        Raises as QemuProcess.start, and StartFailure as the simulated host does.
        """
        return await super().start_vm(
            replace(order, disk=self._disk, ram_size=self._ram_size), address
        )

    async def stop(self) -> None:
        """End all machines, monitors and QEMUs; may be called again."""
        processes, self._processes = self._processes, []
        for process in processes:
            await process.end()
        await super().stop()

    async def _build(self, order: StartOrder) -> VirtualMachine:
        qemu = await QemuProcess.start(order, self._own_folder())
        self._processes.append(qemu)
        return QemuMachine(order, self.processor, qemu)

    def _new_server(self, machine: VirtualMachine, address: Address) -> QmpServer:
        if isinstance(machine, QemuMachine):
            return RelayingServer(machine, address, self.attack, self.view)
        return super()._new_server(machine, address)
