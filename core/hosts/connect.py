# SPDX-License-Identifier: Apache-2.0
"""Connects to a host by its address, whichever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kubevirt_url import KubevirtAddress
from .libvirt_url import LibvirtAddress
from .limits import DEFAULT_LIMITS, HostLimits
from .urls import HostAddress

if TYPE_CHECKING:
    from .protocol import Host


async def connect_host(address: HostAddress, limits: HostLimits = DEFAULT_LIMITS) -> Host:
    """The host, connected, which the caller closes; nothing is left when it fails.

    Raises HostError, BadInput for the owner's own files, and UsageError ``host-not-by-qmp``
    for a folder that is carried by hand.
    """
    # Each brings modules that the others don't need.
    if isinstance(address, LibvirtAddress):
        from .libvirt import LibvirtHost  # noqa: PLC0415

        return await LibvirtHost.connect(address, limits)
    if isinstance(address, KubevirtAddress):
        from .kubevirt import KubevirtHost  # noqa: PLC0415

        return await KubevirtHost.connect(address, limits)
    from .qmp import QmpHost  # noqa: PLC0415

    return await QmpHost.connect(address, limits)
