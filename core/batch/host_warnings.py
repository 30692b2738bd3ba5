# SPDX-License-Identifier: Apache-2.0
"""What had better be known of the ways to a fleet's hosts, each thing once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..hosts.host_warnings import host_warnings
from ..hosts.locality import local_warnings
from ..hosts.urls import parse_host_url
from .fleet import FleetLaunch


def fleet_host_warnings(launches: Iterable[FleetLaunch]) -> tuple[str, ...]:
    """A sentence for each warning, with the launch that has it first. Nothing is connected to."""
    first: dict[str, str] = {}
    number: dict[str, int] = {}
    looked_at: dict[str, tuple[str, ...]] = {}
    for launch in launches:
        if launch.host not in looked_at:
            looked_at[launch.host] = tuple(_warnings(launch.host))
        for text in looked_at[launch.host]:
            first.setdefault(text, launch.name)
            number[text] = number.get(text, 0) + 1
    return tuple(f"{_whose(first[text], count)}: {text}" for text, count in number.items())


def _warnings(host: str) -> Iterator[str]:
    yield from (warning.text for warning in host_warnings(parse_host_url(host)))
    yield from local_warnings(host, simulated=False)


def _whose(name: str, count: int) -> str:
    if count == 1:
        return f"launch {name}"
    return f"launch {name} and {count - 1} {'other' if count == 2 else 'others'}"
