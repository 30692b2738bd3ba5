# SPDX-License-Identifier: Apache-2.0
"""Small pieces to build the world of a launch from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ..hosts.protocol import Host
from .sev_plan import OpenHost


def opener(connect: Callable[[], Awaitable[Host]]) -> OpenHost:
    """Opens a host with ``connect`` for as long as a step lasts, and closes it in any case."""

    @asynccontextmanager
    async def open_host() -> AsyncIterator[Host]:
        host = await connect()
        try:
            yield host
        finally:
            await host.close()

    return open_host
