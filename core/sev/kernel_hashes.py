# SPDX-License-Identifier: Apache-2.0
"""The table of kernel, initrd and command line hashes that QEMU puts into the measured memory."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from ..errors import BadInput
from ..frozen import dataclass
from .guid import Guid

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import ClassVar

TABLE_GUID = Guid.from_text("9438d606-4f22-4cc9-b479-a793d411fd21")
CMDLINE_GUID = Guid.from_text("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
INITRD_GUID = Guid.from_text("44baf731-3a2f-4bd7-9af1-41e29169781d")
KERNEL_GUID = Guid.from_text("4de79437-abd2-427f-b835-d5b172d2045b")

TABLE_SIZE = 168
PADDED_TABLE_SIZE = 176
HASH_SIZE = 32

# Linux takes no longer argument (MAX_ARG_STRLEN), and QEMU gets the text as one.
CMDLINE_LIMIT = 128 << 10

_HEADER = struct.Struct("<16sH")
_ENTRY = struct.Struct("<16sH32s")
_ORDER = (("cmdline", CMDLINE_GUID), ("initrd", INITRD_GUID), ("kernel", KERNEL_GUID))


@dataclass(frozen=True, slots=True)
class KernelHashes:
    """SHA-256 of kernel, initrd and command line (32 bytes each): 176 bytes when built.

    Source: QEMU target/i386/sev.c (build_kernel_loader_hashes).
    """

    kernel: bytes
    initrd: bytes
    cmdline: bytes

    NO_INITRD: ClassVar[bytes] = hashlib.sha256(b"").digest()

    def __post_init__(self) -> None:
        for name in ("kernel", "initrd", "cmdline"):
            value: bytes = getattr(self, name)
            if len(value) != HASH_SIZE:
                raise BadInput(
                    "wrong-size",
                    f"the {name} hash",
                    f"A SHA-256 has {HASH_SIZE} bytes, this has {len(value)}.",
                    "Give the 64 hex digits that sha256sum prints.",
                )

    @classmethod
    def from_streams(
        cls, kernel: Iterable[bytes], initrd: Iterable[bytes] | None, cmdline: str | None
    ) -> KernelHashes:
        """Hash the three things; no initrd counts as an empty one, no command line as "".

        The kernel is the file as it is: QEMU leaves its header alone under SEV.
        """
        return cls(
            kernel=hash_chunks(kernel),
            initrd=cls.NO_INITRD if initrd is None else hash_chunks(initrd),
            cmdline=hash_cmdline(cmdline),
        )

    @classmethod
    def parse(cls, data: bytes) -> KernelHashes:
        """Parse a padded table (176 bytes exactly); raises BadInput ``kernel-hashes-broken``."""
        if len(data) != PADDED_TABLE_SIZE:
            raise _broken(f"it has {len(data)} bytes, not {PADDED_TABLE_SIZE}")
        if data[: _HEADER.size] != _HEADER.pack(TABLE_GUID, TABLE_SIZE):
            raise _broken("its header is another one")
        if any(data[TABLE_SIZE:]):
            raise _broken("its padding is not zero")
        hashes = {}
        entries = _ENTRY.iter_unpack(data[_HEADER.size : TABLE_SIZE])
        for (name, guid), (guid_bytes, length, value) in zip(_ORDER, entries, strict=True):
            if guid_bytes != guid or length != _ENTRY.size:
                raise _broken(f"the {name} entry is not where it belongs")
            hashes[name] = value
        return cls(**hashes)

    def build(self) -> bytes:
        """The padded table, 176 bytes, as it is measured: command line, initrd, kernel."""
        entries = b"".join(
            _ENTRY.pack(guid, _ENTRY.size, getattr(self, name)) for name, guid in _ORDER
        )
        return (_HEADER.pack(TABLE_GUID, TABLE_SIZE) + entries).ljust(PADDED_TABLE_SIZE, b"\0")


def hash_cmdline(text: str | None, field: str = "--cmdline") -> bytes:
    """SHA-256 (32 bytes) of a kernel command line: its UTF-8 bytes, every one, and one NUL.

    Blanks and newlines at the ends count: QEMU hashes what it is given. None is no
    command line, which is the NUL alone. Raises BadInput ``cmdline-unusable``.
    """
    try:
        data = (text or "").encode("utf-8")
    except UnicodeEncodeError:
        raise _bad_cmdline(field, "It has bytes that are not UTF-8.") from None
    if b"\0" in data:
        raise _bad_cmdline(field, "It has a NUL in it; no command line of a VM can.")
    if len(data) > CMDLINE_LIMIT:
        raise _bad_cmdline(field, f"It has {len(data)} bytes, more than QEMU can be given.")
    return hashlib.sha256(data + b"\0").digest()


def hash_chunks(chunks: Iterable[bytes]) -> bytes:
    """SHA-256 (32 bytes) of a stream."""
    running = hashlib.sha256()
    for chunk in chunks:
        running.update(chunk)
    return running.digest()


def _bad_cmdline(field: str, message: str) -> BadInput:
    return BadInput(
        "cmdline-unusable",
        field,
        message,
        "Give the command line exactly as QEMU's -append gets it, or its SHA-256 with the NUL.",
    )


def _broken(why: str) -> BadInput:
    return BadInput(
        "kernel-hashes-broken",
        "kernel hash table",
        f"This is no table of kernel hashes: {why}.",
        "Give the 176 bytes as QEMU puts them into memory.",
    )
