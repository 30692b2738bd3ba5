# SPDX-License-Identifier: Apache-2.0
"""Whether a host is this very machine: then its verdict about itself is worth nothing."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Final

from ..errors import UsageError
from .kubevirt_url import KubevirtAddress
from .libvirt_url import LibvirtAddress
from .url_parts import is_loopback
from .urls import ExchangeAddress, HostAddress, UnixAddress, parse_host_url

LOCAL_WARNING: Final = (
    "This host is this very machine, by its URL. Unless that is the near end of a tunnel, whoever "
    "rules this machine rules VM, program and verdict alike, and what is verified here proves "
    "nothing about it. Judge a host from another machine, one that you trust without proof."
)
"""What is said of a real launch on a local host, in CLI, records and window."""

_LOOPBACK_NAMES: Final = ("ip6-localhost", "ip6-loopback")
"""As Debian's /etc/hosts has them for ::1, beside localhost. A name server could give them to
somebody else: a connection that goes by such a name is warned of as any other one."""


def is_local(host: str | HostAddress) -> bool:
    """Whether a host's URL or address leads to this machine, as far as can be told from it.

    True for a unix socket, for loopback names and addresses, and for this machine's own name
    and addresses. False for what is carried by hand, for other names (none is looked up), for
    no URL at all, and for what is none.
    """
    try:
        address = parse_host_url(host) if isinstance(host, str) else host
    except UsageError:
        return False
    if isinstance(address, ExchangeAddress | KubevirtAddress):
        return False
    if isinstance(address, LibvirtAddress):
        return address.host is None or is_loopback(address.host) or _is_ours(address.host)
    return isinstance(address, UnixAddress) or is_loopback(address.host) or _is_ours(address.host)


def local_warnings(host: str | HostAddress, *, simulated: bool) -> tuple[str, ...]:
    """What is to be said of a launch on this host; nothing of a rehearsal, which proves nothing."""
    return (LOCAL_WARNING,) if not simulated and is_local(host) else ()


def _is_ours(host: str) -> bool:
    name = host.lower().rstrip(".")
    if name in _LOOPBACK_NAMES:
        return True
    own = socket.gethostname().lower()
    if name in (own, own.partition(".")[0]):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # Only an address of this machine's can be bound to; nothing is sent.
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address).partition("%")[0], 0))
        return not (address.is_multicast or address.is_link_local)
    return False
