# SPDX-License-Identifier: Apache-2.0
"""Reads LUKS1 headers: 592 bytes, eight key slots, no checksum.

Source: LUKS On-Disk Format Specification, version 1.2.3.
"""

from __future__ import annotations

import re
import struct
import uuid
from typing import Final

from .image_errors import damaged_luks
from .luks_header import KeySlot, LuksHeader, Read

SIZE: Final = 592
SECTOR: Final = 512
_FIXED: Final = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT: Final = struct.Struct(">II32sII")
_SLOTS: Final = 8
_ACTIVE: Final = 0x00AC71F3
_DISABLED: Final = 0x0000DEAD
_STRIPES: Final = 4000
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,30}", re.ASCII)
_KEY_SIZES: Final = frozenset((16, 24, 32, 48, 64))


def read_luks1(read: Read, size: int) -> LuksHeader:
    """The header of a LUKS1 volume of ``size`` bytes. Raises BadInput ``image-bad-luks``."""
    data = read(0, SIZE)
    _, _, cipher, mode, hashed, payload, key_size, digest, salt, _, identity = _FIXED.unpack_from(
        data
    )
    hash_name = _word(hashed, "hash")
    if key_size not in _KEY_SIZES:
        raise damaged_luks(f"a volume key of {key_size} bytes is none that it could have")
    slots = []
    for number in range(_SLOTS):
        fields = _SLOT.unpack_from(data, _FIXED.size + number * _SLOT.size)
        slot = _slot(number, fields, hash_name, key_size)
        if slot is None:
            continue
        if slot.offset < SIZE or slot.offset + slot.size > payload * SECTOR:
            raise damaged_luks(f"the key of slot {number} lies outside the header")
        slots.append(slot)
    if payload * SECTOR > size:
        raise damaged_luks("its data begin beyond the end")
    return LuksHeader(
        1,
        _uuid(identity),
        f"{_word(cipher, 'cipher')}-{_word(mode, 'mode')}",
        key_size,
        SECTOR,
        payload * SECTOR,
        (digest + salt).hex(),
        tuple(slots),
    )


def _slot(
    number: int, fields: tuple[int, int, bytes, int, int], hash_name: str, key_size: int
) -> KeySlot | None:
    state, iterations, salt, offset, stripes = fields
    if state == _DISABLED:
        return None
    if state != _ACTIVE or stripes != _STRIPES or iterations < 1:
        raise damaged_luks(f"key slot {number} is neither in use nor free")
    return KeySlot(
        number,
        "pbkdf2",
        hash_name,
        iterations,
        0,
        salt.hex(),
        offset * SECTOR,
        key_size * stripes,
    )


def _word(field: bytes, name: str) -> str:
    text = field.partition(b"\0")[0].decode("ascii", "replace")
    if not _WORD.fullmatch(text):
        raise damaged_luks(f"the name of its {name} is none")
    return text


def _uuid(field: bytes) -> str:
    text = field.partition(b"\0")[0].decode("ascii", "replace")
    try:
        same = str(uuid.UUID(text)) == text.lower()
    except ValueError:
        same = False
    if not same:
        raise damaged_luks("its UUID is none")
    return text.lower()
