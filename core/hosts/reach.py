# SPDX-License-Identifier: Apache-2.0
"""Opens the way to a QMP address, whichever kind it is."""

from __future__ import annotations

import asyncio

from .dial import dial
from .limits import HostLimits
from .link import Link
from .ssh_url import SshAddress
from .tls_url import TlsAddress
from .urls import QmpAddress


async def reach(address: QmpAddress, limits: HostLimits) -> Link:
    """A link to the address, which the caller closes; nothing is left when it fails.

    Raises HostError for whatever keeps it from getting there, and BadInput for the owner's
    own files.
    """
    # Most hosts need neither, and both bring modules of their own.
    if isinstance(address, SshAddress):
        from .ssh_link import open_ssh_link  # noqa: PLC0415

        return await open_ssh_link(address, limits)
    if isinstance(address, TlsAddress):
        from .tls_link import open_tls_link  # noqa: PLC0415

        return await open_tls_link(address, limits)
    connection = await dial(address, limits)
    try:
        return Link(*await asyncio.open_connection(sock=connection, limit=limits.message_bytes))
    except BaseException:
        connection.close()
        raise
