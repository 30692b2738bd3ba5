# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the data of an open LUKS volume, sector by sector, where they lie."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..errors import BadInput
from ..secret import Secret
from .disk_access import Disk
from .image_errors import IMAGE, too_short
from .luks_header import LuksHeader

_CIPHER: Final = "aes-xts-plain64"
_NUMBERED: Final = 512
"""Sectors are numbered in units of so many bytes, however large they are."""


class EncryptedVolume:
    """The decrypted view of a LUKS volume that begins at ``start`` of a disk.

    ``size`` in bytes. Offsets and sizes are free; whole sectors are read and written.
    It has a copy of the volume key, which :meth:`close` wipes.
    Raises BadInput ``image-cipher`` for any cipher but AES-XTS, cryptsetup's default.
    """

    def __init__(
        self, disk: Disk, start: int, size: int, header: LuksHeader, volume_key: Secret
    ) -> None:
        if header.cipher != _CIPHER or len(volume_key) not in (32, 64):
            raise BadInput(
                "image-cipher",
                IMAGE,
                f"Its data are encrypted with {header.cipher}; Watchword changes files in"
                f" {_CIPHER} alone.",
                "Replace the key inside the guest, or build the image again.",
                {"cipher": header.cipher},
            )
        self._disk = disk
        self._start = start + header.payload_offset
        self._sector = header.sector_size
        self.size = (size - header.payload_offset) // self._sector * self._sector
        with volume_key.reveal() as key:
            self._key = bytearray(key)
        self._algorithm = algorithms.AES(self._key)

    def close(self) -> None:
        """Wipe the volume key; nothing can be read any more. May be called again."""
        self._key[:] = bytes(len(self._key))

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes at an offset. Raises BadInput ``image-too-short``."""
        first, last = self._span(offset, size)
        data = self._disk.read(self._start + first, last - first)
        plain = b"".join(
            self._decrypted(first + at, data[at : at + self._sector])
            for at in range(0, len(data), self._sector)
        )
        return plain[offset - first : offset - first + size]

    def write(self, offset: int, data: bytes) -> None:
        """Replace bytes; the sectors that they are in are written at once."""
        first, last = self._span(offset, len(data))
        plain = bytearray(self.read(first, last - first))
        plain[offset - first : offset - first + len(data)] = data
        sealed = b"".join(
            self._encrypted(first + at, bytes(plain[at : at + self._sector]))
            for at in range(0, len(plain), self._sector)
        )
        self._disk.write(self._start + first, sealed)

    def _span(self, offset: int, size: int) -> tuple[int, int]:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise too_short()
        first = offset // self._sector * self._sector
        return first, -(-(offset + size) // self._sector) * self._sector

    def _tweak(self, offset: int) -> modes.XTS:
        return modes.XTS((offset // _NUMBERED).to_bytes(16, "little"))

    def _decrypted(self, offset: int, sector: bytes) -> bytes:
        return Cipher(self._algorithm, self._tweak(offset)).decryptor().update(sector)

    def _encrypted(self, offset: int, sector: bytes) -> bytes:
        return Cipher(self._algorithm, self._tweak(offset)).encryptor().update(sector)
