# SPDX-License-Identifier: Apache-2.0
"""Asks a paused QEMU what its fw_cfg device will hand to the firmware as the kernel.

Without SEV, QEMU edits the kernel's setup header before the firmware reads it (loader type,
command line address, where the initrd goes): which bytes depends on its version, on memory
and initrd. So they are read from the device itself, over QEMU's own test channel.
Source: QEMU docs/specs/fw_cfg (selectors, DMA), docs/devel/testing/qtest.
"""

from __future__ import annotations

import asyncio
import struct

from .qemu_errors import kernel_not_served, qemu_gone
from .ram_file import RamFile

_KERNEL_SIZE, _SETUP_SIZE, _SETUP_DATA = 0x08, 0x17, 0x18
_SELECT, _READ = 0x08, 0x02
_ACCESS = struct.Struct(">IIQ")
_NUMBER = struct.Struct("<I")
_DMA_HIGH, _DMA_LOW = 0x514, 0x518
_REQUEST_AT = 16 << 20
_ANSWER_AT = _REQUEST_AT + 4096
_MOST_SETUP = 64 << 10
_HEADER_END = 0x268
"""Where the setup header ends in every version of the boot protocol so far."""


class FwCfgReader:
    """Reads items of fw_cfg into guest memory that nobody uses yet, and clears that again."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ram: RamFile
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._ram = ram

    async def visible_kernel(self, kernel: bytes) -> bytes:
        """The owner's kernel with the setup header that the firmware will read.

        Raises BadInput ``kernel-not-bootable`` where QEMU changes anything beside that.
        """
        size = _NUMBER.unpack(await self._item(_SETUP_SIZE, _NUMBER.size))[0]
        rest = _NUMBER.unpack(await self._item(_KERNEL_SIZE, _NUMBER.size))[0]
        if not _HEADER_END <= size <= _MOST_SETUP or size + rest != len(kernel):
            raise kernel_not_served("it is no bzImage, or QEMU adds something to it")
        setup = await self._item(_SETUP_DATA, size)
        if setup[_HEADER_END:] != kernel[_HEADER_END:size]:
            raise kernel_not_served("more than its setup header is changed")
        return setup + kernel[size:]

    async def _item(self, selector: int, length: int) -> bytes:
        request = _ACCESS.pack(selector << 16 | _SELECT | _READ, length, _ANSWER_AT)
        self._ram.write(_REQUEST_AT, request)
        await self._out(_DMA_HIGH, 0)
        # The register is big-endian, and the channel writes as an x86 processor does.
        await self._out(_DMA_LOW, int.from_bytes(_NUMBER.pack(_REQUEST_AT), "big"))
        ended = self._ram.read(_REQUEST_AT, _NUMBER.size)
        answer = self._ram.read(_ANSWER_AT, length)
        self._ram.write(_REQUEST_AT, bytes(len(request)))
        self._ram.write(_ANSWER_AT, bytes(length))
        if any(ended):
            raise kernel_not_served("its fw_cfg device does not answer")
        return answer

    async def _out(self, port: int, value: int) -> None:
        self._writer.write(f"outl {port:#x} {value:#x}\n".encode())
        await self._writer.drain()
        if (await self._reader.readline()).strip() != b"OK":
            raise qemu_gone()
