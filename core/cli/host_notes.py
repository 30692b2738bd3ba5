# SPDX-License-Identifier: Apache-2.0
"""Says what an owner should know of the way to a host, before a command takes it."""

from __future__ import annotations

from ..hosts.host_warnings import host_warnings
from ..hosts.urls import HostAddress, parse_host_url
from .output import Console


def note_host_warnings(host: str | HostAddress, console: Console) -> list[str]:
    """A note for each warning, and the warnings; raises UsageError for a URL that is none."""
    address = parse_host_url(host) if isinstance(host, str) else host
    warnings = [warning.text for warning in host_warnings(address)]
    for warning in warnings:
        console.note(f"warning: {warning}")
    return warnings
