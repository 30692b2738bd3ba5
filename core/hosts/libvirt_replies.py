# SPDX-License-Identifier: Apache-2.0
"""Reads what virsh prints: every field's size and range is checked, nothing is trusted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput
from .command_errors import Refusal
from .libvirt_errors import VirshRefused, explain_virsh, malformed, not_a_sev_domain
from .protocol import (
    GuestRow,
    GuestState,
    NodeAnswer,
    PlatformAnswer,
    SevState,
    Technology,
)
from .replies import VCPU_LIMIT, read_measurement, read_platform

_ROW: Final = re.compile(r"\s*([a-z0-9-]{1,40})\s*:\s*(\S*)\s*")
_DOMAIN: Final = re.compile(r"\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s+(\S.*?)\s*")
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_MOST_DOMAINS: Final = 10_000
_INFO: Final = "domlaunchsecinfo"
_NODE: Final = "nodesevinfo"


@dataclass(frozen=True, slots=True)
class LaunchSecurity:
    """What ``domlaunchsecinfo`` tells of an SEV domain; the measurement has 48 bytes."""

    measurement: bytes
    api_major: int
    api_minor: int
    build: int
    policy: int

    def state(self, *, running: bool) -> GuestState:
        """As a guest's state; libvirt names no handle and no state of the launch."""
        return GuestState(
            enabled=True,
            technology=Technology.SEV,
            api_major=self.api_major,
            api_minor=self.api_minor,
            build=self.build,
            state=SevState.RUNNING if running else SevState.LAUNCH_SECRET,
            policy=self.policy,
            handle=0,
            running=running,
        )


def read_sev_platform(text: str) -> PlatformAnswer:
    """The answer to ``nodesevinfo``. Raises HostError ``host-answer-malformed``."""
    rows = _rows(text)
    answer: dict[str, object] = {name: rows.get(name, "") for name in ("pdh", "cert-chain")}
    if rows.get("cpu0-id"):
        answer["cpu0-id"] = rows["cpu0-id"]
    for name in ("cbitpos", "reduced-phys-bits"):
        answer[name] = _number(_NODE, rows, name, 255)
    return read_platform(answer)


def read_node(text: str) -> NodeAnswer:
    """How many guests fit, of ``nodesevinfo``; libvirt before 8 doesn't tell."""
    rows = _rows(text)

    def most(name: str) -> int | None:
        return _number(_NODE, rows, name, 2**32 - 1) if name in rows else None

    return NodeAnswer(most("max-guests"), most("max-es-guests"))


def read_launch_security(text: str, url: str) -> LaunchSecurity:
    """The answer to ``domlaunchsecinfo``; nothing at all is what a VM without SEV gets.

    Raises HostError ``sev-not-enabled`` or ``host-answer-malformed``.
    """
    rows = _rows(text)
    if not rows:
        raise not_a_sev_domain(url)
    return LaunchSecurity(
        read_measurement({"data": rows.get("sev-measurement", "")}),
        _number(_INFO, rows, "sev-api-major", 255),
        _number(_INFO, rows, "sev-api-minor", 255),
        _number(_INFO, rows, "sev-build-id", 255),
        _number(_INFO, rows, "sev-policy", 2**32 - 1),
    )


def read_running(text: str, url: str) -> bool:
    """Whether ``domstate`` says running; HostError for a domain that is not started."""
    state = text.strip()
    if state == "running":
        return True
    if state == "paused":
        return False
    raise explain_virsh(VirshRefused("domstate", [f"domain is not running: {state[:40]}"]), url)


def read_vcpus(text: str) -> int:
    """The answer to ``vcpucount``."""
    shown = text.strip()
    if not _NUMBER.fullmatch(shown) or not 1 <= int(shown) <= VCPU_LIMIT:
        raise malformed("vcpucount", "count", "is not a number of vCPUs")
    return int(shown)


def read_domains(text: str) -> tuple[GuestRow, ...]:
    """The answer to ``list --all --uuid --name``; lines that say something else are passed over."""
    found = []
    for line in text.splitlines()[:_MOST_DOMAINS]:
        if match := _DOMAIN.fullmatch(line[:400]):
            found.append(GuestRow(match[1], match[2][:255]))
    return tuple(found)


def read_monitor_answer(text: str) -> object:
    """The value that QEMU's monitor returned, or its refusal. Raises HostError."""
    try:
        answer = parse_json(text, "the monitor's answer", deepest=8)
    except (BadInput, json.JSONDecodeError):
        answer = None
    if not isinstance(answer, dict):
        raise malformed("qemu-monitor-command", "answer", "is not JSON")
    error = answer.get("error")
    if isinstance(error, dict):
        return Refusal(
            "query-sev-attestation-report", str(error.get("class", "")), str(error.get("desc", ""))
        )
    return answer.get("return")


def _rows(text: str) -> dict[str, str]:
    """The lines “name : value”; the first of each name counts."""
    rows: dict[str, str] = {}
    for line in text.splitlines():
        if match := _ROW.fullmatch(line):
            rows.setdefault(match[1], match[2])
    return rows


def _number(command: str, rows: dict[str, str], name: str, greatest: int) -> int:
    shown = rows.get(name, "")
    if not _NUMBER.fullmatch(shown) or int(shown) > greatest:
        raise malformed(command, name, f"is not a number from 0 to {greatest}")
    return int(shown)
