# SPDX-License-Identifier: Apache-2.0
"""Reads QEMU's answers: every field's type, range and size is checked, nothing is converted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from ..errors import HostError
from .command_errors import guest_is_snp, sev_not_enabled
from .connection_errors import INJECT_COMMAND, OPEN_QUESTION
from .protocol import (
    CHIP_ID_BYTES,
    MEASUREMENT_BYTES,
    REPORT_BYTES,
    GuestState,
    PlatformAnswer,
    SevState,
    Technology,
)

CERTIFICATES_LIMIT: Final = 64 * 1024
"""Bytes of ``pdh`` and of ``cert-chain`` that are let through; the chain is judged elsewhere."""

VCPU_LIMIT: Final = 4096
"""More vCPUs than any QEMU machine has."""

_Choice = TypeVar("_Choice", bound=StrEnum)

_U8: Final = 0xFF
_U32: Final = 0xFFFF_FFFF


def read_platform(answer: object) -> PlatformAnswer:
    """The answer to ``query-sev-capabilities``. Raises HostError ``host-answer-malformed``."""
    fields = _Fields("query-sev-capabilities", answer)
    return PlatformAnswer(
        pdh=fields.data("pdh", limit=CERTIFICATES_LIMIT),
        cert_chain=fields.data("cert-chain", limit=CERTIFICATES_LIMIT),
        cpu_id=_chip_id(fields),
        cbitpos=fields.number("cbitpos", _U8),
        reduced_phys_bits=fields.number("reduced-phys-bits", _U8),
    )


def _chip_id(fields: _Fields) -> bytes | None:
    """The id of socket 0: firmware of a machine with two sockets gives both ids, in order."""
    if not fields.has("cpu0-id"):
        return None
    both = fields.data("cpu0-id", limit=2 * CHIP_ID_BYTES)
    if len(both) not in (CHIP_ID_BYTES, 2 * CHIP_ID_BYTES):
        raise fields.malformed("cpu0-id", f"has {len(both)} bytes instead of {CHIP_ID_BYTES}")
    return both[:CHIP_ID_BYTES]


def read_guest_state(sev: object, status: object) -> GuestState:
    """The answers to ``query-sev`` and ``query-status``.

    Raises HostError: ``sev-not-enabled`` if the VM is no SEV guest, ``guest-is-sev-snp``,
    ``host-answer-malformed``.
    """
    fields = _Fields("query-sev", sev)
    if not fields.flag("enabled"):
        raise sev_not_enabled()
    technology = fields.choice("sev-type", Technology) if fields.has("sev-type") else Technology.SEV
    if technology is Technology.SEV_SNP:
        raise guest_is_snp()
    return GuestState(
        enabled=True,
        technology=technology,
        api_major=fields.number("api-major", _U8),
        api_minor=fields.number("api-minor", _U8),
        build=fields.number("build-id", _U8),
        state=fields.choice("state", SevState),
        policy=fields.number("policy", _U32),
        handle=fields.number("handle", _U32),
        running=_Fields("query-status", status).flag("running"),
    )


def read_measurement(answer: object) -> bytes:
    """The answer to ``query-sev-launch-measure``: 48 bytes. Raises HostError."""
    return _Fields("query-sev-launch-measure", answer).data("data", size=MEASUREMENT_BYTES)


def read_report(answer: object) -> bytes:
    """The answer to ``query-sev-attestation-report``: 208 bytes. Raises HostError."""
    return _Fields("query-sev-attestation-report", answer).data("data", size=REPORT_BYTES)


def read_vcpu_count(answer: object) -> int:
    """The answer to ``query-cpus-fast``: how many entries it has. Raises HostError."""
    command = "query-cpus-fast"
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise _malformed(command, "", "is not a list of vCPUs")
    if not 1 <= len(answer) <= VCPU_LIMIT:
        raise _malformed(command, "", f"lists {len(answer)} vCPUs")
    return len(answer)


def expect_empty(command: str, answer: object) -> None:
    """An answer that says nothing but "done": an object. Raises HostError."""
    _Fields(command, answer)


class _Fields:
    """The fields of one answer, each read with its type, range and size."""

    def __init__(self, command: str, answer: object) -> None:
        if not isinstance(answer, dict):
            raise _malformed(command, "", "is not an object")
        self._command = command
        self._fields: Mapping[str, object] = answer

    def has(self, name: str) -> bool:
        return name in self._fields

    def malformed(self, name: str, what: str) -> HostError:
        return _malformed(self._command, name, what)

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self.malformed(name, "is neither true nor false")
        return value

    def number(self, name: str, greatest: int) -> int:
        value = self._get(name)
        # bool is an int in Python: true is no version number.
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.malformed(name, "is not a whole number")
        if not 0 <= value <= greatest:
            raise self.malformed(name, f"is not within 0 and {greatest}")
        return value

    def choice(self, name: str, choices: type[_Choice]) -> _Choice:
        value = self._get(name)
        for choice in choices:
            if choice.value == value:
                return choice
        raise self.malformed(name, "is none of " + ", ".join(choices))

    def data(self, name: str, *, size: int | None = None, limit: int = 0) -> bytes:
        """Bytes in base64: exactly ``size``, or 1 to ``limit``."""
        value = self._get(name)
        if not isinstance(value, str):
            raise self.malformed(name, "is not text")
        most = limit if size is None else size
        raw = _decode(value) if len(value) <= 4 * (most // 3 + 1) else None
        if size is not None and (raw is None or len(raw) != size):
            raise self.malformed(name, f"is not the base64 of {size} bytes")
        if not raw or len(raw) > most:
            raise self.malformed(name, f"is not the base64 of 1 to {most} bytes")
        return raw

    def _get(self, name: str) -> object:
        if name not in self._fields:
            raise self.malformed(name, "is missing")
        return self._fields[name]


def _decode(text: str) -> bytes | None:
    """The bytes of strict base64: no blanks, padded, and no other text for the same bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _malformed(command: str, field: str, what: str) -> HostError:
    subject = f"Its field “{field}”" if field else "It"
    injecting = command == INJECT_COMMAND
    return HostError(
        "host-answer-malformed",
        "The host's answer makes no sense",
        f"The host answered {command} with something that QEMU never says. {subject} {what}."
        + (OPEN_QUESTION if injecting else ""),
        "Make sure that this is the socket of the VM's own QEMU; a host that goes on like this "
        "is not to be trusted.",
        {
            "command": command,
            "field": field,
            **({"packet_arrived": "unknown"} if injecting else {}),
        },
    )
