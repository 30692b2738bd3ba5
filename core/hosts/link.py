# SPDX-License-Identifier: Apache-2.0
"""A connected stream to a host's QMP server, together with whatever holds it open."""

from __future__ import annotations

import asyncio

from ..errors import HostError


class Link:
    """A byte stream that is connected; the plain one, of a socket alone.

    ``over_tls``  whether QEMU reads it through TLS
    """

    over_tls = False

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def explain(self, failure: HostError) -> HostError:
        """The same failure, or a better account of it where the link knows more; bounded."""
        return failure

    def close(self) -> None:
        """Close at once, and end what holds the link open; may be called again."""
        self.writer.transport.abort()
