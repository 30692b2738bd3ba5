# SPDX-License-Identifier: Apache-2.0
"""Reads the URL that names a host: schemes, paths, names and addresses with their port."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import quote, unquote_to_bytes

from ..errors import UsageError
from .host_words import visible

UNIX_PATH_BYTES: Final = 107
"""The longest path of a unix socket on Linux, in bytes."""

FOLDER_PATH_BYTES: Final = 3072
"""The longest path of an exchange folder; the files in it have to fit Linux' 4096."""

_HOST_NAME_CHARACTERS: Final = 253
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,31}", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
# "name://" is meant as a URL whatever the name; "name:" alone only for the schemes we know.
_LATER_SCHEMES: Final = ("qmp+tls", "qmp+ssh")
_EXCHANGE: Final = "exchange"
_EXCHANGE_EXAMPLE: Final = "Write three slashes and the whole path: exchange:///media/usb/vm1."
_EXAMPLES: Final = (
    "Write qmp+unix:///run/vm1.sock, qmp+tcp://localhost:4444 or qmp+tcp://[2001:db8::1]:4444."
)


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket on this machine; ``path`` has at most 107 bytes and no NUL."""

    path: str

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII; a relative path keeps no slash of its own."""
        slashes = "//" if self.path.startswith("/") else ""
        return f"qmp+unix:{slashes}{quote(os.fsencode(self.path))}"

    @property
    def plaintext_remote(self) -> bool:
        """Never: the bytes stay on this machine."""
        return False


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port: ``host`` is a name or a numeric address without brackets, ``port`` 1 to 65535."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII."""
        # The zone of a link-local address follows %25 in a URL (RFC 6874).
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        return f"qmp+tcp://{host}:{self.port}"

    @property
    def plaintext_remote(self) -> bool:
        """Whether commands would cross a network unencrypted: callers warn about that."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            name = self.host.lower().rstrip(".")
            return not (name == "localhost" or name.endswith(".localhost"))
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return not (inner or address).is_loopback


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """A folder that is carried by hand: an absolute path without ``..``, at most 3072 bytes."""

    path: str

    @property
    def url(self) -> str:
        """The URL of this address, in ASCII."""
        return f"{_EXCHANGE}://{quote(os.fsencode(self.path))}"

    @property
    def plaintext_remote(self) -> bool:
        """Never: there is no connection, and nothing that is carried is secret in clear."""
        return False


QmpAddress = UnixAddress | TcpAddress
HostAddress = QmpAddress | ExchangeAddress


def parse_host_url(text: str) -> HostAddress:
    """The address that a URL names.

    Accepted: ``qmp+unix:///run/vm1.sock``, ``qmp+tcp://host:4444``,
    ``qmp+tcp://[2001:db8::1]:4444``, ``exchange:///media/usb/vm1``, and what people type
    instead of the first ones: ``/run/vm1.sock``, ``./vm1.sock``, ``localhost:6550``,
    ``[::1]:6550``.
    Raises UsageError (exit 2), with the part of the URL under ``part`` in its details.
    """
    if not text:
        _refuse("URL", "It is empty.", _EXAMPLES)
    scheme, rest = _split_scheme(text)
    if scheme == "qmp+unix":
        return _unix_from_url(rest)
    if scheme == "qmp+tcp":
        return _tcp_from_url(rest)
    if scheme == _EXCHANGE:
        return _exchange_from_url(rest)
    if scheme:
        _refuse_scheme(scheme)
    return _unix(text) if _is_path(text) else _tcp(text)


def _is_path(text: str) -> bool:
    """Whether a text without scheme is a path: no host has a slash, but user@host:/x is no path."""
    first, slash, _ = text.partition("/")
    return bool(slash) and not set(first) & set("@:[")


def _split_scheme(text: str) -> tuple[str, str]:
    """The lower-case scheme (empty if there is none) and what follows its colon."""
    head, colon, rest = text.partition(":")
    scheme = head.lower()
    known = scheme.startswith(("qmp+", "libvirt+")) or scheme == _EXCHANGE
    if colon and (known or rest.startswith("//")):
        return scheme, rest
    return "", text


def _refuse_scheme(scheme: str) -> NoReturn:
    if scheme in _LATER_SCHEMES or scheme.startswith("libvirt+"):
        raise UsageError(
            "host-scheme-not-yet",
            "Not in this version",
            f"Hosts are not reached by “{visible(scheme, 40)}:” in this version yet, only by "
            "qmp+unix: and qmp+tcp:, or by hand with exchange:.",
            "Forward the host's QMP socket to this machine, for example with ssh -L, and name "
            "the local end: qmp+unix:///path/to/socket.",
            {"part": "scheme"},
        )
    if not _SCHEME.fullmatch(scheme):
        _refuse("scheme", "A scheme is made of letters, digits and “+”.", _EXAMPLES)
    _refuse("scheme", f"No host is reached by “{visible(scheme, 40)}:”.", _EXAMPLES)


def _unix_from_url(rest: str) -> UnixAddress:
    return _unix(
        _local_path(
            rest,
            "A unix socket is on this machine, so no host name goes before its path.",
            "Write three slashes: qmp+unix:///run/vm1.sock.",
        )
    )


def _local_path(rest: str, problem: str, remedy: str) -> str:
    """The path in what follows the scheme, decoded; refused if a host name goes before it."""
    _refuse_query(rest)
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if authority:
            _refuse_credentials(authority)
            _refuse("path", problem, remedy)
        rest = slash + path
    if _BAD_ESCAPE.search(rest):
        _refuse("path", "A “%” has to be followed by two hex digits.", "Write %25 for “%”.")
    return os.fsdecode(unquote_to_bytes(_encoded(rest)))


def _exchange_from_url(rest: str) -> ExchangeAddress:
    problem = "The folder is on this machine, so no host name goes before its path."
    path = _local_path(rest, problem, _EXCHANGE_EXAMPLE).rstrip("/")
    if not path:
        _refuse("path", "The path of the folder is missing.", _EXCHANGE_EXAMPLE)
    # A launch is taken up again later, from anywhere: its folder has to be found then.
    if not path.startswith("/"):
        _refuse("path", "It does not begin at the root.", _EXCHANGE_EXAMPLE)
    if {"", ".", ".."} & set(path[1:].split("/")):
        _refuse("path", "It has an empty part, or “.” or “..”.", _EXCHANGE_EXAMPLE)
    # The path is shown in texts for people, and printed into instructions.
    if not path.isprintable():
        _refuse("path", "It has a character that can't be shown.", "Choose another folder.")
    size = len(_encoded(path))
    if size > FOLDER_PATH_BYTES:
        _refuse(
            "path",
            f"It has {size} bytes; the path of an exchange folder has at most {FOLDER_PATH_BYTES}.",
            "Put the folder into one with a shorter path.",
        )
    return ExchangeAddress(path)


def _unix(path: str) -> UnixAddress:
    size = len(_encoded(path))
    if not path or path.endswith("/"):
        _refuse("path", "The path of the socket is missing.", _EXAMPLES)
    if path.startswith("-"):
        _refuse("path", "A path must not begin with “-”.", "Write ./ before it.")
    if "\0" in path:
        _refuse("path", "A path has no NUL in it.", _EXAMPLES)
    if size > UNIX_PATH_BYTES:
        _refuse(
            "path",
            f"It has {size} bytes; the path of a unix socket has at most {UNIX_PATH_BYTES}.",
            "Put the socket, or a symbolic link to it, into a folder with a shorter path.",
        )
    return UnixAddress(path)


def _encoded(path: str) -> bytes:
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        _refuse("path", "It has a character that no file name can have.", _EXAMPLES)


def _tcp_from_url(rest: str) -> TcpAddress:
    _refuse_query(rest)
    if not rest.startswith("//"):
        _refuse("host", "Two slashes go before the host.", _EXAMPLES)
    authority, slash, path = rest[2:].partition("/")
    if slash and path:
        _refuse("path", "A TCP address has no path.", _EXAMPLES)
    return _tcp(authority)


def _tcp(authority: str) -> TcpAddress:
    _refuse_credentials(authority)
    _refuse_query(authority)
    if authority.startswith("["):
        literal, bracket, rest = authority[1:].partition("]")
        if not bracket:
            _refuse("host", "The closing “]” of the IPv6 address is missing.", _EXAMPLES)
        host = _ipv6(literal)
    else:
        host, colon, port = authority.partition(":")
        rest = colon + port
        if ":" in port:
            _refuse("host", "An IPv6 address goes into brackets.", _EXAMPLES)
        host = _name_or_ipv4(host)
    if not rest.startswith(":"):
        _refuse("port", "The port is missing.", _EXAMPLES)
    return TcpAddress(host, _port(rest[1:]))


def _ipv6(literal: str) -> str:
    address, percent, zone = literal.partition("%")
    if percent:
        # RFC 6874 writes the zone's percent sign as %25; people write what `ip` prints.
        zone = zone.removeprefix("25") or zone
        if not _ZONE.fullmatch(zone):
            _refuse("host", "The zone after “%” is not the name of an interface.", _EXAMPLES)
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        _refuse("host", "What is in brackets is not an IPv6 address.", _EXAMPLES)
    return f"{parsed}%{zone}" if percent else str(parsed)


def _name_or_ipv4(host: str) -> str:
    if not host:
        _refuse("host", "The host is missing.", _EXAMPLES)
    if host.startswith("-"):
        _refuse("host", "A host name must not begin with “-”.", _EXAMPLES)
    labels = host.removesuffix(".").split(".")
    if len(host) > _HOST_NAME_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        _refuse(
            "host",
            "It is neither a host name (letters, digits, dots, hyphens) nor an address.",
            "Write a name with other letters in its xn-- form. " + _EXAMPLES,
        )
    # A resolver takes 127.1 and 0x7f000001 for addresses too: take only the plain form.
    if re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1], re.ASCII):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            _refuse("host", "It looks like an IPv4 address, but is none.", _EXAMPLES)
    return host


def _port(text: str) -> int:
    if not text:
        _refuse("port", "The port is missing.", _EXAMPLES)
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        _refuse("port", "A port is a number from 1 to 65535.", _EXAMPLES)
    return int(text)


def _refuse_query(rest: str) -> None:
    if "?" in rest or "#" in rest:
        _refuse(
            "query",
            "This URL takes no “?” and no “#”.",
            "Leave it out; in a path write %3F and %23.",
        )


def _refuse_credentials(authority: str) -> None:
    if "@" in authority:
        # The URL is not repeated here: it may hold a password.
        _refuse("credentials", "It names a user; QMP has neither users nor passwords.", _EXAMPLES)


def _refuse(part: str, message: str, remedy: str) -> NoReturn:
    raise UsageError(
        "bad-host-url",
        "Can't read the host URL",
        f"Its {part}: {message}" if part != "URL" else message,
        remedy,
        {"part": part},
    )
