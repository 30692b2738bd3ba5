# SPDX-License-Identifier: Apache-2.0
"""The memory of a simulated guest, as the guest itself would see it (in the clear)."""

from __future__ import annotations

from typing import Protocol

PAGE_SIZE = 4096


class Memory(Protocol):
    """RAM of a guest, as the machine that starts it needs it."""

    def contains(self, address: int, length: int) -> bool:
        """Whether the whole range is RAM."""

    def write(self, address: int, data: bytes) -> None:
        """Put ``data`` at a guest physical address; :meth:`contains` says whether that is RAM."""

    def read(self, address: int, length: int) -> bytes:
        """The bytes at a guest physical address."""

    def holds(self, needle: bytes) -> bool:
        """Whether these bytes lie anywhere in it."""

    def wipe(self) -> None:
        """Give it up: nothing that was written can be read any more."""


class GuestMemory:
    """Sparse guest RAM of ``size`` bytes; what was never written reads as zero."""

    __slots__ = ("_pages", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._pages: dict[int, bytearray] = {}

    def __repr__(self) -> str:
        return f"<guest memory of {self.size} bytes>"

    def contains(self, address: int, length: int) -> bool:
        """Whether the whole range is RAM."""
        return address >= 0 and address + length <= self.size

    def write(self, address: int, data: bytes) -> None:
        """Put ``data`` at a guest physical address; :meth:`contains` says whether that is RAM."""
        done = 0
        while done < len(data):
            number, offset = divmod(address + done, PAGE_SIZE)
            piece = data[done : done + PAGE_SIZE - offset]
            page = self._pages.setdefault(number, bytearray(PAGE_SIZE))
            page[offset : offset + len(piece)] = piece
            done += len(piece)

    def read(self, address: int, length: int) -> bytes:
        """The bytes at a guest physical address."""
        found = bytearray()
        while len(found) < length:
            number, offset = divmod(address + len(found), PAGE_SIZE)
            page = self._pages.get(number, bytes(PAGE_SIZE))
            found += page[offset : offset + length - len(found)]
        return bytes(found)

    def holds(self, needle: bytes) -> bool:
        """Whether these bytes lie anywhere in what was written (within one run of pages)."""
        run, before = bytearray(), -2
        for number in sorted(self._pages):
            if number != before + 1:
                run.clear()
            run += self._pages[number]
            before = number
            if needle in run:
                return True
        return False

    def wipe(self) -> None:
        """Overwrite everything that was written."""
        for page in self._pages.values():
            page[:] = bytes(PAGE_SIZE)
        self._pages.clear()
