# SPDX-License-Identifier: Apache-2.0
"""HMAC-SHA-256 over parts, without copies of the key that can't be wiped."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, hmac


def hmac_sha256(key: bytes | memoryview, *parts: bytes) -> bytes:
    """The 32-byte MAC of the parts one after the other.

    ``cryptography`` takes the key as a view; the standard library's ``hmac``
    would need a ``bytes`` copy of it.
    """
    mac = hmac.HMAC(key, hashes.SHA256())
    for part in parts:
        mac.update(part)
    return mac.finalize()
