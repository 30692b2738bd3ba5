# SPDX-License-Identifier: Apache-2.0
"""Says why a host can't be reached, or why its connection was given up: cause and remedy."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from ..errors import HostError
from .host_words import visible
from .limits import HostLimits
from .urls import HostAddress, UnixAddress
from .violations import Rule

INJECT_COMMAND: Final = "sev-inject-launch-secret"

OPEN_QUESTION: Final = (
    " Whether the packet arrived is not known. The same packet may be sent again, another "
    "one never."
)
"""What is to be said when an injection ends without a clear answer."""

_NEW_CONNECTION: Final = "Look at the VM on the host (is QEMU still running?), then connect again."
_BUSY_REMEDY: Final = (
    "QEMU serves one client at a time. If libvirt manages the VM, give the VM a QMP socket of "
    "its own; otherwise close the other client. If the port speaks TLS or is not QMP at all, "
    "name the right one."
)


def unreachable(address: HostAddress, error: OSError) -> HostError:
    """Why a socket could not be reached, from the operating system's error."""
    if isinstance(error, socket.gaierror):
        return _reach(
            address,
            "host-name-unknown",
            "The host's name was not found",
            f"No address is known for the name in {address.url}.",
            "Check the spelling and this machine's name servers, or write the numeric address.",
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _reach(
            address,
            "host-socket-missing",
            "There is no such socket",
            f"Nothing is at {address.url}. Most likely the VM is not running, or has its QMP "
            "socket somewhere else.",
            "Start QEMU with -qmp unix:PATH,server=on,wait=off and name the same PATH.",
        )
    if isinstance(error, PermissionError):
        return _reach(
            address,
            "host-permission-denied",
            "The socket may not be opened",
            f"This user has no right to connect to {address.url}.",
            "Have the user added to the group that owns the socket and its folder, or run this "
            "as the user that runs QEMU.",
        )
    if isinstance(error, ConnectionRefusedError):
        return _refused_connection(address)
    return _reach(
        address,
        "host-unreachable",
        "The host can't be reached",
        f"Connecting to {address.url} failed: {_system_words(error)}.",
        "Check the address, the network between here and there, and the firewalls.",
    )


def _refused_connection(address: HostAddress) -> HostError:
    unix = isinstance(address, UnixAddress)
    return _reach(
        address,
        "host-refused-connection",
        "Nobody listens there",
        f"The connection to {address.url} was refused. Most likely QEMU has ended"
        + (" and left its socket file behind." if unix else ", or listens on another port."),
        "Start the VM, or name the socket that its QEMU was started with (-qmp).",
    )


def connect_timed_out(address: HostAddress, seconds: float) -> HostError:
    """No connection within the limit."""
    return _reach(
        address,
        "host-connect-timeout",
        "The host does not answer",
        f"There was no connection to {address.url} within {seconds:g} s. Most likely the host "
        "is down, or a firewall drops the packets.",
        "Check the address and that the host is up.",
        seconds=seconds,
    )


def nobody_accepts(address: HostAddress, seconds: float) -> HostError:
    """A unix socket whose queue of clients stayed full for the whole limit."""
    return _reach(
        address,
        "host-socket-busy",
        "Another client holds this socket",
        f"{address.url} takes no connection: its queue was full for {seconds:g} s. Most likely "
        "another client (libvirt?) holds it, and more are waiting.",
        _BUSY_REMEDY,
        seconds=seconds,
    )


def no_greeting(address: HostAddress, seconds: float) -> HostError:
    """Connected, but nobody said anything."""
    return _reach(
        address,
        "host-socket-busy",
        "Connected, but nobody speaks",
        f"{address.url} took the connection and sent no QMP greeting within {seconds:g} s. Most "
        "likely another client (libvirt?) holds this socket.",
        _BUSY_REMEDY,
        seconds=seconds,
    )


def negotiation_timed_out(address: HostAddress, seconds: float) -> HostError:
    """A greeting came, but the connection was not set up in time."""
    return _reach(
        address,
        "host-timeout",
        "The host went silent",
        f"{address.url} sent a QMP greeting, but did not finish setting up the connection "
        f"within {seconds:g} s.",
        _NEW_CONNECTION,
        seconds=seconds,
    )


def not_qmp(address: HostAddress) -> HostError:
    """What answers is no QMP server."""
    return _reach(
        address,
        "host-not-qmp",
        "This is not a QMP socket",
        f"What answers at {address.url} does not speak QMP. Most likely it is another of the "
        "VM's sockets (the human monitor, a serial console) or another program's.",
        "Name the socket that QEMU was given with -qmp, or with -mon mode=control.",
    )


def closed_before_greeting(address: HostAddress) -> HostError:
    """The connection was accepted and closed again."""
    return _reach(
        address,
        "host-closed-connection",
        "The host hung up",
        f"{address.url} closed the connection before it was set up. Most likely QEMU is just "
        "ending, or what listens there does not want this client.",
        _NEW_CONNECTION,
    )


def closed_during(address: HostAddress, command: str) -> HostError:
    """The connection ended while, or before, a command was waiting for its answer."""
    return _during(
        address,
        command,
        "host-closed-connection",
        "The host hung up",
        f"{address.url} closed the connection before it answered {command}.",
    )


def command_timed_out(address: HostAddress, command: str, seconds: float) -> HostError:
    """No answer to a command within the limit."""
    return _during(
        address,
        command,
        "host-timeout",
        "The host did not answer in time",
        f"{address.url} did not answer {command} within {seconds:g} s. The connection was "
        "closed; an answer that comes later is not read.",
        more={"seconds": seconds},
    )


def cancelled_during(address: HostAddress, command: str) -> HostError:
    """A command was cancelled from this side."""
    return _during(
        address,
        command,
        "host-call-cancelled",
        "The call was cancelled",
        f"{command} to {address.url} was cancelled before its answer came.",
    )


def closed_by_us(address: HostAddress) -> HostError:
    """A call after close()."""
    return HostError(
        "host-connection-closed",
        "This connection was closed",
        f"The connection to {address.url} was closed on this side.",
        "Connect again.",
        {"host": address.url},
    )


def done_with(address: HostAddress, first: HostError) -> Callable[[], HostError]:
    """What makes errors for calls on a connection that has ended: the same kind of error again."""
    return partial(
        HostError,
        first.code,
        first.title,
        f"The connection to {address.url} is not used again after this: {first.message}",
        first.remedy,
        first.details,
    )


_BROKEN_RULES: Final[Mapping[Rule, tuple[str, str, str]]] = MappingProxyType(
    {
        Rule.MESSAGE_SIZE: (
            "host-message-too-large",
            "The host's message is too large",
            "sent a message of more than {0.message_bytes} bytes",
        ),
        Rule.JSON: (
            "host-message-garbled",
            "The host's message is garbled",
            "sent a message that is not a JSON object in UTF-8",
        ),
        Rule.JSON_DEPTH: (
            "host-message-too-deep",
            "The host's message is nested too deeply",
            "sent a message nested more than {0.json_depth} levels deep",
        ),
        Rule.FLOOD: (
            "host-flood",
            "The host sends too much",
            "sent more than {0.messages_per_command} messages or {0.bytes_per_command} bytes",
        ),
        Rule.ANSWER_ID: (
            "host-answer-unasked",
            "The host answers what was not asked",
            "sent an answer that belongs to no command; it may not have understood the command",
        ),
        Rule.ANSWER_SHAPE: (
            "host-answer-malformed",
            "The host's answer makes no sense",
            "sent an answer that is neither a result nor an error",
        ),
    }
)


def rule_broken(address: HostAddress, rule: Rule, command: str, limits: HostLimits) -> HostError:
    """A peer that doesn't keep to the rules; ``command`` is empty while connecting."""
    code, title, did = _BROKEN_RULES[rule]
    when = f" while {command} waited for its answer" if command else " while connecting"
    return _during(
        address,
        command,
        code,
        title,
        f"{address.url} {did.format(limits)}{when}. That is no honest QEMU, or something sits "
        "in between. The connection was closed.",
    )


def _reach(
    address: HostAddress,
    code: str,
    title: str,
    message: str,
    remedy: str,
    *,
    seconds: float | None = None,
) -> HostError:
    details: dict[str, object] = {"host": address.url}
    if seconds is not None:
        details["seconds"] = seconds
    return HostError(code, title, message, remedy, details)


def _during(
    address: HostAddress,
    command: str,
    code: str,
    title: str,
    message: str,
    *,
    more: Mapping[str, object] = MappingProxyType({}),
) -> HostError:
    injecting = command == INJECT_COMMAND
    return HostError(
        code,
        title,
        message + (OPEN_QUESTION if injecting else ""),
        _NEW_CONNECTION,
        {
            "host": address.url,
            **({"command": command} if command else {}),
            **({"packet_arrived": "unknown"} if injecting else {}),
            **more,
        },
    )


def _system_words(error: OSError) -> str:
    """The system's own words for an error number; nothing that a peer could have written."""
    if error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno)
    return visible(str(error)) or "no reason given"
