# SPDX-License-Identifier: Apache-2.0
"""A manual page, in man's own language, of an argparse parser and the commands below it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

_ENVIRONMENT = (
    ("WATCHWORD_HOME", "The folder of vault, guests, records and ledger."),
    ("NO_COLOR", "No colours on a terminal."),
)


def man_page(
    parser: argparse.ArgumentParser,
    *,
    name: str = "",
    summary: str = "",
    see_also: Sequence[str] = ("watchword",),
) -> str:
    """The page's text; ``name`` and ``summary`` as the first line has them."""
    name = name or parser.prog
    first = summary or _plain(parser.description or "").split(".")[0]
    title = name.replace(" --", "-").replace(" ", "-")
    lines = [
        '.\\" SPDX-License-Identifier: Apache-2.0',
        f'.TH {_text(title.upper())} 1 "" "Watchword" "User Commands"',
        # Lines of options are ugly when they are stretched or hyphenated.
        ".ad l",
        ".nh",
        ".SH NAME",
        f"{_text(title)} \\- {_text(first)}",
        ".SH SYNOPSIS",
        *(line for leaf in _leaves(parser) for line in _synopsis(leaf)),
        ".SH DESCRIPTION",
        *_paragraphs(parser.description or ""),
        *_options(parser),
        *_commands(parser),
        *_epilog(parser),
        ".SH ENVIRONMENT",
        *(line for word, text in _ENVIRONMENT for line in (".TP", f".B {word}", _text(text))),
        ".SH SEE ALSO",
        *(f".BR {_text(page)} (1)" for page in see_also),
    ]
    return "\n".join(lines)


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that run something: those without commands below, and the first page's own."""
    below = _below(parser)
    if below is None or parser.prog == "watchword":
        yield parser
        return
    for one in below.choices.values():
        yield from _leaves(one)


def _below(parser: argparse.ArgumentParser) -> argparse._SubParsersAction | None:
    found = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next(found, None)


def _synopsis(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield ".TP"
    yield f".B {_text(parser.prog)}"
    words = " ".join(parser.format_usage().split())
    rest = words.removeprefix("usage: ").removeprefix(parser.prog).strip()
    yield _text(rest) or "\\&"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        yield ".TP"
        yield f".B {_text(_invocation(action))}"
        yield _text(_help(action)) or "\\&"


def _invocation(action: argparse.Action) -> str:
    metavar = action.metavar or action.dest
    value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    if not action.option_strings:
        return value
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def _help(action: argparse.Action) -> str:
    """The help as argparse shows it, with its placeholders filled in."""
    values = {**vars(action), "prog": ""}
    return _plain((action.help or "") % values)


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    below = _below(parser)
    if below is None:
        return
    yield ".SH COMMANDS"
    if parser.prog == "watchword":
        for choice in below._choices_actions:
            yield from (".TP", f".B {_text(choice.dest)}", _text(_plain(choice.help or "")))
        return
    for leaf in _leaves(parser):
        yield f".SS {_text(leaf.prog)}"
        yield from _paragraphs(leaf.description or "")
        yield from _options(leaf)
        yield from _verbatim(leaf.epilog or "")


def _epilog(parser: argparse.ArgumentParser) -> Iterator[str]:
    if parser.epilog:
        yield ".SH NOTES"
        yield from _verbatim(parser.epilog)


def _verbatim(text: str) -> Iterator[str]:
    if text:
        yield from (".PP", ".nf", *(_text(line) for line in text.splitlines()), ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        yield _text(_plain(paragraph))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """Text that man shows as it is."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    # A list of choices may be broken after a comma.
    shown = re.sub(r",(?=\w)", r",\\:", shown)
    shown = shown.replace("`", "\\(ga").replace("'", "\\(aq")
    return f"\\&{shown}" if shown.startswith(".") else shown
