# SPDX-License-Identifier: Apache-2.0
"""What an owner should know of the way to a host before it is used."""

from __future__ import annotations

from typing import Final, NamedTuple

from .urls import HostAddress, TlsAddress

NOT_ENCRYPTED: Final = (
    "The connection to the host is not encrypted; anyone in between can break it."
)


class HostWarning(NamedTuple):
    """``code`` is kebab-case and stable, ``text`` a sentence."""

    code: str
    text: str


def host_warnings(address: HostAddress) -> tuple[HostWarning, ...]:
    """Plain text across a network; a TLS key that others may read. Nothing is connected to."""
    if isinstance(address, TlsAddress):
        from .tls_files import key_warnings  # noqa: PLC0415 - most hosts need no TLS

        return tuple(HostWarning("host-key-readable", text) for text in key_warnings(address))
    if address.plaintext_remote:
        return (HostWarning("host-not-encrypted", NOT_ENCRYPTED),)
    return ()
