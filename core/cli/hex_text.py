# SPDX-License-Identifier: Apache-2.0
"""Hex digits as people paste them."""

from __future__ import annotations

from ..base64_text import decode_base64
from ..errors import UsageError


def parse_hex(text: str, field: str, size: int) -> bytes:
    """``size`` bytes from hex, in groups or not; UsageError ``bad-hex``."""
    digits = "".join(text.split()).lower().removeprefix("0x")
    if len(digits) == 2 * size and all(c in "0123456789abcdef" for c in digits):
        return bytes.fromhex(digits)
    raise UsageError(
        "bad-hex",
        f"Can't read {field}",
        f"It takes {2 * size} hex digits ({size} bytes); {len(digits)} characters were given.",
        "Copy the value again, whole.",
    )


def parse_digest(text: str, field: str) -> bytes:
    """32 bytes from hex, or from the base64 that sevctl and sev-snp-measure print; ``bad-hex``."""
    compact = "".join(text.split())
    if len(compact) == 44 and compact.endswith("="):
        return decode_base64(compact, field, 32)
    return parse_hex(text, field, 32)


def parse_nonce(text: str, field: str) -> bytes:
    """16 bytes from hex, or from the base64 that QMP takes; UsageError ``bad-hex``."""
    compact = "".join(text.split())
    if len(compact) == 24 and compact.endswith("=="):
        return decode_base64(compact, field, 16)
    return parse_hex(text, field, 16)
