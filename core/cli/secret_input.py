# SPDX-License-Identifier: Apache-2.0
"""Reads secrets that people give a command: descriptors, files, stdin, hidden prompts."""

from __future__ import annotations

import os
import sys
import warnings

from ..errors import BadInput, UsageError
from ..files import read_secret
from ..secret import Secret

LONGEST_LINE = 4096


def read_descriptor(descriptor: int, field: str, limit: int) -> Secret:
    """All that comes from a descriptor until its end, byte for byte, in one buffer.

    Raises BadInput ``secret-too-large`` or ``descriptor-unreadable``.
    """
    buffer = bytearray(limit + 1)
    done = 0
    try:
        with memoryview(buffer) as view:
            while done < len(buffer) and (count := os.readv(descriptor, [view[done:]])):
                done += count
            if done > limit:
                raise _too_large(field, limit)
            return Secret(view[:done])
    except (OSError, OverflowError):
        raise BadInput(
            "descriptor-unreadable",
            field,
            "Nothing can be read from it.",
            "Open it for reading in the calling process, and keep it open.",
        ) from None
    finally:
        buffer[:] = bytes(len(buffer))


def read_line(descriptor: int | None, path: str | None, field: str) -> Secret | None:
    """A passphrase or PIN from a descriptor or a file, without the newline that editors add.

    None where neither is named. Raises BadInput.
    """
    if descriptor is not None:
        given = read_descriptor(descriptor, field, LONGEST_LINE)
    elif path is not None:
        given = read_secret(path, field, LONGEST_LINE)
    else:
        return None
    try:
        with given.reveal() as view:
            end = len(view)
            if end and view[end - 1] == ord("\n"):
                end -= 1
                if end and view[end - 1] == ord("\r"):
                    end -= 1
            return Secret(view[:end])
    finally:
        given.wipe()


def ask(prompt: str) -> Secret | None:
    """What a person types at a terminal, which does not show it; None without a terminal.

    Python keeps the typed text until it is collected: nothing can wipe that copy.
    """
    if not _has_terminal():
        return None
    from getpass import GetPassWarning, getpass  # noqa: PLC0415

    with warnings.catch_warnings():
        # It would go on, and show what is typed.
        warnings.simplefilter("error", GetPassWarning)
        try:
            return Secret(getpass(f"{prompt}: ").encode())
        except (GetPassWarning, EOFError, UnicodeEncodeError):
            return None


def ask_twice(prompt: str) -> Secret | None:
    """What a person types twice without seeing it; None without a terminal.

    Raises UsageError ``typed-differently``.
    """
    first = ask(prompt)
    if first is None:
        return None
    second = ask(f"{prompt}, again")
    try:
        if second is not None and _equal(first, second):
            return first
    finally:
        if second is not None:
            second.wipe()
    first.wipe()
    raise UsageError(
        "typed-differently",
        "The two are not the same",
        "What was typed first and what was typed then differ.",
        "Try again.",
    )


def _equal(one: Secret, other: Secret) -> bool:
    import hmac  # noqa: PLC0415

    with one.reveal() as first, other.reveal() as second:
        return hmac.compare_digest(first, second)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
    return True


def _too_large(field: str, limit: int) -> BadInput:
    return BadInput(
        "secret-too-large",
        field,
        f"It has more than {limit} bytes.",
        "Check where it comes from; a key that unlocks the rest is enough.",
        {"limit": limit},
    )
