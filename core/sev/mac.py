# SPDX-License-Identifier: Apache-2.0
"""HMAC-SHA-256 over parts, without copies of the key that can't be wiped."""

from __future__ import annotations

import hmac


def hmac_sha256(key: bytes | memoryview, *parts: bytes) -> bytes:
    """The 32-byte MAC of the parts one after the other.

    The one-shot form reads the key from the view that a secret lends; ``hmac.new``
    would need a ``bytes`` copy of it, which nothing could wipe.
    """
    return hmac.digest(key, b"".join(parts), "sha256")
