# SPDX-License-Identifier: Apache-2.0
"""What hosts and files say, made fit to be shown: never obeyed as markup, of bounded length."""

from __future__ import annotations

import re
from typing import Final

from watchword.core.cli.output import printable

LONGEST: Final = 4000
"""Characters of a foreign text that are shown."""
_LONG_RUN: Final = re.compile(r"[^\s\u200b-]{24}(?=[^\s\u200b-])")
_ZERO_WIDTH_SPACE: Final = "\u200b"


def shown(text: str, most: int = LONGEST) -> str:
    """A foreign text as one may show it in a plain-text label.

    Control and direction-changing characters are written out, line breaks kept, and
    what goes beyond ``most`` characters is cut off with an ellipsis.
    """
    lines = text[: most + 1].split("\n")
    result = "\n".join(printable(line.replace("\t", "    ")) for line in lines)
    return result if len(result) <= most else result[: most - 1] + "…"


def shown_line(text: str, most: int = 300) -> str:
    """A foreign text on one line: line breaks are written out too."""
    result = printable(text[: most + 1])
    return result if len(result) <= most else result[: most - 1] + "…"


def breakable(text: str) -> str:
    """The text with invisible places to break in runs such as digests, so that labels can wrap."""
    return _LONG_RUN.sub(lambda run: run.group() + _ZERO_WIDTH_SPACE, text)


def rich(template: str, *values: str) -> str:
    """Markup of our own with foreign ``values`` in the place of ``%1``, ``%2``…

    Values are escaped, and never searched for place holders themselves.
    """
    import html  # noqa: PLC0415 - with its table of entities; the first window escapes nothing

    def value(match: re.Match[str]) -> str:
        index = int(match.group(1)) - 1
        if not 0 <= index < len(values):
            return match.group()
        return html.escape(shown(values[index])).replace("\n", "<br>")

    return re.sub(r"%([1-9])", value, template)


def tool_tip(text: str) -> str:
    """A tool tip that wraps and takes nothing for markup; Qt guesses at tool tips otherwise."""
    return rich("<p>%1</p>", text) if text else ""


def button_text(text: str) -> str:
    """A foreign text for a button or tab, where ``&`` would make a shortcut of the next letter."""
    return shown_line(text, 80).replace("&", "&&")
