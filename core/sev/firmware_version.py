# SPDX-License-Identifier: Apache-2.0
"""The version of a secure processor's firmware: API major.minor and build."""

from __future__ import annotations

from ..errors import UsageError
from ..frozen import dataclass


@dataclass(frozen=True, slots=True, order=True)
class FirmwareVersion:
    """API major and minor and build id, each 0 to 255; ordered."""

    api_major: int
    api_minor: int
    build: int

    def __post_init__(self) -> None:
        for name in ("api_major", "api_minor", "build"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 0 <= value <= 255:
                raise UsageError(
                    "bad-firmware-version",
                    "Not a firmware version",
                    f"{name.replace('_', ' ')} is {value}; it must be 0 to 255.",
                    "Take API and build from query-sev; libvirt and QEMU print them in decimal.",
                )

    def __str__(self) -> str:
        return f"{self.api_major}.{self.api_minor} build {self.build}"

    @property
    def api(self) -> tuple[int, int]:
        """API major and minor."""
        return self.api_major, self.api_minor


def parse_api(text: str) -> tuple[int, int]:
    """API version from text such as ``1.49``; UsageError if it is none."""
    major, dot, minor = text.partition(".")
    valid = dot and all(part.isascii() and part.isdigit() for part in (major, minor))
    if valid and len(text) <= 7 and int(major) <= 255 and int(minor) <= 255:
        return int(major), int(minor)
    raise UsageError(
        "bad-api-version",
        "Not an API version",
        f"{text[:40]!r} is not of the form MAJOR.MINOR in decimal, such as 1.49.",
        "query-sev calls them api-major and api-minor, libvirt sev-api-major and sev-api-minor.",
    )
