# SPDX-License-Identifier: Apache-2.0
"""Says what an owner should know of the way to a host, before a command takes it."""

from __future__ import annotations

from ..hosts.host_warnings import host_warnings
from ..hosts.urls import HostAddress, parse_host_url
from .output import Console


def note_host_warnings(host: str | HostAddress, console: Console) -> None:
    """A note for each warning; raises UsageError for a URL that is none."""
    address = parse_host_url(host) if isinstance(host, str) else host
    for warning in host_warnings(address):
        console.note(f"warning: {warning.text}")
