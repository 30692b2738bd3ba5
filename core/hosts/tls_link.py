# SPDX-License-Identifier: Apache-2.0
"""A link over TLS: certificates verified both ways before anything is said."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Self

from ..errors import HostError
from .dial import dial
from .limits import HostLimits
from .link import Link
from .tls_errors import handshake_failed, no_handshake, refused_after_handshake
from .tls_files import tls_context
from .tls_url import TlsAddress


class TlsLink(Link):
    """A stream whose other end has proved its name."""

    over_tls = True

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: TlsAddress
    ) -> None:
        super().__init__(reader, writer)
        self._address = address

    @classmethod
    async def over(
        cls,
        connection: socket.socket,
        context: ssl.SSLContext,
        address: TlsAddress,
        limits: HostLimits,
    ) -> Self:
        """The link, once TLS stands. Raises HostError as in tls_errors.py."""
        failure: HostError
        try:
            async with asyncio.timeout(limits.connect_seconds):
                streams = await asyncio.open_connection(
                    sock=connection,
                    ssl=context,
                    server_hostname=address.name_to_verify,
                    limit=limits.message_bytes,
                )
            return cls(*streams, address)
        except TimeoutError:
            failure = no_handshake(address, limits.connect_seconds)
        except OSError as error:
            failure = handshake_failed(address, error)
        raise failure

    async def explain(self, failure: HostError) -> HostError:
        """Before the greeting: that the host most likely did not accept our certificate."""
        if failure.code != "host-closed-connection" or "command" in failure.details:
            return failure
        return refused_after_handshake(self._address, self.reader.exception()) or failure


async def open_tls_link(address: TlsAddress, limits: HostLimits) -> TlsLink:
    """A link to the address, within twice ``connect_seconds``; nothing is left when it fails.

    Raises HostError as in tls_errors.py and as ``dial``, and BadInput as ``tls_context``.
    """
    context = tls_context(address)
    connection = await dial(address, limits)
    try:
        return await TlsLink.over(connection, context, address, limits)
    except BaseException:
        connection.close()
        raise
