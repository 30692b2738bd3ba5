# SPDX-License-Identifier: Apache-2.0
"""Attacks on a guest that really runs: on its packet, and on what no measurement covers."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from .attack import Attack
from .launch_attacks import INJECT
from .secure_processor import SecureProcessor
from .substitution import altered
from .virtual_machine import Disk, StartOrder, VirtualMachine

_EMPTY_DISK = 64 << 20


class SwappedKernel(Attack):
    """The right table, and other bytes."""

    name = "swapped-kernel"
    description = (
        "The host has the hashes of the owner's kernel measured, and hands other bytes to the"
        " firmware: the measurement matches, and only the firmware can refuse."
    )

    def order(self, order: StartOrder, _processor: SecureProcessor) -> StartOrder:
        """The order with other bytes where the kernel is loaded, if there is one."""
        if order.kernel is None:
            return order
        return replace(order, swapped_kernel=altered(order.kernel))


class TamperedPacket(Attack):
    """The packet is altered on its way."""

    name = "tampered-packet"
    description = "The host alters one byte of the packet before the secure processor has it."

    def execute(
        self,
        machine: VirtualMachine,
        command: str,
        arguments: dict[str, object],
        proceed: Callable[[], object],
    ) -> object:
        """The packet with one byte of its ciphertext altered."""
        if command != INJECT:
            return proceed()
        address = arguments.get("gpa")
        sealed = base64.b64decode(str(arguments["secret"]))
        machine.inject_secret(
            str(arguments["packet-header"]),
            base64.b64encode(altered(sealed)).decode(),
            address if isinstance(address, int) else None,
        )
        return {}


class OwnDisk(Attack):
    """Another disk is attached."""

    name = "own-disk"
    description = (
        "The host starts what the owner ordered, with a disk of its own in the place of the"
        " owner's: no measurement covers a disk."
    )

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk
        self._empty: IO[bytes] | None = None

    def order(self, order: StartOrder, _processor: SecureProcessor) -> StartOrder:
        """The order with the host's disk: the one that was given, else an empty one."""
        if self._disk is None:
            self._empty = tempfile.NamedTemporaryFile(prefix="ww-", suffix=".img")  # noqa: SIM115
            self._empty.truncate(_EMPTY_DISK)
            self._disk = Disk(Path(self._empty.name))
        return replace(order, disk=self._disk)

    def ended(self) -> None:
        """Remove the empty disk."""
        if self._empty is not None:
            self._empty.close()
