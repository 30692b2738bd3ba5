# SPDX-License-Identifier: Apache-2.0
"""A platform's certificate chain: a row with a verdict and a plain sentence for every link."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from .chain_words import ROLES, LinkWords, link_words, root_words, warning_words
from .explained import ExplainButton
from .fonts import NORMAL, SMALL, TIGHT
from .icon_mark import IconMark
from .key_value_table import KeyValueTable, Row
from .layouts import empty_out
from .painting import paint_focus
from .roving import RovingFocus
from .state_badge import Look, StateBadge
from .text_label import TextLabel
from .tones import Tone, line


class LinkRow(QFrame):
    """One link; it can have the focus, so that screen readers read it as a whole."""

    def __init__(
        self, words: LinkWords, *, first: bool, last: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._first, self._last = first, last
        self.words = words
        self.setAccessibleName(f"{words.title}: {words.look.word}. {words.sentence}")
        self._icon = IconMark(words.look.icon, words.look.tone, factor=1.15)
        title = TextLabel(words.title, bold=True)
        title.setWordWrap(False)
        heading = QHBoxLayout()
        heading.setSpacing(TIGHT)
        heading.addWidget(title)
        if words.certificate in ROLES:
            heading.addWidget(ExplainButton(words.certificate))
        heading.addStretch(1)
        heading.addWidget(self._verdict(words.look))
        grid = QGridLayout(self)
        grid.setContentsMargins(SMALL, TIGHT, SMALL, SMALL)
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(0)
        grid.addWidget(self._icon, 0, 0, Qt.AlignmentFlag.AlignVCenter)
        grid.addLayout(heading, 0, 1)
        grid.addWidget(TextLabel(words.sentence, quiet=True), 1, 1)
        grid.setColumnStretch(1, 1)

    def _verdict(self, look: Look) -> QWidget:
        """A word for what is as it should be, a badge for what stands out."""
        if look.tone in (Tone.BAD, Tone.WARN):
            return StateBadge(look)
        word = TextLabel(look.word, tone=look.tone)
        word.setWordWrap(False)
        return word

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the line that joins the links of a group, and the focus."""
        icon = self._icon.geometry()
        middle = icon.center().x()
        painter = QPainter(self)
        painter.setPen(QPen(line(self.palette()), 1.5))
        if not self._first:
            painter.drawLine(middle, 0, middle, icon.top() - 2)
        if not self._last:
            painter.drawLine(middle, icon.bottom() + 3, middle, self.height())
        if self.hasFocus():
            paint_focus(painter, self.rect(), self.palette())
        painter.end()


class ChainTree(QWidget):
    """The links in three groups, then warnings, then what the chain is about.

    It shows a report; it verifies nothing.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._rows: list[LinkRow] = []
        self._simulated = False
        self._roving = RovingFocus(self)
        self.setAccessibleName(self.tr("Certificate chain"))

    @property
    def rows(self) -> tuple[LinkRow, ...]:
        """The rows of the links."""
        return tuple(self._rows)

    def show_report(self, report: Mapping[str, object], *, simulated: bool = False) -> None:
        """Show the JSON form of a chain report, of a rehearsal's where that is ``simulated``."""
        self._simulated = simulated
        self._clear()
        links = report.get("links")
        amd = report.get("root") == "amd"
        whole = report.get("ok") is True
        known = links if isinstance(links, list) else []
        words = [link_words(one, amd=amd, whole=whole, simulated=simulated) for one in known]
        top = self.tr("From AMD to this chip") if amd else self.tr("From the root to this chip")
        for title, roles in (
            (top, ("ark", "ask", "cek")),
            (self.tr("The owner of the server"), ("oca",)),
            (self.tr("This platform"), ("pek", "pdh")),
        ):
            self._add_group(title, [one for one in words if one.certificate in roles])
        self._add_group("", [one for one in words if one.certificate not in ROLES])
        self._roving.set_items(self._rows)
        self._add_warnings(report.get("warnings"))
        self._column.addSpacing(NORMAL)
        self._column.addWidget(KeyValueTable(self._facts(report)))

    def _clear(self) -> None:
        self._rows = []
        self._roving.set_items([])
        empty_out(self._column)

    def _add_group(self, title: str, links: list[LinkWords]) -> None:
        if not links:
            return
        if title:
            heading = TextLabel(title, quiet=True, size=0.95)
            heading.setContentsMargins(SMALL, SMALL if self._rows else 0, 0, TIGHT)
            self._column.addWidget(heading)
        for place, words in enumerate(links):
            row = LinkRow(words, first=place == 0, last=place == len(links) - 1)
            self._rows.append(row)
            self._column.addWidget(row)

    def _add_warnings(self, warnings: object) -> None:
        for warning in warnings if isinstance(warnings, list) else ():
            line_of_it = QWidget()
            row = QHBoxLayout(line_of_it)
            row.setContentsMargins(SMALL, TIGHT, SMALL, TIGHT)
            row.setSpacing(NORMAL)
            row.addWidget(IconMark("warn", Tone.WARN, factor=1.15), 0, Qt.AlignmentFlag.AlignTop)
            row.addWidget(TextLabel(warning_words(str(warning), simulated=self._simulated)), 1)
            self._column.addWidget(line_of_it)

    def _facts(self, report: Mapping[str, object]) -> list[Row]:
        generation = report.get("generation")
        rows = [
            Row(
                self.tr("Root"),
                root_words(
                    report.get("root"), ok=report.get("ok") is True, simulated=self._simulated
                ),
            ),
            Row(
                self.tr("Generation"),
                str(generation).capitalize() if generation else self.tr("Not known"),
                term="generation",
            ),
        ]
        for name, field, term in (
            (self.tr("PDH fingerprint"), "pdh_sha256", "pdh"),
            (self.tr("CEK fingerprint"), "cek_sha256", "cek"),
            (self.tr("OCA fingerprint"), "oca_sha256", "oca"),
            (self.tr("Chip id"), "chip_id", "chip-id"),
        ):
            value = report.get(field)
            if value:
                rows.append(Row(name, str(value), copy=True, hex=True, term=term))
        return rows
