# SPDX-License-Identifier: Apache-2.0
"""A simulated host: one machine, honest or not, on which virtual machines can be started."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from ..errors import UsageError
from .attack import Attack, HostView
from .firmware_builder import build_firmware
from .launch_macs import FirmwareVersion
from .listener import Address
from .platform_keys import PlatformKeys
from .qmp_server import QmpServer
from .secure_processor import SecureProcessor
from .virtual_machine import StartOrder, VirtualMachine


class SimulatedHost:
    """One machine with its secure processor; an async context manager.

    ``keys`` is the machine that AMD made: :attr:`genuine`. With an ``attack`` the machine that
    answers (``processor.keys``) may be another one. ``version`` is the running firmware
    (default: the API of the keys, build 24), ``es_enabled`` whether SEV-ES is set up.
    Everything that is started ends with the context.

    >>> async with SimulatedHost(keys, attack_named("wrong-firmware")) as host:
    ...     preflight = await host.open_monitor()
    ...     guest = await host.start_vm(StartOrder(firmware, policy, godh_b64, session_b64))
    ...     print(preflight.url, guest.url)
    """

    def __init__(
        self,
        keys: PlatformKeys,
        attack: Attack | None = None,
        *,
        version: FirmwareVersion | None = None,
        es_enabled: bool = True,
    ) -> None:
        self.genuine = keys
        self.attack = attack or Attack()
        self.view = HostView()
        self._version = version or FirmwareVersion(*keys.api)
        self._es_enabled = es_enabled
        self._processor: SecureProcessor | None = None
        self._servers: list[QmpServer] = []
        self._folder: Path | None = None

    async def __aenter__(self) -> SimulatedHost:
        keys = await asyncio.to_thread(self.attack.platform, self.genuine)
        self._processor = SecureProcessor(
            keys, self.attack.version(self._version), es_enabled=self._es_enabled
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def processor(self) -> SecureProcessor:
        """The secure processor; its ``packets`` and ``distinct_packets`` are for tests."""
        if self._processor is None:
            raise UsageError(
                "simulated-host-not-started",
                "The simulated host is not started",
                "It was used outside its context.",
                "Use it inside 'async with'.",
            )
        return self._processor

    @property
    def exported_chain(self) -> bytes:
        """What the host's operator hands out as a full export: PDH to ARK, with the lies in it."""
        return self.processor.keys.full_chain

    def key_service_cek(self, chip_id: bytes) -> bytes | None:
        """What AMD's key service answers for a 64-byte chip id: the signed CEK (2084 bytes).

        The host has no part in this: only machines that the genuine root made are known.
        """
        for machine in (self.genuine, *self.attack.other_machines()):
            if machine.chip_id == chip_id:
                return machine.cek
        return None

    async def open_monitor(self, address: Address | None = None) -> QmpServer:
        """The monitor of a QEMU without a guest, for query-sev-capabilities.

        ``address``: a socket file or (host, port); default: a socket in a directory of its own.
        """
        order = StartOrder(firmware=build_firmware(), name="capabilities")
        return await self._serve(VirtualMachine(order, self.processor), address)

    async def start_vm(self, order: StartOrder, address: Address | None = None) -> QmpServer:
        """Start a virtual machine and its monitor (``.machine`` and ``.url`` of the result).

        Raises StartFailure where QEMU would end instead.
        """
        machine = await self._build(self.attack.order(order, self.processor))
        try:
            self.attack.started(machine)
            return await self._serve(machine, address)
        except BaseException:
            machine.shut_down()
            raise

    async def stop(self) -> None:
        """End all machines and monitors, and remove their sockets; may be called again."""
        servers, self._servers = self._servers, []
        await asyncio.gather(*(server.stop() for server in servers))
        self.attack.ended()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _serve(self, machine: VirtualMachine, address: Address | None) -> QmpServer:
        server = self._new_server(machine, address or self._own_socket())
        await server.start()
        self._servers.append(server)
        return server

    async def _build(self, order: StartOrder) -> VirtualMachine:
        return VirtualMachine(order, self.processor)

    def _new_server(self, machine: VirtualMachine, address: Address) -> QmpServer:
        return QmpServer(machine, address, self.attack, self.view)

    def _own_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ww-"))
        return self._folder

    def _own_socket(self) -> Path:
        return self._own_folder() / f"qmp{len(self._servers)}.sock"
