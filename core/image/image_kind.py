# SPDX-License-Identifier: Apache-2.0
"""Tells raw images from QCOW2, and refuses QCOW2 that would have QEMU open other files."""

from __future__ import annotations

from typing import Final

from ..files import read_chunks
from .qcow2_header import MAGIC, SIZE, Qcow2Header

_LARGEST: Final = 1 << 50


def image_kind(path: str, field: str, kind: str | None = None) -> str:
    """``raw`` or ``qcow2``: as ``kind`` says, else as the image's first bytes do. Blocks.

    Raises BadInput as ``read_chunks`` and ``Qcow2Header.parse`` do.
    """
    first = next(read_chunks(path, field, chunk=SIZE, limit=_LARGEST), b"")
    kind = kind or ("qcow2" if first.startswith(MAGIC) else "raw")
    if kind == "qcow2":
        Qcow2Header.parse(first)  # one that names other files would have QEMU open them
    return kind
