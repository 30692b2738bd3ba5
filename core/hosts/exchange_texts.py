# SPDX-License-Identifier: Apache-2.0
"""Turns as one text each, to be mailed and pasted: with a first and a last line, and a checksum.

The checksum catches what mail programs do to texts, and nothing else: whoever changes the
text on purpose changes it too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .exchange_errors import copying_error, reply_of_another_launch, unusable
from .exchange_turns import CHECKSUM_FILE, LAUNCH_FILE, README_FILE, Turn

MAIL_LINE: Final = 900
"""Characters of the longest line that mail carries safely (RFC 5322 allows 998)."""

_WRAPPED: Final = 64
_SUM_KEY: Final = "sha256"
_MARK: Final = re.compile(
    r"(?P<quote>[> \t]*)-----(?P<side>BEGIN|END) WATCHWORD (?P<kind>TURN|ANSWER) (?P<turn>[1-5])"
    r"(?: OF LAUNCH (?P<launch>\S{1,64}?))?-----[ \t]*",
    re.ASCII,
)
_SUM: Final = re.compile(rf"{_SUM_KEY}[ \t]*:[ \t]*([0-9a-fA-F]*)", re.ASCII)


def turn_text(turn: Turn, launch_id: str, files: Mapping[str, bytes], form: str) -> str:
    """One text that carries a turn to the operator, and the form for the answer below it.

    ``files`` are the turn's files; those that are not text, or have lines that mail would
    break, stay out: the instructions do without them. Base64 is wrapped.
    """
    body = _as_lines(README_FILE, files.get(README_FILE, b""))
    left_out = (README_FILE, LAUNCH_FILE, CHECKSUM_FILE)
    parts = {name: data for name, data in files.items() if name not in left_out}
    shown = {name: _as_lines(name, data) for name, data in sorted(parts.items())}
    if any(shown.values()):
        body += ["", "Below are the files, each after a line with its name. Save them by hand."]
    for name, lines in shown.items():
        if lines:
            body += ["", f"===== {name} =====", *lines]
    answer = Turn(turn if turn.incoming else turn + 1)
    return _block("TURN", turn, launch_id, body) + "\n" + _unsummed(answer, launch_id, form)


def answer_text(turn: Turn, launch_id: str, body: str) -> str:
    """One text that carries an answer, with its checksum."""
    return _block("ANSWER", turn, launch_id, body.splitlines())


def unwrap(text: str, where: str, turn: Turn, launch_id: str) -> str:
    """What a pasted text says: the inside of its answers, or all of it but our own turns.

    Quoted lines (``> ``) are taken as they were before. Raises VerificationRefused
    ``reply-of-another-launch``; HostError ``exchange-reply-unusable`` for an answer that
    has no last line or belongs to another turn, ``exchange-copying-error`` for one that
    does not have its checksum.
    """
    outside: list[str] = []
    answers: list[str] = []
    for mark, lines in _blocks(text, where):
        if mark is None:
            outside += lines
        elif mark["kind"] == "ANSWER":
            _check_mark(mark, where, turn, launch_id)
            answers += _checked(lines, where)
    return "\n".join(answers or outside)


def _blocks(text: str, where: str) -> Iterator[tuple[re.Match[str] | None, list[str]]]:
    """The text in parts: blocks with their first line, and what stands outside without one."""
    mark: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        found = _MARK.fullmatch(line)
        if mark is None and found is not None and found["side"] == "BEGIN":
            yield None, lines
            mark, lines = found, []
        elif mark is not None and _ends(found, mark):
            yield mark, lines
            mark, lines = None, []
        else:
            lines.append(line if mark is None else _unquoted(line, mark["quote"]))
    if mark is not None:
        raise unusable(where, "Its last line (-----END WATCHWORD …) is missing: it is cut short.")
    yield None, lines


def _ends(found: re.Match[str] | None, mark: re.Match[str]) -> bool:
    return found is not None and found["side"] == "END" and found["kind"] == mark["kind"]


def _unquoted(line: str, quote: str) -> str:
    if line.startswith(quote):
        return line[len(quote) :]
    return "" if line.strip() == quote.strip() else line


def _check_mark(mark: re.Match[str], where: str, turn: Turn, launch_id: str) -> None:
    if mark["launch"] is not None and mark["launch"] != launch_id:
        raise reply_of_another_launch(launch_id, mark["launch"], where)
    if int(mark["turn"]) != turn:
        raise unusable(
            where,
            f"It is the answer of turn {mark['turn']}, and that of turn {int(turn)} is awaited.",
            "Paste it where that turn is asked for.",
        )


def _checked(lines: Sequence[str], where: str) -> list[str]:
    """An answer's lines without its checksum, which is compared if there is one."""
    body = list(lines)
    while body and not body[-1].strip():
        body.pop()
    match = _SUM.fullmatch(body[-1].strip()) if body else None
    if match is None:
        return body
    body.pop()
    if match[1] and match[1].lower() != _digest(body):
        raise copying_error(where, "does not have the checksum that its last line names")
    return body


def _block(kind: str, turn: Turn, launch_id: str, body: Sequence[str]) -> str:
    lines = "\n".join(body).splitlines()
    return (
        f"-----BEGIN WATCHWORD {kind} {int(turn)} OF LAUNCH {launch_id}-----\n"
        + "".join(f"{line}\n" for line in lines)
        + f"{_SUM_KEY}: {_digest(lines)}\n"
        + f"-----END WATCHWORD {kind} {int(turn)}-----\n"
    )


def _unsummed(turn: Turn, launch_id: str, form: str) -> str:
    """A form to fill in; its checksum can't be known before that."""
    return (
        f"-----BEGIN WATCHWORD ANSWER {int(turn)} OF LAUNCH {launch_id}-----\n"
        f"{form.rstrip()}\n"
        f"-----END WATCHWORD ANSWER {int(turn)}-----\n"
    )


def _digest(lines: Sequence[str]) -> str:
    """SHA-256 over the lines without the blanks at their ends, which mail changes."""
    return hashlib.sha256("\n".join(line.rstrip() for line in lines).encode()).hexdigest()


def _as_lines(name: str, data: bytes) -> list[str]:
    """A file's lines as they go into a mail; none if it can't go there."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return []
    if name.endswith(".b64") and text.isprintable():
        return [text[at : at + _WRAPPED] for at in range(0, len(text), _WRAPPED)]
    lines = text.splitlines()
    return lines if all(line.isprintable() and len(line) <= MAIL_LINE for line in lines) else []
