# SPDX-License-Identifier: Apache-2.0
"""GUIDs as firmware images hold them, without the module ``uuid``, which costs 4 ms to import."""

from __future__ import annotations


class Guid(bytes):
    """The 16 bytes of a GUID as they stand in memory: its first three groups little-endian."""

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> Guid:
        """The GUID of a text such as ``96b582de-1fb2-45f7-baea-a366c55a082d`` in the source."""
        first, second, third, *rest = (bytes.fromhex(group) for group in text.split("-"))
        return cls(b"".join((first[::-1], second[::-1], third[::-1], *rest)))

    def __str__(self) -> str:
        ordered = self[3::-1] + self[5:3:-1] + self[7:5:-1] + self[8:]
        digits = ordered.hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
