# SPDX-License-Identifier: Apache-2.0
"""Brings a changed LUKS header back to its disk in an order that survives a crash at any point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .disk_access import Disk

BLOCK: Final = 4096
"""Bytes that are written at once: a page, which a killed process leaves whole."""
_LUKS2_COPIES: Final = 2


def write_header(
    disk: Disk,
    start: int,
    before: bytes,
    after: bytes,
    observe: Callable[[str], object] = lambda _: None,
) -> None:
    """Write the blocks in which ``after`` differs to where the header lies.

    Key material first, then LUKS2's second copy, and last the first header: until that is
    there, whoever reads the disk finds the keys as they were. ``start`` is the volume's
    offset on the disk.
    """
    changed = [
        at
        for at in range(0, len(after), BLOCK)
        if before[at : at + BLOCK] != after[at : at + BLOCK]
    ]
    first, second = _copies(after)
    material = [at for at in changed if at >= second[1]]
    for name, blocks in (
        ("key-material", material),
        ("second-header", [at for at in changed if second[0] <= at < second[1]]),
        # A LUKS2 header is checked as a whole, so the order of its blocks doesn't matter.
        ("first-header", [at for at in changed if first[0] <= at < first[1]]),
    ):
        for at in blocks:
            disk.write(start + at, after[at : at + BLOCK])
            observe(f"{name}-block")
        if blocks:
            disk.flush()
            observe(name)


def _copies(header: bytes) -> tuple[tuple[int, int], tuple[int, int]]:
    """From where to where the first header reaches, and its second copy."""
    if int.from_bytes(header[6:8], "big") != _LUKS2_COPIES:
        return (0, BLOCK), (BLOCK, BLOCK)
    size = int.from_bytes(header[8:16], "big")
    return (0, size), (size, 2 * size)
