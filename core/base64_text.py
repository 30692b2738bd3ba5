# SPDX-License-Identifier: Apache-2.0
"""Strict base64, and a clear word to somebody who gives PEM where it does not belong."""

from __future__ import annotations

import base64
import re

from .errors import BadInput

_JUNK = re.compile(rb"[^A-Za-z0-9+/=\s]")
_WHITESPACE = re.compile(rb"\s+")
_PADDING_INSIDE = re.compile(rb"=\s*[^=\s]")
_PEM_MARK = b"-----BEGIN"
# A PEM file may have lines of explanation before its first mark.
_PEM_SEARCHED = 4096


def decode_base64(text: str | bytes, field: str, limit: int) -> bytes:
    """Decode standard base64 (RFC 4648 section 4) to at most ``limit`` bytes.

    Whitespace may stand anywhere, as QEMU's and libvirt's files wrap their lines;
    everything else is strict. Raises BadInput ``pem-not-expected``,
    ``base64-junk`` (with the position), ``base64-cut``, ``base64-empty`` or
    ``base64-too-large``.
    """
    raw = _as_ascii(text, field)
    # Bounded before any work; wrapped lines need less than half as much again.
    if len(raw) > 2 * limit + 1024:
        raise _too_large(field, limit)
    refuse_pem(raw, field)
    if junk := _JUNK.search(raw) or _PADDING_INSIDE.search(raw):
        raise _junk(raw, junk.end() - 1, field)
    compact = _WHITESPACE.sub(b"", raw)
    if not compact:
        raise BadInput(
            "base64-empty", field, "There is nothing in it.", "Give the base64 text as it was made."
        )
    decoded = _decode_compact(compact, field)
    if len(decoded) > limit:
        raise _too_large(field, limit)
    return decoded


def refuse_pem(data: bytes, field: str) -> None:
    """Raise BadInput ``pem-not-expected`` if the data is PEM text.

    People who know X.509 try PEM files first; SEV's certificates and blobs have
    binary forms of their own.
    """
    if _PEM_MARK in data[:_PEM_SEARCHED]:
        raise BadInput(
            "pem-not-expected",
            field,
            "This is a PEM file. SEV and SEV-ES use AMD's own binary certificates and blobs.",
            "Give the file in binary form, or that binary form in base64 without the BEGIN line.",
        )


def _as_ascii(text: str | bytes, field: str) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as fault:
        raise _junk(text[: fault.start].encode("ascii") + b"?", fault.start, field) from None


def _decode_compact(compact: bytes, field: str) -> bytes:
    cut = BadInput(
        "base64-cut",
        field,
        f"The base64 text ends in the middle: {len(compact)} characters without blanks.",
        "Copy it again, whole, with the equals signs at its end.",
    )
    padding = len(compact) - len(compact.rstrip(b"="))
    if len(compact) % 4 or padding > 2:
        raise cut
    decoded = base64.b64decode(compact)
    # Bits that mean nothing must be zero: one value has one text.
    if base64.b64encode(decoded) != compact:
        raise cut
    return decoded


def _too_large(field: str, limit: int) -> BadInput:
    return BadInput(
        "base64-too-large",
        field,
        f"The base64 text stands for more than the {limit} bytes that can belong there.",
        "It is most likely another text: check which one goes where.",
        {"limit": limit},
    )


def _junk(raw: bytes, position: int, field: str) -> BadInput:
    line = raw.count(b"\n", 0, position) + 1
    column = position - (raw.rfind(b"\n", 0, position) + 1) + 1
    return BadInput(
        "base64-junk",
        field,
        f"It is not base64: the character at line {line}, column {column} has no place there.",
        "Give the base64 text alone, with nothing before, between or after it.",
        {"position": position, "line": line, "column": column},
    )
