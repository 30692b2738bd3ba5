# SPDX-License-Identifier: Apache-2.0
"""Reads the URL of a VM that libvirt runs: transport, machine, instance, and which domain.

Transports and parameters are an allow-list, because libvirt's own URIs can name commands to
be run and checks to be left out (spec/threats.md 15).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from .ssh_url import SshAddress
from .url_parts import bracketed, decoded, host_and_rest, is_loopback, port, refuse

PREFIX: Final = "libvirt+"
_EXAMPLE: Final = (
    "Write libvirt+qemu:///system?domain=vm1 or libvirt+qemu+ssh://user@host/system?domain=vm1."
)
_USER: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.@,+-]+)+", re.ASCII)
_DOMAIN_CHARACTERS: Final = 200
SYSTEM_SOCKET: Final = "/var/run/libvirt/libvirt-sock"
"""Where the system's daemon listens. Source: libvirt docs/uri and daemons."""


class Transport(StrEnum):
    """How the daemon is reached."""

    LOCAL = "qemu"
    UNIX = "qemu+unix"
    SSH = "qemu+ssh"
    TLS = "qemu+tls"


class Instance(StrEnum):
    """Whose VMs: the machine's, or the user's own."""

    SYSTEM = "system"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class LibvirtAddress:
    """A domain of a libvirt daemon; ``domain`` None: only the machine itself is meant.

    ``host``, ``user``, ``port``  for ssh and tls
    ``socket``   the daemon's socket, on the machine where it runs (unix and ssh)
    ``pki``      folder of the certificates that libvirt's TLS takes (tls)
    """

    transport: Transport
    instance: Instance
    domain: str | None = None
    host: str | None = None
    user: str | None = None
    port: int | None = None
    socket: str | None = None
    pki: str | None = None

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII; there is never a password in it."""
        named = {"domain": self.domain, "socket": self.socket, "pkipath": self.pki}
        query = "&".join(f"{key}={quote(text, '/')}" for key, text in named.items() if text)
        return f"{PREFIX}{self.transport}://{self._authority}/{self.instance}" + (
            f"?{query}" if query else ""
        )

    @property
    def plaintext_remote(self) -> bool:
        """Never: libvirt's TCP transport is none that is taken."""
        return False

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's own daemon."""
        return self.host is None or is_loopback(self.host)

    @property
    def _authority(self) -> str:
        if self.host is None:
            return ""
        user = "" if self.user is None else f"{self.user}@"
        number = "" if self.port is None else f":{self.port}"
        return f"{user}{bracketed(self.host)}{number}"

    @property
    def through_ssh(self) -> SshAddress | None:
        """The daemon's socket on the other machine, for a tunnel; None for other transports."""
        if self.transport is not Transport.SSH or self.host is None:
            return None
        return SshAddress(self.host, self.socket or SYSTEM_SOCKET, self.user, self.port)

    def uri(self, tunnel: str | None = None) -> str:
        """Libvirt's own URI; ``tunnel`` is this end of the tunnel's socket."""
        if tunnel is not None:
            return f"qemu+unix:///{self.instance}?socket={quote(tunnel, '/')}"
        if self.transport is Transport.TLS:
            pki = f"?pkipath={quote(self.pki, '/')}" if self.pki else ""
            return f"qemu+tls://{self._authority}/{self.instance}{pki}"
        if self.socket is not None:
            return f"qemu+unix:///{self.instance}?socket={quote(self.socket, '/')}"
        return f"qemu:///{self.instance}"


def libvirt_from_url(scheme: str, rest: str) -> LibvirtAddress:
    """The address in what follows the scheme's colon. Raises UsageError ``bad-host-url``."""
    transport = _transport(scheme.removeprefix(PREFIX))
    if not rest.startswith("//"):
        refuse("host", "Two slashes go before the host.", _EXAMPLE)
    if "#" in rest:
        refuse("query", "This URL takes no “#”.", _EXAMPLE)
    place, _, query = rest[2:].partition("?")
    authority, _, path = place.partition("/")
    values = _parameters(query, transport)
    user, host, number = _machine(authority, transport)
    address = LibvirtAddress(
        transport,
        _instance(path),
        values.get("domain"),
        host,
        user,
        number,
        values.get("socket"),
        values.get("pkipath"),
    )
    if transport is Transport.SSH and address.instance is Instance.SESSION and not address.socket:
        refuse(
            "query",
            "Over SSH, the place of a session daemon's socket isn't known.",
            "Add socket=/run/user/1000/libvirt/libvirt-sock, or use /system.",
        )
    return address


def _transport(text: str) -> Transport:
    if text not in Transport.__members__.values():
        rule = "libvirt is reached by qemu, qemu+unix, qemu+ssh or qemu+tls alone."
        refuse("scheme", rule, _EXAMPLE)
    return Transport(text)


def _instance(text: str) -> Instance:
    if text not in Instance.__members__.values():
        refuse("path", "It is /system or /session.", _EXAMPLE)
    return Instance(text)


def _machine(authority: str, transport: Transport) -> tuple[str | None, str | None, int | None]:
    """User, host and port."""
    remote = transport in (Transport.SSH, Transport.TLS)
    if not authority:
        if remote:
            refuse("host", "The host is missing.", _EXAMPLE)
        return None, None, None
    if not remote:
        refuse("host", "This transport reaches this machine alone.", _EXAMPLE)
    user, at, machine = authority.rpartition("@")
    if at and (transport is not Transport.SSH or not _USER.fullmatch(user)):
        # Not repeated: it may hold a password.
        refuse("credentials", "Only SSH takes a user, a plain name without a password.", _EXAMPLE)
    host, after = host_and_rest(machine)
    if after and not after.startswith(":"):
        refuse("port", "What follows the address is no port.", _EXAMPLE)
    return (user if at else None), host, (port(after[1:]) if after else None)


def _parameters(query: str, transport: Transport) -> dict[str, str]:
    allowed = {"domain"}
    if transport in (Transport.UNIX, Transport.SSH):
        allowed.add("socket")
    if transport is Transport.TLS:
        allowed.add("pkipath")
    values: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, text = pair.partition("=")
        if name not in allowed or not equals or name in values:
            refuse(
                "query",
                f"It takes these parameters once each: {', '.join(sorted(allowed))}.",
                "libvirt's own parameters that run commands or leave out checks are not taken.",
            )
        value = decoded(text, "query")
        if name == "domain":
            _check_domain(value)
        elif not _PATH.fullmatch(value):
            refuse("query", f"{name} is an absolute path of plain characters.", _EXAMPLE)
        values[name] = value
    return values


def _check_domain(name: str) -> None:
    if not name or len(name) > _DOMAIN_CHARACTERS or not name.isprintable() or name[0] == "-":
        refuse("query", "The domain is a VM's name or UUID.", _EXAMPLE)
