# SPDX-License-Identifier: Apache-2.0
"""The URL of a host as a few fields, by the kind of its host: put together and taken apart.

Knows no Qt. Nothing is checked here but by ``parse_host_url``, as wherever a URL is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from watchword.core.errors import UsageError
from watchword.core.hosts.kubevirt_url import KubevirtAddress
from watchword.core.hosts.libvirt_url import LibvirtAddress, Transport
from watchword.core.hosts.url_parts import bracketed
from watchword.core.hosts.urls import (
    ExchangeAddress,
    HostAddress,
    SshAddress,
    TcpAddress,
    TlsAddress,
    UnixAddress,
    parse_host_url,
)

Values = Mapping[str, str]
"""Texts by the names of their fields, as a person typed them."""


class HostKind(StrEnum):
    """How a host is reached, in the order in which they are offered."""

    SOCKET = "socket"
    SSH = "ssh"
    TLS = "tls"
    PORT = "port"
    LIBVIRT = "libvirt"
    LIBVIRT_SSH = "libvirt-ssh"
    LIBVIRT_TLS = "libvirt-tls"
    KUBEVIRT = "kubevirt"
    FOLDER = "folder"


FIELDS: Final[Mapping[HostKind, tuple[str, ...]]] = MappingProxyType(
    {
        HostKind.SOCKET: ("path",),
        HostKind.SSH: ("host", "user", "port", "path"),
        HostKind.TLS: ("host", "port", "certificates", "server-name"),
        HostKind.PORT: ("host", "port"),
        HostKind.LIBVIRT: ("domain",),
        HostKind.LIBVIRT_SSH: ("host", "user", "port", "domain"),
        HostKind.LIBVIRT_TLS: ("host", "port", "certificates", "domain"),
        HostKind.KUBEVIRT: ("namespace", "domain"),
        HostKind.FOLDER: ("path",),
    }
)
"""The fields of each kind, in the order in which they are shown."""

_LIBVIRT: Final = {
    Transport.LOCAL: HostKind.LIBVIRT,
    Transport.SSH: HostKind.LIBVIRT_SSH,
    Transport.TLS: HostKind.LIBVIRT_TLS,
}
# Parameters of the URL, and the fields that they are filled from.
_TLS_TERMS: Final = {"dir": "certificates", "server-name": "server-name"}
_LIBVIRT_TERMS: Final = {"domain": "domain", "pkipath": "certificates"}


def url_of(kind: HostKind, values: Values) -> str:
    """The URL that the fields make, unchecked; empty where nothing is filled in.

    What a field may not hold is escaped, so that it can't become another part of the URL.
    """
    given = {name: values.get(name, "").strip() for name in FIELDS[kind]}
    if not any(given.values()):
        return ""
    path = _escaped(given.get("path", ""), "/@,=+")
    if kind is HostKind.SOCKET:
        return f"qmp+unix:{'//' if path.startswith('/') else ''}{path}"
    if kind is HostKind.FOLDER:
        return f"exchange:{'//' if path.startswith('/') else ''}{path}"
    if kind is HostKind.KUBEVIRT:
        return f"kubevirt://{_escaped(given['namespace'])}/{_escaped(given['domain'])}"
    machine = _machine(given)
    if kind is HostKind.SSH:
        return f"qmp+ssh://{machine}{path}"
    if kind is HostKind.PORT:
        return f"qmp+tcp://{machine}"
    if kind is HostKind.TLS:
        return f"qmp+tls://{machine}{_query(given, _TLS_TERMS)}"
    transport = next(key for key, value in _LIBVIRT.items() if value is kind)
    return f"libvirt+{transport}://{machine}/system{_query(given, _LIBVIRT_TERMS)}"


def fields_of(url: str) -> tuple[HostKind, Values] | None:
    """The kind and the fields of a URL; None where it is none, or says more than fields can."""
    try:
        address = parse_host_url(url)
    except UsageError:
        return None
    found = _taken_apart(address)
    if found is None:
        return None
    kind, told = found
    values = {name: str(told[name] or "") for name in FIELDS[kind]}
    # Percent signs may stand for a character or for themselves: the addresses have to be equal.
    return (kind, values) if _same(url_of(kind, values), address) else None


def problem_of(url: str) -> str:
    """What is wrong with a URL, in a sentence or two; empty where nothing is."""
    try:
        parse_host_url(url)
    except UsageError as error:
        return f"{error.message} {error.remedy}"
    return ""


def _same(url: str, address: HostAddress) -> bool:
    try:
        return parse_host_url(url) == address
    except UsageError:
        return False


def _taken_apart(address: HostAddress) -> tuple[HostKind, Mapping[str, object]] | None:
    if isinstance(address, UnixAddress):
        return HostKind.SOCKET, {"path": address.path}
    if isinstance(address, ExchangeAddress):
        return HostKind.FOLDER, {"path": address.path}
    if isinstance(address, KubevirtAddress):
        return HostKind.KUBEVIRT, {"namespace": address.namespace, "domain": address.name}
    machine = {"host": address.host, "port": address.port}
    if isinstance(address, TcpAddress):
        return HostKind.PORT, machine
    if isinstance(address, SshAddress):
        return HostKind.SSH, {**machine, "user": address.user, "path": address.path}
    if isinstance(address, TlsAddress):
        names = {"certificates": address.folder, "server-name": address.server_name}
        return HostKind.TLS, {**machine, **names}
    return _libvirt(address, machine)


def _libvirt(
    address: LibvirtAddress, machine: Mapping[str, object]
) -> tuple[HostKind, Mapping[str, object]] | None:
    kind = _LIBVIRT.get(address.transport)
    if kind is None:
        return None
    told = {"user": address.user, "domain": address.domain, "certificates": address.pki}
    return kind, {**machine, **told}


def _machine(given: Values) -> str:
    """User, host and port as they stand in a URL."""
    host = given.get("host", "")
    user, number = given.get("user", ""), given.get("port", "")
    return (
        (f"{_escaped(user, ':')}@" if user else "")
        + (bracketed(host) if ":" in host else _escaped(host))
        + (f":{_escaped(number)}" if number else "")
    )


def _query(given: Values, names: Mapping[str, str]) -> str:
    """Those parameters of which the field is filled in."""
    told = [(key, given.get(name, "")) for key, name in names.items()]
    terms = [f"{key}={_escaped(text, '/:')}" for key, text in told if text]
    return f"?{'&'.join(terms)}" if terms else ""


def _escaped(text: str, safe: str = "") -> str:
    # A path may have bytes that are no text; what can't be in any comes out as “?”.
    try:
        return quote(text, safe, errors="surrogateescape")
    except UnicodeEncodeError:
        return quote(text, safe, errors="replace")
