# SPDX-License-Identifier: Apache-2.0
"""How long a host may take, and how much it may say, before the owner stops listening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONNECT_SECONDS: Final = 10.0
"""Resolving the name and reaching the socket. A local socket answers at once."""

TUNNEL_SECONDS: Final = 30.0
"""The user's ssh, from its start until it forwards: jump hosts, an agent that asks, a FIDO key."""

QUESTION_SECONDS: Final = 3.0
"""Asking a host over SSH why its socket could not be reached: for an error's words alone."""

GREETING_SECONDS: Final = 5.0
"""Greeting and capability negotiation. QEMU greets within 0.11 s of its own start."""

COMMAND_SECONDS: Final = 15.0
"""One query. The secure processor answers some of them, and it is slow, but not this slow."""

INJECT_SECONDS: Final = 30.0
"""LAUNCH_SECRET: generous, because giving up early leaves an open question."""

CLOSE_SECONDS: Final = 0.5
"""Tearing a connection down; the socket itself is closed at once."""

MESSAGE_BYTES: Final = 1024 * 1024
"""One line from the host. The largest honest one (query-cpus-fast, 512 vCPUs) is near 200 KiB."""

MESSAGES_PER_COMMAND: Final = 1000
"""Messages, events included, taken in while waiting for one answer."""

BYTES_PER_COMMAND: Final = 4 * MESSAGE_BYTES
"""Bytes taken in while waiting for one answer."""

JSON_DEPTH: Final = 32
"""Nesting of objects and arrays in one message. QEMU's answers here stay below 6."""

HOST_WORDS: Final = 300
"""Characters of a host's own words that are shown to a person."""


@dataclass(frozen=True, slots=True)
class HostLimits:
    """The limits of one connection: times in seconds, sizes in bytes.

    The values differ from the constants of this module only in tests.
    """

    connect_seconds: float = CONNECT_SECONDS
    tunnel_seconds: float = TUNNEL_SECONDS
    question_seconds: float = QUESTION_SECONDS
    greeting_seconds: float = GREETING_SECONDS
    command_seconds: float = COMMAND_SECONDS
    inject_seconds: float = INJECT_SECONDS
    close_seconds: float = CLOSE_SECONDS
    message_bytes: int = MESSAGE_BYTES
    messages_per_command: int = MESSAGES_PER_COMMAND
    bytes_per_command: int = BYTES_PER_COMMAND
    json_depth: int = JSON_DEPTH


DEFAULT_LIMITS: Final = HostLimits()
