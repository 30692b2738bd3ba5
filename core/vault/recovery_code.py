# SPDX-License-Identifier: Apache-2.0
"""The code on paper that opens a vault when its other key is lost.

160 random bits in Crockford's base32 (no I, L, O or U), then 20 bits of checksum: nine
groups of four characters. It needs no stretching: nobody can try 2^160 codes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Final

from ..errors import VaultError
from ..secret import Secret
from .key_box import derive_key

CODE_SIZE: Final = 20
LONGEST_TYPED: Final = 1024

_ALPHABET: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# What people read one character for: O for zero, I and L for one, small for capital.
_VALUES: Final = {
    **{character: value for value, character in enumerate(_ALPHABET)},
    **{character: value for value, character in enumerate(_ALPHABET.lower())},
    **dict.fromkeys(b"Oo", 0),
    **dict.fromkeys(b"IiLl", 1),
}
_IGNORED: Final = b"- \t\r\n"
_DATA_CHARACTERS: Final = 32
_CHARACTERS: Final = 36
_GROUP: Final = 4


def new_recovery_code(random_bytes: Callable[[int], bytes] = os.urandom) -> Secret:
    """A new code as text: nine groups of four characters with hyphens, 44 bytes of ASCII."""
    raw = bytearray(random_bytes(CODE_SIZE))
    digits = bytearray()
    text = bytearray()
    try:
        digits += _digits_of(raw) + _checksum(raw)
        for start in range(0, _CHARACTERS, _GROUP):
            text += b"-" * bool(start)
            text += bytes(_ALPHABET[digit] for digit in digits[start : start + _GROUP])
        return Secret(text)
    finally:
        for buffer in (raw, digits, text):
            buffer[:] = bytes(len(buffer))


def recovery_key(code: Secret, vault_id: bytes) -> Secret:
    """The 32-byte key that a code stands for in one vault; hyphens, blanks, case don't matter.

    Raises VaultError ``recovery-code-mistyped``.
    """
    raw = _parse(code)
    try:
        return derive_key(raw, vault_id, "watchword vault recovery")
    finally:
        raw.wipe()


def _parse(code: Secret) -> Secret:
    if len(code) > LONGEST_TYPED:
        raise _mistyped("it is far too long")
    digits = bytearray()
    raw = bytearray()
    try:
        with code.reveal() as view:
            for character in view:
                if character in _IGNORED:
                    continue
                if character not in _VALUES:
                    raise _mistyped("it has a character that no code has")
                digits.append(_VALUES[character])
        if len(digits) != _CHARACTERS:
            raise _mistyped(f"it has {len(digits)} characters instead of {_CHARACTERS}")
        for start in range(0, _DATA_CHARACTERS, 8):
            raw += _five_bytes(digits[start : start + 8])
        if not hmac.compare_digest(_checksum(raw), bytes(digits[_DATA_CHARACTERS:])):
            raise _mistyped("a character is wrong, or two have changed places")
        return Secret(raw)
    finally:
        for buffer in (digits, raw):
            buffer[:] = bytes(len(buffer))


def _digits_of(raw: bytearray) -> bytearray:
    """Five bits a digit, eight digits for five bytes, the highest bits first."""
    digits = bytearray()
    for start in range(0, len(raw), 5):
        number = int.from_bytes(raw[start : start + 5], "big")
        digits += bytes(number >> shift & 31 for shift in range(35, -5, -5))
    return digits


def _five_bytes(digits: bytearray) -> bytes:
    number = 0
    for digit in digits:
        number = number << 5 | digit
    return number.to_bytes(5, "big")


def _checksum(raw: bytearray) -> bytes:
    """Four digits: the first 20 bits of a SHA-256; they catch slips, nothing else."""
    digest = hashlib.sha256(b"watchword recovery code\0" + raw).digest()
    number = int.from_bytes(digest[:3], "big") >> 4
    return bytes(number >> shift & 31 for shift in (15, 10, 5, 0))


def _mistyped(why: str) -> VaultError:
    return VaultError(
        "recovery-code-mistyped",
        "This is no recovery code",
        f"A recovery code has nine groups of four letters and digits; in this one {why}.",
        "Compare it with the paper, group by group.",
    )
