# SPDX-License-Identifier: Apache-2.0
r"""The bytes of a vault file.

::

    offset  size  field
    0       16    "watchword vault\n"
    16      2     schema = 1
    18      2     reserved, 0
    20      4     size of the header, H
    24      4     size of the sealed index, I (0 in a session-only vault)
    28      H     header: JSON, not secret
    28+H    I     sealed index: nonce (12), ciphertext, tag (16)
    28+H+I  ...   sealed entries, one after the other, as the index lists them
    end-32  32    SHA-256 of all before it

Integers are little-endian. The SHA-256 at the end has no key: it tells a failing disk from
a wrong passphrase. What somebody changed on purpose is found by the seals.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from ..errors import VaultError
from .damage import damaged
from .header import HEADER_LIMIT

SCHEMA: Final = 1
FILE_LIMIT: Final = 64 * 1024 * 1024

_MAGIC: Final = b"watchword vault\n"
_HEAD: Final = struct.Struct("<16sHHII")
_DIGEST_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class VaultLayout:
    """A vault file taken apart: header (at most 8192 bytes), sealed index, sealed entries."""

    header: bytes
    sealed_index: bytes
    sealed_entries: bytes

    @property
    def associated(self) -> bytes:
        """What the sealed index vouches for: mark, schema and header."""
        return _MAGIC + struct.pack("<HH", SCHEMA, 0) + self.header

    @classmethod
    def parse(cls, data: bytes) -> VaultLayout:
        """Take a file of at most 64 MiB apart.

        Raises VaultError ``vault-damaged`` or ``vault-too-new``.
        """
        if len(data) < _HEAD.size + _DIGEST_SIZE or len(data) > FILE_LIMIT:
            raise damaged(f"it has {len(data)} bytes")
        magic, schema, reserved, header_size, index_size = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise damaged("it does not begin as a vault does")
        body, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
        if not hmac.compare_digest(hashlib.sha256(body).digest(), digest):
            raise damaged("its checksum is wrong")
        if schema > SCHEMA:
            raise _too_new(schema)
        if schema != SCHEMA or reserved or header_size > HEADER_LIMIT:
            raise damaged("its first bytes are not what belongs there")
        index_start = _HEAD.size + header_size
        entries_start = index_start + index_size
        if entries_start > len(body):
            raise damaged("it is cut short")
        return cls(
            body[_HEAD.size : index_start], body[index_start:entries_start], body[entries_start:]
        )

    def build(self) -> bytes:
        """The file. Raises VaultError ``vault-full`` if it would be larger than 64 MiB."""
        head = _HEAD.pack(_MAGIC, SCHEMA, 0, len(self.header), len(self.sealed_index))
        body = b"".join((head, self.header, self.sealed_index, self.sealed_entries))
        if len(body) + _DIGEST_SIZE > FILE_LIMIT:
            raise vault_full()
        return body + hashlib.sha256(body).digest()


def vault_full() -> VaultError:
    """VaultError ``vault-full``."""
    return VaultError(
        "vault-full",
        "The vault is full",
        f"It would have more than {FILE_LIMIT >> 20} MiB or 100,000 entries.",
        "Remove entries that nobody needs.",
    )


def _too_new(schema: int) -> VaultError:
    return VaultError(
        "vault-too-new",
        "A newer Watchword made this vault",
        f"It is of schema {schema}; this version knows {SCHEMA}.",
        "Use the newer version here too. Nothing was changed.",
    )
