# SPDX-License-Identifier: Apache-2.0
"""Builds a small guest firmware whose footer is right, or wrong in any way a test wants."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from ..errors import UsageError
from .firmware_footer import (
    ENTRY_TAIL,
    FOOTER_GUID,
    HASH_AREA_GUID,
    RESET_BLOCK_GUID,
    SECRET_AREA_GUID,
    TABLE_END,
    MemoryArea,
)

DEFAULT_SIZE = 64 * 1024
DEFAULT_RESET = 0x80B004
DEFAULT_SECRET_AREA = MemoryArea(0x810000, 0xC00)
DEFAULT_HASH_AREA = MemoryArea(0x810C00, 0x400)


@dataclass(frozen=True, slots=True)
class FirmwareRecipe:
    """What a built firmware declares; an entry given as None is left out of the table.

    ``size`` is the image's size in bytes. ``seed`` decides the code bytes: the same seed gives
    the same image. ``footer`` False leaves the whole table out.
    """

    size: int = DEFAULT_SIZE
    seed: str = "watchword"
    reset_address: int | None = DEFAULT_RESET
    secret_area: MemoryArea | None = DEFAULT_SECRET_AREA
    hash_area: MemoryArea | None = DEFAULT_HASH_AREA
    footer: bool = True


def build_firmware(recipe: FirmwareRecipe | None = None) -> bytes:
    """An image as edk2's AmdSev package lays it out: code, GUIDed table, 32-byte reset vector.

    The code is noise: nothing ever runs it. Raises UsageError ``firmware-too-small`` where
    the table doesn't fit into the size.
    """
    recipe = recipe or FirmwareRecipe()
    tail = (_table(recipe) if recipe.footer else b"") + bytes(TABLE_END - 16) + b"\xf4" * 16
    if recipe.size < len(tail):
        raise UsageError(
            "firmware-too-small",
            "The firmware can't be built",
            f"The table and the reset vector need {len(tail)} bytes, the image has {recipe.size}.",
            "Ask for a larger image; 65536 bytes is usual here.",
        )
    code = hashlib.shake_256(b"simulated firmware " + recipe.seed.encode())
    return code.digest(recipe.size - len(tail)) + tail


def _table(recipe: FirmwareRecipe) -> bytes:
    entries = b""
    if recipe.hash_area is not None:
        entries += _entry(HASH_AREA_GUID, _area(recipe.hash_area))
    if recipe.secret_area is not None:
        entries += _entry(SECRET_AREA_GUID, _area(recipe.secret_area))
    if recipe.reset_address is not None:
        entries += _entry(RESET_BLOCK_GUID, struct.pack("<I", recipe.reset_address))
    return entries + ENTRY_TAIL.pack(len(entries) + ENTRY_TAIL.size, FOOTER_GUID)


def _entry(guid: bytes, data: bytes) -> bytes:
    return data + ENTRY_TAIL.pack(len(data) + ENTRY_TAIL.size, guid)


def _area(area: MemoryArea) -> bytes:
    return struct.pack("<II", area.base, area.size)
