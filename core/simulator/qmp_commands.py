# SPDX-License-Identifier: Apache-2.0
"""The commands of the simulated QEMU: arguments, answers and errors as QEMU gives them.

Source: QEMU qapi/qmp-dispatch.c, qapi/qobject-input-visitor.c, qapi/misc-i386.json.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .attack import Attack
from .secure_processor import GuestState
from .virtual_machine import QmpError, VirtualMachine

C_BIT_POSITION = 51
REDUCED_PHYSICAL_BITS = 1
GREETING_VERSION = MappingProxyType({"micro": 0, "minor": 2, "major": 9})
PACKAGE = "simulated by Watchword"
QUIT_DATA = MappingProxyType({"guest": False, "reason": "host-qmp-quit"})
"""What the event SHUTDOWN says after ``quit``."""

_STATE_WORDS = MappingProxyType(
    {
        GuestState.UNINIT: "uninit",
        GuestState.LAUNCH_UPDATE: "launch-update",
        GuestState.LAUNCH_SECRET: "launch-secret",
        GuestState.RUNNING: "running",
    }
)

Emit = Callable[[str, "dict[str, object] | None"], None]
"""Sends an event: its name and its data."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class _Command:
    answer: Callable[[QmpSession, dict[str, object]], object]
    parameters: tuple[_Parameter, ...] = ()


class QmpSession:
    """One client's conversation: negotiation first, then commands.

    ``emit`` is called with the events that a command causes. After ``quit`` the session is
    ``finished``: the caller sends the reply, then :meth:`farewell`, and closes.
    """

    def __init__(self, machine: VirtualMachine, attack: Attack, emit: Emit) -> None:
        self.machine = machine
        self.attack = attack
        self.emit = emit
        self.negotiated = False
        self.out_of_band = False
        self.finished = False

    def handle(self, request: object) -> tuple[str | None, dict[str, object]]:
        """Answer one request (a JSON value): the command's name, and the reply object."""
        command: str | None = None
        reply: dict[str, object]
        try:
            command, arguments = self.check_request(request)
            reply = {"return": self._dispatch(command, arguments)}
        except QmpError as error:
            reply = {"error": {"class": error.error_class, "desc": error.text}}
        if isinstance(request, dict) and "id" in request:
            reply["id"] = request["id"]
        return command, reply

    async def answer(self, request: object) -> tuple[str | None, dict[str, object]]:
        """The same, where an answer may take time."""
        return self.handle(request)

    def farewell(self) -> None:
        """What QEMU says when it ends because of ``quit``."""
        self.emit("SHUTDOWN", dict(QUIT_DATA))

    def check_request(self, request: object) -> tuple[str, dict[str, object]]:
        """The command and its arguments; QmpError where that is not how one asks."""
        if not isinstance(request, dict):
            raise QmpError("QMP input must be a JSON object")
        verb: str | None = None
        for member, value in request.items():
            if member == "execute" or (member == "exec-oob" and self.out_of_band):
                if not isinstance(value, str):
                    raise QmpError(f"QMP input member '{member}' must be a string")
                if verb is not None:
                    raise QmpError(f"QMP input member '{member}' clashes with '{verb}'")
                verb = member
            elif member == "arguments":
                if not isinstance(value, dict):
                    raise QmpError("QMP input member 'arguments' must be an object")
            elif member != "id":
                raise QmpError(f"QMP input member '{member}' is unexpected")
        if verb is None:
            raise QmpError("QMP input lacks member 'execute'")
        name = str(request[verb])
        if verb == "exec-oob" and self.negotiated and name in _COMMANDS:
            raise QmpError(f"The command {name} does not support OOB")
        return name, request.get("arguments", {})

    def _dispatch(self, name: str, arguments: dict[str, object]) -> object:
        if not self.negotiated and name != "qmp_capabilities":
            raise QmpError(
                "Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound"
            )
        command = _COMMANDS.get(name)
        if command is None:
            raise QmpError(f"The command {name} has not been found", "CommandNotFound")
        _check_arguments(command.parameters, arguments)
        return self.attack.execute(
            self.machine, name, arguments, lambda: command.answer(self, arguments)
        )


def _check_arguments(parameters: tuple[_Parameter, ...], arguments: Mapping[str, object]) -> None:
    for parameter in parameters:
        if parameter.name not in arguments:
            if parameter.optional:
                continue
            raise QmpError(f"Parameter '{parameter.name}' is missing")
        value = arguments[parameter.name]
        if parameter.kind == "string" and not isinstance(value, str):
            raise QmpError(f"Invalid parameter type for '{parameter.name}', expected: string")
        if parameter.kind == "array" and not isinstance(value, list):
            raise QmpError(f"Invalid parameter type for '{parameter.name}', expected: array")
        if parameter.kind == "uint64" and not _is_uint64(value):
            raise QmpError(f"Parameter '{parameter.name}' expects uint64")
    known = {parameter.name for parameter in parameters}
    for name in arguments:
        if name not in known:
            raise QmpError(f"Parameter '{name}' is unexpected")


def _is_uint64(value: object) -> bool:
    # QEMU takes negative numbers as well, for old clients.
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64


def _negotiate(session: QmpSession, arguments: dict[str, object]) -> object:
    if session.negotiated:
        raise QmpError(
            "Capabilities negotiation is already complete, command ignored", "CommandNotFound"
        )
    wanted = arguments.get("enable", [])
    for index, capability in enumerate(wanted if isinstance(wanted, list) else []):
        if not isinstance(capability, str):
            raise QmpError(f"Invalid parameter type for 'enable[{index}]', expected: string")
        if capability != "oob":
            raise QmpError(f"Parameter 'enable[{index}]' does not accept value '{capability}'")
        session.out_of_band = True
    session.negotiated = True
    return {}


def _query_sev(session: QmpSession, _arguments: dict[str, object]) -> object:
    machine = session.machine
    enabled = machine.order.with_sev
    version = machine.processor.version
    return {
        "enabled": enabled,
        "api-major": version.api_major if enabled else 0,
        "api-minor": version.api_minor if enabled else 0,
        "build-id": version.build if enabled else 0,
        "state": _STATE_WORDS[machine.state],
        "sev-type": "sev",
        "policy": machine.order.policy if enabled else 0,
        "handle": machine.handle,
    }


def _query_capabilities(session: QmpSession, _arguments: dict[str, object]) -> object:
    keys = session.machine.processor.keys
    return {
        "pdh": base64.b64encode(keys.pdh).decode(),
        "cert-chain": base64.b64encode(keys.pek_oca_cek).decode(),
        "cpu0-id": base64.b64encode(keys.chip_id).decode(),
        "cbitpos": C_BIT_POSITION,
        "reduced-phys-bits": REDUCED_PHYSICAL_BITS,
    }


def _query_measurement(session: QmpSession, _arguments: dict[str, object]) -> object:
    return {"data": session.machine.measurement}


def _inject_secret(session: QmpSession, arguments: dict[str, object]) -> object:
    address = arguments.get("gpa")
    session.machine.inject_secret(
        str(arguments["packet-header"]),
        str(arguments["secret"]),
        address % 2**64 if isinstance(address, int) else None,
    )
    return {}


def _query_report(session: QmpSession, arguments: dict[str, object]) -> object:
    return {"data": session.machine.attestation_report(str(arguments["mnonce"]))}


def _query_status(session: QmpSession, _arguments: dict[str, object]) -> object:
    status = session.machine.run_state
    return {"status": status, "running": status == "running"}


def _query_processors(session: QmpSession, _arguments: dict[str, object]) -> object:
    return [
        {
            "cpu-index": index,
            "qom-path": f"/machine/unattached/device[{index}]",
            "thread-id": 1000 + index,
            "props": {"core-id": index, "thread-id": 0, "socket-id": 0},
            "target": "x86_64",
        }
        for index in range(session.machine.order.vcpus)
    ]


def _query_name(session: QmpSession, _arguments: dict[str, object]) -> object:
    name = session.machine.order.name
    return {} if name is None else {"name": name}


def _query_version(_session: QmpSession, _arguments: dict[str, object]) -> object:
    return version_object()


def _query_commands(_session: QmpSession, _arguments: dict[str, object]) -> object:
    return [{"name": name} for name in _COMMANDS]


def _query_kvm(_session: QmpSession, _arguments: dict[str, object]) -> object:
    return {"enabled": True, "present": True}


def _continue(session: QmpSession, _arguments: dict[str, object]) -> object:
    if session.machine.resume():
        session.emit("RESUME", None)
    return {}


def _stop(session: QmpSession, _arguments: dict[str, object]) -> object:
    if session.machine.pause():
        session.emit("STOP", None)
    return {}


def _quit(session: QmpSession, _arguments: dict[str, object]) -> object:
    session.finished = True
    return {}


def version_object() -> dict[str, object]:
    """What query-version answers, and the greeting says."""
    return {"qemu": dict(GREETING_VERSION), "package": PACKAGE}


_COMMANDS: Mapping[str, _Command] = MappingProxyType(
    {
        "qmp_capabilities": _Command(_negotiate, (_Parameter("enable", "array", optional=True),)),
        "query-sev": _Command(_query_sev),
        "query-sev-capabilities": _Command(_query_capabilities),
        "query-sev-launch-measure": _Command(_query_measurement),
        "sev-inject-launch-secret": _Command(
            _inject_secret,
            (
                _Parameter("packet-header", "string"),
                _Parameter("secret", "string"),
                _Parameter("gpa", "uint64", optional=True),
            ),
        ),
        "query-sev-attestation-report": _Command(_query_report, (_Parameter("mnonce", "string"),)),
        "query-status": _Command(_query_status),
        "query-cpus-fast": _Command(_query_processors),
        "query-name": _Command(_query_name),
        "query-version": _Command(_query_version),
        "query-commands": _Command(_query_commands),
        "query-kvm": _Command(_query_kvm),
        "cont": _Command(_continue),
        "stop": _Command(_stop),
        "quit": _Command(_quit),
    }
)
