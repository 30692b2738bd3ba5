# SPDX-License-Identifier: Apache-2.0
"""What a LUKS header says, whichever version it is of: volume, key slots, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from .image_errors import damaged_luks

Read = Callable[[int, int], bytes]
MAGIC: Final = b"LUKS\xba\xbe"
SECOND_MAGIC: Final = b"SKUL\xba\xbe"
LARGEST_HEADER: Final = 64 << 20
"""Bytes before the encrypted data, at most: cryptsetup's own headers have 2 or 16 MiB."""
FEW_ITERATIONS: Final = 100_000
"""Fewer iterations of PBKDF2 than this protect a key only if it is random by itself."""
_LITTLE_MEMORY: Final = 32 << 10
"""KiB of Argon2; less is as good as none."""


@dataclass(frozen=True, slots=True)
class KeySlot:
    """One key slot in use.

    ``kdf``         ``pbkdf2``, ``argon2i`` or ``argon2id``
    ``iterations``  of PBKDF2, or passes of Argon2
    ``memory_kib``  of Argon2, 0 for PBKDF2
    ``salt``        in hex; another key has another salt
    ``offset``, ``size``  bytes of the key material, from the start of the volume
    """

    number: int
    kdf: str
    hash_name: str
    iterations: int
    memory_kib: int
    salt: str
    offset: int
    size: int

    @property
    def is_fast(self) -> bool:
        """Whether trying a passphrase costs little: right for a random key only."""
        if self.kdf == "pbkdf2":
            return self.iterations < FEW_ITERATIONS
        return self.memory_kib < _LITTLE_MEMORY

    def as_json(self) -> dict[str, object]:
        """The slot with stable field names."""
        return {
            "slot": self.number,
            "kdf": self.kdf,
            "hash": self.hash_name or None,
            "iterations": self.iterations,
            "memory_kib": self.memory_kib or None,
            "for_random_keys_only": self.is_fast,
        }


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """A LUKS header that was read whole.

    ``cipher``          as cryptsetup writes it, such as ``aes-xts-plain64``
    ``key_size``        bytes of the volume key
    ``payload_offset``  where the encrypted data begin, bytes from the volume's start
    ``volume_digest``   hex of what the header holds to recognise the volume key by
    ``damaged_copy``    which of a LUKS2 header's two copies is bad, empty if none is
    ``busy``            a re-encryption or another unfinished change, in LUKS2's words
    """

    version: int
    uuid: str
    cipher: str
    key_size: int
    sector_size: int
    payload_offset: int
    volume_digest: str
    slots: tuple[KeySlot, ...]
    damaged_copy: str = ""
    busy: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of volume and key slots: another one as soon as a key is changed.

        What doesn't matter for who can open it is left out: labels, counters, copies.
        """
        slots = [
            [slot.number, slot.kdf, slot.hash_name, slot.iterations, slot.memory_kib, slot.salt]
            for slot in self.slots
        ]
        volume = [self.version, self.uuid, self.cipher, self.payload_offset, self.volume_digest]
        return hashlib.sha256(json.dumps([volume, slots]).encode()).hexdigest()

    @property
    def is_encrypted(self) -> bool:
        """False for the null cipher: a header that a host may forge to have data in clear."""
        return "null" not in self.cipher

    def slot(self, number: int) -> KeySlot | None:
        """The slot of that number, if it is in use."""
        return next((slot for slot in self.slots if slot.number == number), None)

    def without(self, number: int) -> LuksHeader:
        """The header as it is once a slot is removed."""
        return replace(self, slots=tuple(s for s in self.slots if s.number != number))


def is_luks(start: bytes) -> bool:
    """Whether a volume that begins like this has a LUKS header, whole or half."""
    return start.startswith(MAGIC)


def read_luks(read: Read, size: int) -> LuksHeader:
    """The header of a volume of ``size`` bytes, read from its start.

    Raises BadInput ``image-bad-luks`` and ``image-too-short``.
    """
    from .luks1_header import read_luks1  # noqa: PLC0415 - they import from here
    from .luks2_header import read_luks2  # noqa: PLC0415 - as above

    start = read(0, 8)
    version = int.from_bytes(start[6:8], "big")
    if is_luks(start) and version == 1:
        header = read_luks1(read, size)
    elif is_luks(start) and version != 2:
        raise damaged_luks(f"it says that it is of version {version}; there are 1 and 2")
    else:
        header = read_luks2(read, size)
    if header.payload_offset > LARGEST_HEADER:
        raise damaged_luks("the encrypted data begin too far behind it")
    if header.payload_offset >= size:
        raise damaged_luks("no encrypted data follow it")
    return header
