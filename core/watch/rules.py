# SPDX-License-Identifier: Apache-2.0
"""What a watch may do on the owner's behalf: for which guests, at which hosts, and how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import VerificationRefused
from ..guest.profile import GuestProfile
from ..hosts.urls import parse_host_url

DEFAULT_EXPIRE_SECONDS: Final = 3600
DEFAULT_JOBS: Final = 16
DEFAULT_WAITING: Final = 256
_BY_HAND: Final = "exchange:"
_NOT_IN_STAR: Final = frozenset("/?#%@:&= ")
_NO_NAMES: Final = frozenset((".", ".."))


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """The rules of a watch; replaced whole at a reload.

    ``guests``          the profiles that may be launched, by name, each with a ``watch`` table
    ``hosts``           URLs that may be connected to; ``*`` stands for a name without any of
    ``/?#%@:&=`` and blanks, as in ``qmp+unix:///run/vms/*.qmp``
    ``approvals``       folder for what a person has to decide; None: nobody can be asked
    ``expire_seconds``  after how long a blob that no VM was measured with is given up
    ``jobs``            launches that are worked on at once
    ``most_waiting``    events that may wait for their turn; more are told to come again
    """

    guests: Mapping[str, GuestProfile]
    hosts: tuple[str, ...] = ()
    approvals: Path | None = None
    expire_seconds: int = DEFAULT_EXPIRE_SECONDS
    jobs: int = DEFAULT_JOBS
    most_waiting: int = DEFAULT_WAITING

    def guest(self, name: str) -> GuestProfile:
        """The profile; VerificationRefused ``guest-not-watched`` and as ``require_watchable``."""
        profile = self.guests.get(name)
        if profile is None:
            raise not_watched(name)
        return require_watchable(profile)

    def host(self, url: str) -> str:
        """The URL in its one form, if it may be connected to.

        Raises UsageError as ``parse_host_url``, and VerificationRefused ``host-not-watched``.
        """
        canonical = parse_host_url(url).url
        by_hand = canonical.startswith(_BY_HAND)
        if by_hand or not any(_fits(canonical, pattern) for pattern in self.hosts):
            raise _host_not_watched(canonical)
        return canonical


def require_watchable(profile: GuestProfile) -> GuestProfile:
    """The profile, if a watch may launch it without anybody looking.

    Raises VerificationRefused ``guest-not-watched`` or ``platforms-not-pinned``.
    """
    if profile.watch is None:
        raise not_watched(profile.name)
    if not profile.ceks:
        raise VerificationRefused(
            "platforms-not-pinned",
            "The profile names no platforms",
            f"Where nobody looks at platforms, guest “{profile.name}” is launched only on those"
            " that its profile names.",
            "Write their CEKs' fingerprints into it: `watchword guest edit"
            f" {profile.name} --add ceks=FINGERPRINT`.",
            {"guest": profile.name},
        )
    return profile


def not_watched(name: str) -> VerificationRefused:
    """The error for a guest that is not launched on anybody's request."""
    shown = ascii(name[:64])[1:-1]
    return VerificationRefused(
        "guest-not-watched",
        "This guest is not launched on request",
        f"The watch serves no guest “{shown}” whose profile says how many may be live.",
        "If it is to be: give its profile a [watch] table with instances_at_most, and name it in"
        " the watch's settings.",
        {"guest": shown},
    )


def _fits(url: str, pattern: str) -> bool:
    """Whether a URL is what a pattern stands for; each ``*`` is one name at least."""
    first, *rest = pattern.split("*")
    if not rest:
        return url == pattern
    if not _NO_NAMES.isdisjoint(url.split("/")):
        return False  # filled in for a star, they would lead out of the folder that is meant
    if not url.startswith(first) or not url.endswith(rest[-1]):
        return False
    position = len(first)
    for index, part in enumerate(rest):
        start = position
        while position < len(url) and url[position] not in _NOT_IN_STAR:
            position += 1
        last = index == len(rest) - 1
        found = len(url) - len(part) if last else url.find(part, start + 1)
        if found <= start or found > position:
            return False
        position = found + len(part)
    return position == len(url)


def _host_not_watched(url: str) -> VerificationRefused:
    return VerificationRefused(
        "host-not-watched",
        "This host is none that the watch connects to",
        f"Nothing was asked of {url}: the watch's settings name no such host.",
        "If it is one of yours, add its URL, or a pattern with *, to the hosts of the watch.",
        {"host": url},
    )
