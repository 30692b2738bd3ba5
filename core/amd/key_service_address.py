# SPDX-License-Identifier: Apache-2.0
"""Where AMD's key service is, or the mirror that stands in for it: by default, option or variable.

Source: virtee/sevctl src/main.rs and AMDESE/sev-tool src/utilities.h, which ask the
same addresses.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import UsageError

AMD_KEY_SERVICE: Final = "https://kdsintf.amd.com"
"""AMD's key distribution service, which has the CEKs."""
AMD_FILES: Final = "https://download.amd.com/developer/eula/sev"
"""The folder of AMD's ``ask_ark_<generation>.cert`` files."""
VARIABLE: Final = "WATCHWORD_KEY_SERVICE"
"""Names another base URL, for mirrors and tests."""

# Narrow on purpose: whatever it lets through means the same to every reader of URLs.
_BASE_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)/?",
    re.ASCII,
)
_EXAMPLE: Final = "Write it like https://mirror.example.org or https://mirror.example.org/amd."


@dataclass(frozen=True, slots=True)
class KeyServiceAddress:
    """Two base URLs without a slash at the end: of CEKs by chip id, and of ASK/ARK files."""

    ceks: str = AMD_KEY_SERVICE
    files: str = AMD_FILES

    @property
    def is_amd(self) -> bool:
        """Whether it is AMD itself that is asked, not a mirror."""
        return self.ceks == AMD_KEY_SERVICE

    @property
    def owner(self) -> str:
        """Who answers, as it is called in sentences."""
        return "AMD's key service" if self.is_amd else f"the key service {place_of(self.ceks)}"

    def cek_url(self, chip_id: bytes) -> str:
        """Where the CEK of a chip is; the id has 64 bytes and appears as 128 lower-case digits."""
        return f"{self.ceks}/cek/id/{chip_id.hex()}"

    def ask_ark_url(self, generation: str) -> str:
        """Where ASK and ARK of a generation are, in one file."""
        return f"{self.files}/ask_ark_{generation}.cert"


def key_service_address(
    given: str | None = None, environment: Mapping[str, str] | None = None
) -> KeyServiceAddress:
    """The address to use: what was given, else what the variable names, else AMD's own.

    A mirror serves ``cek/id/…`` and ``ask_ark_….cert`` under one base URL.
    Raises UsageError ``bad-key-service-url``.
    """
    variables = os.environ if environment is None else environment
    if given is not None:
        return _mirror(given, "The key service's URL")
    if variables.get(VARIABLE):
        return _mirror(variables[VARIABLE], VARIABLE)
    return KeyServiceAddress()


def place_of(url: str) -> str:
    """Host and port of a URL that was checked here: what people are told of it."""
    return url.split("/", 3)[2]


def is_loopback(url: str) -> bool:
    """Whether a checked URL leads to this very machine."""
    parts = _BASE_URL.match(url)
    return parts is not None and _names_loopback(parts["host"])


def _names_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _mirror(text: str, source: str) -> KeyServiceAddress:
    parts = _BASE_URL.fullmatch(text)
    if parts is None:
        raise _bad_url(source, _what_is_wrong(text), _EXAMPLE)
    if parts["port"] is not None and not 0 < int(parts["port"]) < 65536:
        raise _bad_url(source, "Its port is not between 1 and 65535.", _EXAMPLE)
    if parts["scheme"] == "http" and not _names_loopback(parts["host"]):
        raise _bad_url(
            source,
            "It is plain http: everybody on the way would read which chips you ask about.",
            "Use an https address; plain http is taken only for this machine itself.",
        )
    base = text.rstrip("/")
    if base == AMD_KEY_SERVICE:
        return KeyServiceAddress()
    return KeyServiceAddress(base, base)


def _what_is_wrong(text: str) -> str:
    # The text itself is not repeated: there may be a password in it.
    if "@" in text:
        return "There is a user name or password in it, which has no place there."
    if "?" in text or "#" in text:
        return "There is a query or a fragment in it, and paths are appended to it."
    if not text.startswith(("https://", "http://")):
        return "It does not begin with https://."
    return "It is not a plain URL of a host, an optional port and an optional path."


def _bad_url(source: str, problem: str, remedy: str) -> UsageError:
    return UsageError("bad-key-service-url", f"{source} can't be used", problem, remedy)
