# SPDX-License-Identifier: Apache-2.0
"""What is publicly known against secure processors: generations and firmware builds.

SEV certificates carry no expiry, no revocation list and no firmware version that
a platform can't outlive, so what became known later can only come from a dated table.
"""

from __future__ import annotations

from ..frozen import dataclass
from .firmware_version import FirmwareVersion


@dataclass(frozen=True, slots=True)
class Advisory:
    """One published weakness.

    ``generations``  whose endorsement keys (CEK) can be extracted or forged; may be empty
    ``api_major``, ``api_minor``, ``first_good_build``  firmware of that API with an older
    build is affected; all None if the advisory is not about builds
    """

    name: str
    published: str
    summary: str
    source: str
    generations: tuple[str, ...] = ()
    api_major: int | None = None
    api_minor: int | None = None
    first_good_build: int | None = None

    def affects_build(self, version: FirmwareVersion) -> bool:
        """Whether this firmware version is one of the affected builds."""
        if self.first_good_build is None:
            return False
        same_api = (version.api_major, version.api_minor) == (self.api_major, self.api_minor)
        return same_api and version.build < self.first_good_build


@dataclass(frozen=True, slots=True)
class Advisories:
    """The dated table; ``as_of`` is an ISO date."""

    as_of: str
    entries: tuple[Advisory, ...]

    def for_generation(self, generation: str | None) -> tuple[Advisory, ...]:
        """What is known against the endorsement keys of a processor generation."""
        return tuple(entry for entry in self.entries if generation in entry.generations)

    def for_build(self, version: FirmwareVersion) -> tuple[Advisory, ...]:
        """What is known against this firmware version."""
        return tuple(entry for entry in self.entries if entry.affects_build(version))
