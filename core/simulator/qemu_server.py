# SPDX-License-Identifier: Apache-2.0
"""The QMP server in front of a real QEMU: SEV's commands are answered here, all others by QEMU."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from ..errors import HostError
from .attack import Attack, HostView, Wire
from .listener import Address
from .qemu_process import QemuProcess
from .qmp_commands import QUIT_DATA, Emit, QmpSession
from .qmp_server import QmpServer, message_line
from .secure_processor import SecureProcessor
from .virtual_machine import QmpError, StartOrder, VirtualMachine

ANSWERED_HERE = frozenset(
    {
        "qmp_capabilities",
        "query-sev",
        "query-sev-capabilities",
        "query-sev-launch-measure",
        "sev-inject-launch-secret",
        "query-sev-attestation-report",
    }
)
"""The commands that QEMU never sees: it has no SEV."""


class QemuMachine(VirtualMachine):
    """A virtual machine whose guest runs in a real QEMU; its memory is that QEMU's."""

    def __init__(self, order: StartOrder, processor: SecureProcessor, qemu: QemuProcess) -> None:
        self.qemu = qemu
        super().__init__(order, processor, qemu.ram, visible_kernel=qemu.visible_kernel)

    def shut_down(self) -> None:
        """End QEMU as well; whoever started it waits for that."""
        self.qemu.kill()
        super().shut_down()


class RelayingSession(QmpSession):
    """A conversation of which QEMU itself leads the part that is not about SEV."""

    def __init__(self, machine: QemuMachine, attack: Attack, emit: Emit) -> None:
        super().__init__(machine, attack, emit)
        self._qemu = machine.qemu
        self._relayed: Callable[[], object] = dict

    async def answer(self, request: object) -> tuple[str | None, dict[str, object]]:
        """Have QEMU do it first where it is QEMU's business."""
        with contextlib.suppress(QmpError):  # which handle() meets again, and answers with
            command, arguments = self.check_request(request)
            if self.negotiated and command not in ANSWERED_HERE:
                self._relayed = await self._ask(command, arguments)
        return self.handle(request)

    async def _ask(self, command: str, arguments: dict[str, object]) -> Callable[[], object]:
        try:
            answer = await self._qemu.monitor.execute(command, arguments)
        except QmpError as error:
            problem = error
        except HostError as error:  # it has ended
            problem = QmpError(error.message)
        else:
            return lambda: self._done(command, answer)
        return lambda: _fail(problem)

    def _dispatch(self, name: str, arguments: dict[str, object]) -> object:
        if not self.negotiated or name in ANSWERED_HERE:
            return super()._dispatch(name, arguments)
        return self.attack.execute(self.machine, name, arguments, self._relayed)

    def _done(self, command: str, answer: object) -> object:
        """Keep the simulated half of the machine in step with the real one."""
        if command == "cont":
            self.machine.resume()
        elif command == "stop":
            self.machine.pause()
        elif command == "quit":
            self.finished = True
        return answer


def _fail(problem: QmpError) -> object:
    raise problem


class RelayingServer(QmpServer):
    """Serves one QemuMachine's monitor; QEMU's events go to whoever has negotiated."""

    def __init__(
        self, machine: QemuMachine, address: Address, attack: Attack, view: HostView
    ) -> None:
        super().__init__(machine, address, attack, view)
        self._qemu_machine = machine
        self._session: RelayingSession | None = None
        self._wire: Wire | None = None
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; a machine that an attack has let run begins to run now."""
        if self.machine.run_state == "running":
            await self._qemu_machine.qemu.monitor.execute("cont")
        await super().start()
        self._pump = asyncio.create_task(self._relay_events())

    async def stop(self) -> None:
        """Close all clients and the socket, and end QEMU; may be called again."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await super().stop()
        await self._qemu_machine.qemu.end()

    def _new_session(self, emit: Emit) -> QmpSession:
        self._session = RelayingSession(self._qemu_machine, self._attack, emit)
        return self._session

    def _greeting(self) -> dict[str, object]:
        return {**self._qemu_machine.qemu.monitor.greeting, "capabilities": []}

    async def _answer(self, wire: Wire, requests: asyncio.Queue[object]) -> None:
        self._wire = wire
        try:
            await super()._answer(wire, requests)
        finally:
            self._wire = self._session = None

    async def _relay_events(self) -> None:
        events = self._qemu_machine.qemu.monitor.events
        while (event := await events.get()) is not None:
            told_here = event.get("event") == "SHUTDOWN" and event.get("data") == dict(QUIT_DATA)
            session, wire = self._session, self._wire
            if session is None or wire is None or not session.negotiated or told_here:
                continue
            with contextlib.suppress(OSError):
                await wire.send(message_line(event))
        if self._session is None or not self._session.finished:
            await self._end()
