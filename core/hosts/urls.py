# SPDX-License-Identifier: Apache-2.0
"""Reads the URL that names a host: schemes, paths, names and addresses with their port."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import quote

from .host_words import visible
from .kubevirt_url import SCHEME as KUBEVIRT
from .kubevirt_url import KubevirtAddress, kubevirt_from_url
from .libvirt_url import PREFIX as LIBVIRT
from .libvirt_url import LibvirtAddress, libvirt_from_url
from .ssh_url import SshAddress, ssh_from_url
from .tls_url import TlsAddress, tls_from_url
from .url_parts import (
    UNIX_PATH_BYTES,
    bracketed,
    encoded,
    host_and_rest,
    is_loopback,
    local_path,
    port,
    refuse,
    refuse_credentials,
    refuse_query,
)

__all__ = [
    "FOLDER_PATH_BYTES",
    "UNIX_PATH_BYTES",
    "ExchangeAddress",
    "HostAddress",
    "QmpAddress",
    "SshAddress",
    "TcpAddress",
    "TlsAddress",
    "UnixAddress",
    "parse_host_url",
]

FOLDER_PATH_BYTES: Final = 3072
"""The longest path of an exchange folder; the files in it have to fit Linux' 4096."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
# "name://" is meant as a URL whatever the name; "name:" alone only for the schemes we know.
_EXCHANGE: Final = "exchange"
_SCHEMES: Final = (
    "Write qmp+unix:, qmp+tcp:, qmp+ssh:, qmp+tls:, libvirt+qemu:, libvirt+qemu+unix:,"
    " libvirt+qemu+ssh:, libvirt+qemu+tls:, kubevirt: or exchange:, such as"
    " qmp+ssh://user@host/run/vm1.sock."
)
_EXCHANGE_EXAMPLE: Final = "Write three slashes and the whole path: exchange:///media/usb/vm1."


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
        return f"qmp+tcp://{bracketed(self.host)}:{self.port}"

    @property
    def plaintext_remote(self) -> bool:
        """Whether commands would cross a network unencrypted: callers warn about that."""
        return not is_loopback(self.host)


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


QmpAddress = UnixAddress | TcpAddress | SshAddress | TlsAddress
HostAddress = QmpAddress | ExchangeAddress | LibvirtAddress | KubevirtAddress


def parse_host_url(text: str) -> HostAddress:
    """The address that a URL names.

    Accepted: ``qmp+unix:///run/vm1.sock``, ``qmp+tcp://host:4444``,
    ``qmp+tcp://[2001:db8::1]:4444``, ``qmp+ssh://user@host:22/run/vm1.sock``,
    ``qmp+tls://host:4444?dir=/etc/pki/qemu``,
    ``libvirt+qemu+ssh://user@host/system?domain=vm1``, ``exchange:///media/usb/vm1``, and what
    people type instead of the first ones: ``/run/vm1.sock``, ``./vm1.sock``, ``localhost:6550``,
    ``[::1]:6550``.
    Raises UsageError (exit 2), with the part of the URL under ``part`` in its details.
    """
    if not text:
        refuse("URL", "It is empty.")
    scheme, rest = _split_scheme(text)
    if scheme == "qmp+unix":
        return _unix_from_url(rest)
    if scheme == "qmp+tcp":
        return _tcp_from_url(rest)
    if scheme == "qmp+ssh":
        return ssh_from_url(rest)
    if scheme == "qmp+tls":
        return tls_from_url(rest)
    if scheme == _EXCHANGE:
        return _exchange_from_url(rest)
    if scheme.startswith(LIBVIRT):
        return libvirt_from_url(scheme, rest)
    if scheme == KUBEVIRT:
        return kubevirt_from_url(rest)
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
    known = scheme.startswith(("qmp+", LIBVIRT)) or scheme in (_EXCHANGE, KUBEVIRT)
    if colon and (known or rest.startswith("//")):
        return scheme, rest
    return "", text


def _refuse_scheme(scheme: str) -> NoReturn:
    if not _SCHEME.fullmatch(scheme):
        refuse("scheme", "A scheme is made of letters, digits and “+”.")
    refuse("scheme", f"No host is reached by “{visible(scheme, 40)}:”.", _SCHEMES)


def _unix_from_url(rest: str) -> UnixAddress:
    return _unix(
        local_path(
            rest,
            "A unix socket is on this machine, so no host name goes before its path.",
            "Write three slashes: qmp+unix:///run/vm1.sock.",
        )
    )


def _exchange_from_url(rest: str) -> ExchangeAddress:
    problem = "The folder is on this machine, so no host name goes before its path."
    path = local_path(rest, problem, _EXCHANGE_EXAMPLE).rstrip("/")
    if not path:
        refuse("path", "The path of the folder is missing.", _EXCHANGE_EXAMPLE)
    # A launch is taken up again later, from anywhere: its folder has to be found then.
    if not path.startswith("/"):
        refuse("path", "It does not begin at the root.", _EXCHANGE_EXAMPLE)
    if {"", ".", ".."} & set(path[1:].split("/")):
        refuse("path", "It has an empty part, or “.” or “..”.", _EXCHANGE_EXAMPLE)
    # The path is shown in texts for people, and printed into instructions.
    if not path.isprintable():
        refuse("path", "It has a character that can't be shown.", "Choose another folder.")
    size = len(encoded(path))
    if size > FOLDER_PATH_BYTES:
        refuse(
            "path",
            f"It has {size} bytes; the path of an exchange folder has at most {FOLDER_PATH_BYTES}.",
            "Put the folder into one with a shorter path.",
        )
    return ExchangeAddress(path)


def _unix(path: str) -> UnixAddress:
    size = len(encoded(path))
    if not path or path.endswith("/"):
        refuse("path", "The path of the socket is missing.")
    if path.startswith("-"):
        refuse("path", "A path must not begin with “-”.", "Write ./ before it.")
    if "\0" in path:
        refuse("path", "A path has no NUL in it.")
    if size > UNIX_PATH_BYTES:
        refuse(
            "path",
            f"It has {size} bytes; the path of a unix socket has at most {UNIX_PATH_BYTES}.",
            "Put the socket, or a symbolic link to it, into a folder with a shorter path.",
        )
    return UnixAddress(path)


def _tcp_from_url(rest: str) -> TcpAddress:
    refuse_query(rest)
    if not rest.startswith("//"):
        refuse("host", "Two slashes go before the host.")
    authority, slash, path = rest[2:].partition("/")
    if slash and path:
        refuse("path", "A TCP address has no path.")
    return _tcp(authority)


def _tcp(authority: str) -> TcpAddress:
    refuse_credentials(authority)
    refuse_query(authority)
    host, rest = host_and_rest(authority)
    if not rest.startswith(":"):
        refuse("port", "The port is missing.")
    return TcpAddress(host, port(rest[1:]))
