# SPDX-License-Identifier: Apache-2.0
"""Makes a host's own words fit to be shown: bounded, and with nothing invisible in them."""

from __future__ import annotations

import unicodedata

from .limits import HOST_WORDS


def visible(words: str, limit: int = HOST_WORDS) -> str:
    r"""The words with everything that could steer a terminal or hide text written out.

    Control characters (ANSI sequences, newlines), bidirectional and other format
    characters, combining marks, lone surrogates, and spaces other than U+0020 become
    ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``. At most ``limit`` characters come back, plus
    an ellipsis where something was cut off. Markup such as ``<b>`` stays as it is: who
    renders rich text has to show these words as plain text.
    """
    shown = "".join(_visible_character(character) for character in words[: limit + 1])
    return shown if len(shown) <= limit else shown[:limit] + "…"


def _visible_character(character: str) -> str:
    category = unicodedata.category(character)
    # Marks (M*) can be stacked by the hundred and cover the lines around them.
    if character == " " or category[0] not in "CZM":
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
