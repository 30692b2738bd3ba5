# SPDX-License-Identifier: Apache-2.0
"""Hex digits as people paste them."""

from __future__ import annotations

from ..errors import UsageError


def parse_hex(text: str, field: str, size: int) -> bytes:
    """``size`` bytes from hex; UsageError ``bad-hex``."""
    digits = text.strip().lower().removeprefix("0x")
    if len(digits) == 2 * size and all(c in "0123456789abcdef" for c in digits):
        return bytes.fromhex(digits)
    raise UsageError(
        "bad-hex",
        f"Can't read {field}",
        f"It takes {2 * size} hex digits ({size} bytes); {len(digits)} characters were given.",
        "Copy the value again, whole.",
    )
