# SPDX-License-Identifier: Apache-2.0
"""The parts that host URLs have in common, each read strictly: names, ports, paths, queries."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from ..errors import UsageError

UNIX_PATH_BYTES: Final = 107
"""The longest path of a unix socket on Linux, in bytes."""

EXAMPLES: Final = (
    "Write qmp+unix:///run/vm1.sock, qmp+tcp://localhost:4444 or qmp+tcp://[2001:db8::1]:4444."
)

_HOST_NAME_CHARACTERS: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,31}", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def ipv6(literal: str) -> str:
    """An IPv6 address in its one form, with its zone if it has one."""
    address, percent, zone = literal.partition("%")
    if percent:
        # RFC 6874 writes the zone's percent sign as %25; people write what `ip` prints.
        zone = zone.removeprefix("25") or zone
        if not _ZONE.fullmatch(zone):
            refuse("host", "The zone after “%” is not the name of an interface.")
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        refuse("host", "What is in brackets is not an IPv6 address.")
    return f"{parsed}%{zone}" if percent else str(parsed)


def name_or_ipv4(host: str) -> str:
    """A host name, or an IPv4 address of four numbers; never one that begins with “-”."""
    if not host:
        refuse("host", "The host is missing.")
    if host.startswith("-"):
        refuse("host", "A host name must not begin with “-”.")
    labels = host.removesuffix(".").split(".")
    if len(host) > _HOST_NAME_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        refuse(
            "host",
            "It is neither a host name (letters, digits, dots, hyphens) nor an address.",
            "Write a name with other letters in its xn-- form. " + EXAMPLES,
        )
    # A resolver takes 127.1 and 0x7f000001 for addresses too: take only the plain form.
    if re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1], re.ASCII):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            refuse("host", "It looks like an IPv4 address, but is none.")
    return host


def host_and_rest(authority: str) -> tuple[str, str]:
    """The host of ``host:port`` or ``[address]:port``, and what follows it, colon included."""
    if authority.startswith("["):
        literal, bracket, rest = authority[1:].partition("]")
        if not bracket:
            refuse("host", "The closing “]” of the IPv6 address is missing.")
        return ipv6(literal), rest
    host, colon, after = authority.partition(":")
    if ":" in after:
        refuse("host", "An IPv6 address goes into brackets.")
    return name_or_ipv4(host), colon + after


def is_loopback(host: str) -> bool:
    """Whether a host's name or address says that it is this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
        return name == "localhost" or name.endswith(".localhost")
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    # The zone of a link-local address follows %25 in a URL (RFC 6874).
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def port(text: str) -> int:
    """A port from 1 to 65535."""
    if not text:
        refuse("port", "The port is missing.")
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        refuse("port", "A port is a number from 1 to 65535.")
    return int(text)


def refuse_query(rest: str) -> None:
    """For URLs that take no parameters."""
    if "?" in rest or "#" in rest:
        refuse(
            "query",
            "This URL takes no “?” and no “#”.",
            "Leave it out; in a path write %3F and %23.",
        )


def refuse_credentials(authority: str) -> None:
    """For URLs that name no user; a password has no place in any."""
    if "@" in authority:
        # The URL is not repeated here: it may hold a password.
        refuse("credentials", "It names a user; QMP has neither users nor passwords.")


def refuse(part: str, message: str, remedy: str = EXAMPLES) -> NoReturn:
    """Raise UsageError ``bad-host-url`` for a part of the URL; its text is not repeated."""
    raise UsageError(
        "bad-host-url",
        "Can't read the host URL",
        f"Its {part}: {message}" if part != "URL" else message,
        remedy,
        {"part": part},
    )


def encoded(path: str) -> bytes:
    """The path as the system has it."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        refuse("path", "It has a character that no file name can have.")


def local_path(rest: str, problem: str, remedy: str) -> str:
    """The path in what follows the scheme, decoded; refused if a host name goes before it."""
    refuse_query(rest)
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if authority:
            refuse_credentials(authority)
            refuse("path", problem, remedy)
        rest = slash + path
    return decoded(rest, "path")


def decoded(text: str, part: str) -> str:
    """A part of a URL with its %-escapes resolved."""
    if _BAD_ESCAPE.search(text):
        refuse(part, "A “%” has to be followed by two hex digits.", "Write %25 for “%”.")
    return os.fsdecode(unquote_to_bytes(encoded(text)))
