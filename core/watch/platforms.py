# SPDX-License-Identifier: Apache-2.0
"""Certificates that the owner has of his hosts, for requests that bring none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..errors import WatchwordError
from .events import Asked, Reply, Source, Take, WatchEvent
from .rules import WatchRules

CertificateFiles = tuple[tuple[str, bytes], ...]
"""Names and contents of files with certificates."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Hosts by the pattern of their URLs, and the certificates of their machine."""

    pattern: str
    files: CertificateFiles

    def is_of(self, url: str) -> bool:
        """Whether a host's URL fits the pattern."""
        try:
            WatchRules(guests={}, hosts=(self.pattern,)).host(url)
        except WatchwordError:
            return False
        return True


class WithPlatforms:
    """A source of which the requests get the certificates that the owner has of their hosts.

    They are a hint as good as any: whatever a request brings, the launch verifies it.
    """

    def __init__(self, source: Source, platforms: Callable[[], Sequence[Platform]]) -> None:
        self._source = source
        self._platforms = platforms

    @property
    def name(self) -> str:
        """The source's own name."""
        return self._source.name

    async def run(self, take: Take) -> None:
        """Run the source."""

        async def take_completed(event: WatchEvent) -> Reply:
            return await take(self._completed(event))

        await self._source.run(take_completed)

    def _completed(self, event: WatchEvent) -> WatchEvent:
        if not isinstance(event, Asked) or event.certificates or event.host is None:
            return event
        for platform in self._platforms():
            if platform.is_of(event.host):
                return replace(event, known_certificates=platform.files)
        return event
