# SPDX-License-Identifier: Apache-2.0
"""What was expected above what was reported, with the first difference marked."""

from __future__ import annotations

from functools import partial
from typing import Final

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from .copy_button import CopyButton
from .escape import rich
from .fonts import NORMAL, SMALL, monospace
from .icon_mark import IconMark
from .text_label import TextLabel
from .tones import Tone, tone_colours

_GROUP: Final = 4
"""Bytes in a group."""


def first_difference(one: bytes, other: bytes) -> int | None:
    """Where two byte strings begin to differ, from 0; None if they are the same."""
    if one == other:
        return None
    pairs = zip(one, other, strict=False)
    shorter = min(len(one), len(other))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), shorter)


def _share_baseline(digits: QLabel, row: int) -> None:
    """Have digits stand on one line with a plain label in a row of this height.

    Of half a pixel above a text, a plain label makes a whole one, and a rich one none.
    """
    digits.setContentsMargins(0, (row - digits.fontMetrics().height()) % 2, 0, 0)


class DigestComparison(QWidget):
    """Two digests or measurements in the same columns, and a sentence that compares them.

    It shows; it verifies nothing: a verdict comes from the core alone.
    """

    def __init__(
        self,
        what: str,
        expected_name: str = "",
        reported_name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._what = what
        self._expected = self._reported = b""
        names = (expected_name or self.tr("Expected"), reported_name or self.tr("Reported"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(SMALL)
        grid.setColumnStretch(1, 1)
        self._lines: list[QLabel] = []
        for row, name in enumerate(names):
            self._add_line(grid, row, name)
        self._icon = IconMark("info")
        self._sentence = TextLabel()
        below = QHBoxLayout()
        below.setSpacing(SMALL)
        below.addWidget(self._icon)
        below.addWidget(self._sentence, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        column.addLayout(grid)
        column.addLayout(below)

    def _add_line(self, grid: QGridLayout, row: int, name: str) -> None:
        label = TextLabel(name, quiet=True)
        label.setWordWrap(False)
        digits = QLabel()
        digits.setTextFormat(Qt.TextFormat.RichText)
        digits.setWordWrap(True)
        digits.setFont(monospace(self.font()))
        digits.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        what = self.tr("{name} {what}").format(name=name, what=self._what)
        copy = CopyButton(partial(self._hex, row), what)
        _share_baseline(digits, copy.sizeHint().height())
        grid.addWidget(label, row, 0)
        grid.addWidget(digits, row, 1)
        grid.addWidget(copy, row, 2)
        self._lines.append(digits)

    def _hex(self, row: int) -> str:
        return (self._expected, self._reported)[row].hex()

    # -- what it compares ----------------------------------------------------------

    def compare(self, expected: bytes, reported: bytes) -> None:
        """Show two values; they may differ in length."""
        self._expected, self._reported = expected, reported
        self._show()

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        return self._sentence.accessibleName()

    def changeEvent(self, event: QEvent) -> None:
        """Mark the difference in the new palette's colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._show()

    def _show(self) -> None:
        place = first_difference(self._expected, self._reported)
        for label, value in zip(self._lines, (self._expected, self._reported), strict=True):
            label.setText(self._marked(value, place))
            label.setAccessibleName(f"{self._what}: {value.hex(' ', _GROUP)}")
        tone = Tone.OK if place is None else Tone.BAD
        self._icon.show_icon("ok" if place is None else "bad", tone)
        self._sentence.set_tone(tone)
        self._sentence.say(self._in_words(place))
        self.setAccessibleName(f"{self._what}: {self.sentence}")

    def _in_words(self, place: int | None) -> str:
        if place is None:
            return self.tr("The two are the same, byte for byte.")
        if place >= len(self._reported):
            return self.tr("They differ from byte {n} on: the reported one ends before it.").format(
                n=place + 1
            )
        if place >= len(self._expected):
            return self.tr("They differ from byte {n} on: the reported one goes on there.").format(
                n=place + 1
            )
        return self.tr(
            "They differ from byte {n} on: {expected} was expected, {reported} reported."
        ).format(
            n=place + 1,
            expected=f"{self._expected[place]:02x}",
            reported=f"{self._reported[place]:02x}",
        )

    def _marked(self, value: bytes, place: int | None) -> str:
        colours = tone_colours(Tone.BAD, self.palette())
        template = (
            f'<span style="background-color:{colours.fill.name()}; color:{colours.text.name()};'
            ' font-weight:bold; text-decoration:underline">%1</span>'
        )
        digits = [f"{byte:02x}" for byte in value]
        if place is not None and place < len(digits):
            digits[place] = rich(template, digits[place])
        groups = ("".join(digits[i : i + _GROUP]) for i in range(0, len(digits), _GROUP))
        return " ".join(groups)
