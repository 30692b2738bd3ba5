# SPDX-License-Identifier: Apache-2.0
"""HMAC-SHA-256 over parts, without copies of the key that can't be wiped."""

from __future__ import annotations

import hmac


def hmac_sha256(key: bytes | memoryview, *parts: bytes) -> bytes:
    """The 32-byte MAC of the parts one after the other.

    The standard library takes a ``bytearray`` but no view, so a secret's view is
    followed to the buffer that it shows: a ``bytes`` copy of it could never be wiped.
    ``cryptography`` would take the view, and costs a plain comparison half its time.
    """
    mac = hmac.new(_buffer(key), digestmod="sha256")
    for part in parts:
        mac.update(part)
    return mac.digest()


def _buffer(key: bytes | memoryview) -> bytes | bytearray:
    if isinstance(key, bytes):
        return key
    shown = key.obj
    # A view of a part, or in another order, shows the buffer but is not the same bytes.
    if isinstance(shown, bytearray) and key.c_contiguous and len(shown) == key.nbytes:
        return shown
    return bytes(key)
