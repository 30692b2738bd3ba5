# SPDX-License-Identifier: Apache-2.0
"""Reads the header of a qcow2 image as far as is needed to know that it stands alone.

Source: QEMU, docs/interop/qcow2.txt.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

from ..errors import BadInput
from .image_errors import IMAGE

MAGIC: Final = b"QFI\xfb"
SIZE: Final = 104
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQQQQII")  # 104 bytes
_EXTERNAL_DATA: Final = 1 << 2
_CORRUPT: Final = 1 << 1
_DIRTY: Final = 1 << 0
_KNOWN: Final = 0b11111
_LARGEST: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """``size`` of the guest's disk in bytes; ``snapshots`` that the file holds inside."""

    version: int
    size: int
    snapshots: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the first 104 bytes of a file.

        Raises BadInput ``image-bad-qcow2``, and ``image-not-alone`` for one that names other
        files: whoever made it could have any file of yours read.
        """
        if len(data) < SIZE or not data.startswith(MAGIC):
            raise _bad("it does not begin as one")
        fields = _HEADER.unpack_from(data)
        version, backing, cluster_bits = fields[1], fields[2], fields[4]
        size, crypt, snapshots = fields[5], fields[6], fields[11]
        if version not in (2, 3):
            raise _bad(f"it is of version {version}; there are 2 and 3")
        if not 9 <= cluster_bits <= 21 or not 0 < size <= _LARGEST:
            raise _bad("its sizes are none that it could have")
        incompatible = fields[13] if version == 3 else 0
        if backing or incompatible & _EXTERNAL_DATA:
            raise _not_alone("a backing file" if backing else "a data file")
        if crypt:
            raise _bad("QEMU itself would decrypt it, on the host: this is no guest's encryption")
        if incompatible & ~_KNOWN:
            raise _bad("it uses features that Watchword does not know")
        if incompatible & (_CORRUPT | _DIRTY):
            raise _bad("it was not closed in order; `qemu-img check -r all` may mend it")
        return cls(version, size, snapshots)


def _bad(what: str) -> BadInput:
    return BadInput(
        "image-bad-qcow2",
        IMAGE,
        f"This qcow2 file can't be used: {what}.",
        "Take another copy of the image, or build it again.",
    )


def _not_alone(what: str) -> BadInput:
    return BadInput(
        "image-not-alone",
        IMAGE,
        f"This qcow2 file names {what}. Whoever made it chose that file, and it could be any of"
        " yours; so it is not opened.",
        "If it is your own image, make one that stands alone:"
        " `qemu-img convert -f qcow2 -O qcow2 IMAGE NEW`.",
    )
