# SPDX-License-Identifier: Apache-2.0
"""The launches of a manifest, ready to be run: what each is to be, with all defaults applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from ..errors import UsageError
from ..guest.problems import ProfilePath
from ..guest.profile import GuestProfile
from ..hosts.urls import parse_host_url
from .placeholders import filled
from .templates import StatedLaunch

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
    ``machine``        what it shares with others on one machine: that one's name under [hosts],
                       or its host name or certificates; empty where nothing is known of it
    ``number``         its number, where its name was given as a range
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
    machine: str = ""
    number: str = ""

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
    limits: Mapping[str, int] = field(default_factory=dict)
    """Launches that may be under way at once, by machine, for those of which it is stated."""

    def only(self, names: Collection[str]) -> Fleet:
        """The launches of these names or patterns (``web*``); all, if there is none of these.

        Raises UsageError ``no-such-launch`` for one that fits no launch.
        """
        if not names:
            return self
        for name in names:
            if not any(fnmatchcase(launch.name, name) for launch in self.launches):
                raise _nobody_of_that_name(name)
        kept = [one for one in self.launches if any(fnmatchcase(one.name, n) for n in names)]
        return replace(self, launches=tuple(kept))

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
    """A host's URL as it is written, and the place of that; None where it is the profile's."""

    text: str
    place: ProfilePath | None

    @classmethod
    def of(cls, stated: StatedLaunch, profile: GuestProfile) -> StatedHost | None:
        """The first that names one: launch and templates, machine, defaults, profile."""
        if stated.entry.host is not None:
            return cls(filled(stated.entry.host, stated.values), stated.where("host"))
        if stated.machine is not None and stated.machine[1].url is not None:
            name, machine = stated.machine
            return cls(filled(machine.url or "", stated.values), ("hosts", name, "url"))
        if stated.defaults.host is not None:
            return cls(filled(stated.defaults.host, stated.values), ("defaults", "host"))
        return None if profile.host is None else cls(profile.host, None)

    @property
    def url(self) -> str:
        """The URL, written in one way only; UsageError ``bad-host-url`` and its like."""
        return parse_host_url(self.text).url


def certificate_paths(
    stated: StatedLaunch, folder: Path
) -> tuple[tuple[Path, ...], ProfilePath | None]:
    """The files with the platform's certificates, and where they are named; none, and None,
    where the host is to be asked.
    """
    texts, place = stated.entry.certificates, stated.where("certificates")
    if texts is None and stated.machine is not None:
        texts, place = stated.machine[1].certificates, ("hosts", stated.machine[0], "certificates")
    if texts is None:
        texts, place = stated.defaults.certificates, ("defaults", "certificates")
    paths = tuple(folder / filled(text, stated.values) for text in texts or ())
    return paths, place if paths else None


def planned(stated: StatedLaunch, profile: GuestProfile, host: str, folder: Path) -> FleetLaunch:
    """The launch with all defaults applied; paths begin at ``folder``, the manifest's."""
    entry, defaults = stated.entry, stated.defaults
    start = None if is_by_hand(host) else entry.start or defaults.start
    inject = _first(entry.inject, defaults.inject)
    wait = _first(entry.wait, defaults.wait)
    seconds = _first(entry.start_seconds, defaults.start_seconds)
    certificates, _ = certificate_paths(stated, folder)
    return FleetLaunch(
        name=stated.name,
        profile=profile,
        host=host,
        certificates=certificates,
        inject=True if inject is None else inject,
        folder=folder / (entry.out or defaults.out or DEFAULT_OUT) / stated.name,
        start=start,
        start_seconds=DEFAULT_START_SECONDS if seconds is None else seconds,
        wait=(DEFAULT_WAIT if start is not None else 0) if wait is None else wait,
        inline=entry.guest is None,
        machine=_machine(stated, host, certificates),
        number=stated.named.number,
    )


def _machine(stated: StatedLaunch, host: str, certificates: tuple[Path, ...]) -> str:
    if stated.machine is not None:
        return stated.machine[0]
    return urlsplit(host).hostname or ", ".join(map(str, certificates))


def _first(own: _T | None, default: _T | None) -> _T | None:
    return default if own is None else own


def _nobody_of_that_name(name: str) -> UsageError:
    return UsageError(
        "no-such-launch",
        "No launch has this name",
        f"The manifest has none that is called “{name}”, or fits it as a pattern.",
        "See the names with --dry-run. In a pattern * stands for anything: --only 'web*'.",
        {"name": name},
    )
