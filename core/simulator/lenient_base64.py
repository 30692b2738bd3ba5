# SPDX-License-Identifier: Apache-2.0
"""Base64 as GLib decodes it for QEMU: what is not in the alphabet is skipped, never an error.

Source: GLib g_base64_decode, which QEMU uses for session files and secret packets. That
leniency is why a raw file instead of a base64 one shows up as "Buffer too small".
"""

from __future__ import annotations

import binascii
import re

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=]")


def lenient_decode(text: bytes) -> bytes:
    """The decoded bytes; an incomplete last group of four is dropped."""
    kept = _FOREIGN.sub(b"", text)
    kept = kept[: len(kept) // 4 * 4]
    decoded = binascii.a2b_base64(kept.replace(b"=", b"A"))
    # A padding sign in the third or fourth place of its group stands for a missing byte.
    missing = [
        sign.start() // 4 * 3 + sign.start() % 4 - 1
        for sign in re.finditer(b"=", kept)
        if sign.start() % 4 >= 2
    ]
    starts, ends = (0, *(index + 1 for index in missing)), (*missing, len(decoded))
    return b"".join(decoded[start:end] for start, end in zip(starts, ends, strict=True))
