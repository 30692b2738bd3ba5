# SPDX-License-Identifier: Apache-2.0
"""What a guest's serial console says: bounded, searched for signs, and never obeyed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ShowLine = Callable[[str], None]
"""Is given each line of the console; it may hold any character, and is escaped by who shows it."""

_WINDOW: Final = 16 << 10
_LONGEST_LINE: Final = 400
_LINES_KEPT: Final = 30
_LONGEST_MARKER: Final = 200
# Cursor movements stand in the middle of what firmware and GRUB write.
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-9;?=]{0,30}[@-~]|[()][0-9A-Za-z]|[=>78cDEHM])")
_CUT_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-9;?=]{0,30}|[()])?\Z")


class Sign(StrEnum):
    """What a text on the console stands for."""

    UNLOCKED = "unlocked"
    ASKED = "asked-for-a-passphrase"
    REFUSED = "kernel-refused"
    HALTED = "says-that-it-halts"
    BOOTED = "a-kernel-started"


UNLOCKED_MARKERS: Final = (
    " login: ",
    "systemd[1]: Switching root",
    "systemd[1]: Reached target Switch Root",
    "Reached target Multi-User System",
    "Reached target multi-user.target",
    "Reached target Login Prompts",
    "set up successfully",  # initramfs-tools' cryptroot, of a disk that it has opened
)
"""Texts that only a system on the opened disk, or whoever has just opened it, prints."""

ASKED_MARKERS: Final = (
    "Enter passphrase for",  # GRUB
    "Please enter passphrase for disk",  # systemd, dracut
    "Please unlock disk",  # initramfs-tools
    "Enter password for",
    "prompting for password",  # the script of edk2's GRUB
    "retrying with password prompt",
    "No key available with this passphrase",
)
"""Texts that ask a person for the disk's passphrase, or say that the one at hand is wrong."""

REFUSED_MARKERS: Final = (
    "Security Violation",
    "Access Denied",
    "Welcome to GRUB!",
    "Entering grub config",
)
"""What a firmware prints that was given a kernel and does not start it. Some say nothing of it,
and start the boot loader that they carry: with a kernel of the owner's, GRUB never runs.
"""

HALTED_MARKERS: Final = (
    "WATCHWORD-OVMF halted: ",
    "WATCHWORD-GRUB halted: ",
    "The disk was not opened by an injected secret: halting.",
    "The encrypted volume has no GRUB configuration: halting.",
)
"""What our own firmware and our own GRUB print before they halt: theirs is the reason."""

_LEFT_OUT: Final = "(left out: a line with a secret in clear)"
_BOOTED_MARKERS: Final = ("Linux version ", "EFI stub: ")


@dataclass(frozen=True, slots=True)
class ConsoleMarkers:
    """Texts to look for; empty ones and those over 200 characters are left out."""

    unlocked: Sequence[str] = UNLOCKED_MARKERS
    asked: Sequence[str] = ASKED_MARKERS
    refused: Sequence[str] = REFUSED_MARKERS
    halted: Sequence[str] = HALTED_MARKERS

    def texts(self) -> list[tuple[Sign, str, bytes]]:
        """Each text with what it stands for."""
        kinds = (
            (Sign.UNLOCKED, self.unlocked),
            (Sign.ASKED, self.asked),
            (Sign.REFUSED, self.refused),
            (Sign.HALTED, self.halted),
            (Sign.BOOTED, _BOOTED_MARKERS),
        )
        return [
            (sign, text, text.encode())
            for sign, texts in kinds
            for text in texts
            if 0 < len(text) <= _LONGEST_MARKER
        ]


class Console:
    """Takes in a console's bytes; keeps the last lines and the first sign of each kind.

    ``signs``  what was seen, with the text that showed it
    ``total``  bytes that came
    ``leaked`` whether one of ``secrets`` stood there in clear: the host reads every console
    """

    def __init__(
        self,
        markers: ConsoleMarkers,
        show: ShowLine | None = None,
        secrets: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.signs: dict[Sign, str] = {}
        self.total = 0
        self.leaked = False
        self._texts = markers.texts()
        self._show = show
        self._secrets = secrets
        self._held = b""
        self._recent = b""
        self._line = b""
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines, with the one that is not ended; what shows them escapes them."""
        unended = (self._told(self._line),) if self._line.strip() else ()
        return (*self._lines, *unended)

    def feed(self, data: bytes) -> None:
        """Take in what came; at most 64 KiB at a time."""
        self.total += len(data)
        data = self._held + data
        cut = _CUT_SEQUENCE.search(data)
        self._held = b"" if cut is None else cut.group()
        clean = _SEQUENCE.sub(b"", data[: len(data) - len(self._held)]).replace(b"\0", b"")
        self._search(clean)
        self._split(clean)

    def finish(self) -> None:
        """Nothing more will be read: show the line that is not ended, as a prompt never is."""
        self._split(b"\n")

    def _search(self, clean: bytes) -> None:
        text = self._recent + clean
        for sign, marker, encoded in self._texts:
            if sign not in self.signs and encoded in text:
                self.signs[sign] = marker
        if self._secrets is not None and not self.leaked:
            # A terminal ends lines with both, and a secret may have several lines.
            self.leaked = self._secrets(text) or self._secrets(text.replace(b"\r\n", b"\n"))
        self._recent = text[-_WINDOW:]

    def _split(self, clean: bytes) -> None:
        *ended, self._line = (self._line + clean.replace(b"\r", b"\n")).split(b"\n")
        self._line = self._line[:_LONGEST_LINE]
        for line in ended:
            if line.strip():
                text = self._told(line)
                self._lines.append(text)
                if self._show is not None:
                    self._show(text)

    def _told(self, line: bytes) -> str:
        """A line as it is kept and shown: what it says of a secret goes no further."""
        if self._secrets is not None and self._secrets(line):
            return _LEFT_OUT
        return _text(line)


def _text(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode("utf-8", "replace").rstrip()
