# SPDX-License-Identifier: Apache-2.0
"""The memory of a guest in a real QEMU, as an anonymous file that QEMU maps and this side writes.

The file has no name in any folder: it is gone when its last user is, however that one ends.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

LOW_MEMORY = 2 << 30
"""Below this address a byte's place in the file is its address, whatever the machine's size."""

_CHUNK = 1 << 20


class RamFile:
    """Guest RAM of ``size`` bytes; ``descriptor`` is what QEMU opens by number.

    Raises OSError where the system gives no memory for it.
    """

    __slots__ = ("_reach", "descriptor", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.descriptor = os.memfd_create("guest-ram", os.MFD_CLOEXEC)
        self._reach = min(size, LOW_MEMORY)
        os.ftruncate(self.descriptor, size)

    def __repr__(self) -> str:
        return f"<guest memory of {self.size} bytes in a file>"

    def contains(self, address: int, length: int) -> bool:
        """Whether the whole range is RAM that can be written here."""
        return address >= 0 and address + length <= self._reach

    def write(self, address: int, data: bytes) -> None:
        """Put ``data`` at a guest physical address; :meth:`contains` says whether that is RAM."""
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(self.descriptor, view[done:], address + done)

    def read(self, address: int, length: int) -> bytes:
        """The bytes at a guest physical address."""
        return os.pread(self.descriptor, length, address)

    def holds(self, needle: bytes) -> bool:
        """Whether these bytes lie anywhere in it now; reads all that was ever written."""
        if self.descriptor < 0:
            return False
        return any(needle in piece for piece in self._pieces(len(needle)))

    def wipe(self) -> None:
        """Let go of it; the system clears it once QEMU has ended, too. May be called again."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _pieces(self, overlap: int) -> Iterator[bytes]:
        position = 0
        while True:
            try:
                start = os.lseek(self.descriptor, position, os.SEEK_DATA)
            except OSError as fault:
                if fault.errno == errno.ENXIO:  # nothing but holes from here
                    return
                raise
            position = os.lseek(self.descriptor, start, os.SEEK_HOLE)
            for offset in range(start, position, _CHUNK):
                yield self.read(offset, min(_CHUNK + overlap, position - offset))
