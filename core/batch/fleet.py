# SPDX-License-Identifier: Apache-2.0
"""The launches of a manifest, ready to be run: what each is to be, with all defaults applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from ..guest.profile import GuestProfile
from ..hosts.urls import parse_host_url
from .manifest import LaunchDefaults, LaunchEntry
from .placeholders import NAME, filled

DEFAULT_OUT: Final = "out"
DEFAULT_WAIT: Final = 60
"""Seconds to wait for a VM that a command of ours has started; no other is waited for."""
DEFAULT_START_SECONDS: Final = 60

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FleetLaunch:
    """One launch of a fleet.

    ``host``           URL, written in one way only, so that two can be compared
    ``certificates``   files with the platform's certificates; the host is asked for what lacks
    ``inject``         whether secrets are handed over
    ``folder``         for what the host is given; no other launch writes there
    ``start``          program and arguments that start the VM, placeholders not filled in yet
    ``start_seconds``  how long these may take
    ``wait``           seconds to wait for the paused VM
    ``inline``         whether its profile stands in the manifest, and was never the owner's own
    """

    name: str
    profile: GuestProfile
    host: str
    certificates: tuple[Path, ...]
    inject: bool
    folder: Path
    start: tuple[str, ...] | None
    start_seconds: int
    wait: int
    inline: bool = False

    @property
    def entries(self) -> tuple[str, ...]:
        """The vault's entries that its guest would be given."""
        return tuple(reference.entry for reference in self.profile.secret_references)

    @property
    def by_hand(self) -> bool:
        """Whether all that the host says and is given is carried by hand."""
        return is_by_hand(self.host)


def is_by_hand(host: str) -> bool:
    """Whether a host's URL names a folder that is carried by hand; nothing is started there."""
    return host.startswith("exchange:")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The launches of a sound manifest, in its order, and what is weak in them."""

    launches: tuple[FleetLaunch, ...]
    warnings: tuple[str, ...] = ()

    @property
    def starting(self) -> tuple[str, ...]:
        """The names of those whose VM is started by a command."""
        return tuple(launch.name for launch in self.launches if launch.start is not None)

    @property
    def inline(self) -> tuple[FleetLaunch, ...]:
        """Those whose profile stands in the manifest: it alone says what is sent, and where."""
        return tuple(launch for launch in self.launches if launch.inline)


@dataclass(frozen=True, slots=True)
class StatedHost:
    """A host's URL as it is written, and where: in the launch, the defaults or the profile."""

    text: str
    where: str

    @classmethod
    def of(
        cls, entry: LaunchEntry, defaults: LaunchDefaults, profile: GuestProfile
    ) -> StatedHost | None:
        """The first of the three that names a host."""
        if entry.host is not None:
            return cls(filled(entry.host, {NAME: entry.name}), "launch")
        if defaults.host is not None:
            return cls(filled(defaults.host, {NAME: entry.name}), "defaults")
        return None if profile.host is None else cls(profile.host, "profile")

    @property
    def url(self) -> str:
        """The URL, written in one way only; UsageError ``bad-host-url`` and its like."""
        return parse_host_url(self.text).url


def certificate_paths(
    entry: LaunchEntry, defaults: LaunchDefaults, folder: Path
) -> tuple[Path, ...]:
    """The files with the platform's certificates, none where the host is to be asked."""
    stated = entry.certificates if entry.certificates is not None else defaults.certificates
    return tuple(folder / filled(text, {NAME: entry.name}) for text in stated or ())


def planned(
    entry: LaunchEntry, defaults: LaunchDefaults, profile: GuestProfile, host: str, folder: Path
) -> FleetLaunch:
    """The launch with all defaults applied; paths begin at ``folder``, the manifest's."""
    start = None if is_by_hand(host) else entry.start or defaults.start
    inject = _first(entry.inject, defaults.inject)
    wait = _first(entry.wait, defaults.wait)
    seconds = _first(entry.start_seconds, defaults.start_seconds)
    return FleetLaunch(
        name=entry.name,
        profile=profile,
        host=host,
        certificates=certificate_paths(entry, defaults, folder),
        inject=True if inject is None else inject,
        folder=folder / (entry.out or defaults.out or DEFAULT_OUT) / entry.name,
        start=start,
        start_seconds=DEFAULT_START_SECONDS if seconds is None else seconds,
        wait=(DEFAULT_WAIT if start is not None else 0) if wait is None else wait,
        inline=entry.guest is None,
    )


def _first(own: _T | None, default: _T | None) -> _T | None:
    return default if own is None else own
