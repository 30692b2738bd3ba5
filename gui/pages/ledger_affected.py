# SPDX-License-Identifier: Apache-2.0
"""Searches the ledger for the launches that a weakness concerns which became known later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.amd.advisories import published_advisories

from ..widgets.banner import Banner
from ..widgets.escape import shown_line
from ..widgets.explained import Explained
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL, SMALL, TIGHT
from ..widgets.layouts import empty_out
from ..widgets.path_field import PathField
from ..widgets.text_label import TextLabel
from ..widgets.tones import Tone
from .ledger_service import Sought
from .ledger_words import kind_look
from .vault_entries import shown_time

if TYPE_CHECKING:
    from watchword.core.ledger.affected import Affected, AffectedImage, AffectedLaunch, GivenSecret

_GENERATIONS: Final = ("naples", "rome", "milan", "genoa", "turin")
_MOST_SHOWN: Final = 100
"""Launches of one list; the command line lists them all."""
translate = QCoreApplication.translate
_CONTEXT = "Affected"


class AffectedSearch(Foldable):
    """``searchWanted`` comes with a Sought, ``entryWanted`` with the number of an entry."""

    searchWanted = Signal(object)
    entryWanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(translate(_CONTEXT, "Which launches does a new weakness concern?"), parent)
        self.body.setSpacing(NORMAL)
        self.advisory, self.generation = QComboBox(), QComboBox()
        self.build, self.cek, self.vault_entry = QLineEdit(), QLineEdit(), QLineEdit()
        self.firmware = PathField(
            self.tr("The guest's firmware: its &file, or its SHA-256"), purpose="firmware"
        )
        self.searching = QPushButton(self.tr("&Find them"))
        self.searching.setAutoDefault(True)
        self.searching.clicked.connect(lambda: self.searchWanted.emit(self.sought))
        self.answer = Banner()
        self._lists = QVBoxLayout()
        self._lists.setSpacing(SMALL)
        self._fill()
        self._lay_out()

    def _fill(self) -> None:
        self.advisory.addItem(self.tr("Any"), "")
        for entry in published_advisories().entries:
            self.advisory.addItem(entry.name, entry.name)
        self.generation.addItem(self.tr("Any"), "")
        for name in _GENERATIONS:
            self.generation.addItem(name.capitalize(), name)
        self.build.setPlaceholderText(self.tr("1.49.3, or <1.55.24 for all that is older"))
        self.cek.setPlaceholderText(self.tr("64 hex digits"))
        self.vault_entry.setPlaceholderText("web1/disk")
        for line in (self.build, self.cek, self.vault_entry):
            line.returnPressed.connect(self.searching.click)

    def _lay_out(self) -> None:
        sentence = self.tr("What is filled in narrows the search; name at least one.")
        self.body.addWidget(TextLabel(sentence, quiet=True))
        grid = QGridLayout()
        grid.setHorizontalSpacing(NORMAL)
        grid.setVerticalSpacing(SMALL)
        grid.setColumnStretch(1, 1)
        for row, (key, words, widget) in enumerate(
            (
                ("advisory", self.tr("Advisory"), self.advisory),
                ("generation", self.tr("Processors"), self.generation),
                ("api-and-build", self.tr("Build of the secure processor"), self.build),
                ("cek", self.tr("CEK's fingerprint"), self.cek),
                ("secret", self.tr("Entry of the vault"), self.vault_entry),
            )
        ):
            grid.addWidget(Explained(key, words), row, 0)
            grid.addWidget(widget, row, 1)
            widget.setAccessibleName(words)
        self.body.addLayout(grid)
        self.body.addWidget(self.firmware)
        self.body.addWidget(self.searching, 0, Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self.answer)
        self.body.addLayout(self._lists)

    @property
    def sought(self) -> Sought:
        """What is filled in."""
        return Sought(
            cek=self.cek.text().strip(),
            generation=self.generation.currentData(),
            firmware=self.firmware.path,
            build=self.build.text().strip(),
            advisory=self.advisory.currentData(),
            entry=self.vault_entry.text().strip(),
        )

    def clear(self) -> None:
        """Forget the answer before."""
        self.answer.clear()
        empty_out(self._lists)

    def show_affected(self, found: Affected) -> None:
        """Show the answer: what was given away first."""
        self.clear()
        title, remedy, tone = self._in_short(found)
        self.answer.show_message(tone, title, "", remedy)
        if found.fault is not None:
            self.answer.show_error(found.fault)
        for words, launches in (
            (self.tr("Were given secrets"), found.given),
            (self.tr("Perhaps: what they ran on was not recorded"), found.undecided),
            (self.tr("Were refused, and given nothing"), found.refused),
            (self.tr("Came to no secret"), found.without_secret),
        ):
            self._add_list(words, launches)
        for image in found.images[:_MOST_SHOWN]:
            self._lists.addWidget(TextLabel(_image(image)))

    def _in_short(self, found: Affected) -> tuple[str, str, Tone]:
        if found.given:
            title = self.tr("Launches that it concerns were given secrets")
            return title, self.tr("Take these for known, and replace them."), Tone.WARN
        if found.undecided:
            title = self.tr("Launches that it may concern were given secrets")
            return title, self.tr("Look at their entries, and ask the host."), Tone.WARN
        return self.tr("No secret was given to what it concerns"), "", Tone.OK

    def _add_list(self, words: str, launches: Sequence[AffectedLaunch]) -> None:
        if not launches:
            return
        self._lists.addWidget(TextLabel(f"{words}: {len(launches)}", bold=True))
        for launch in launches[:_MOST_SHOWN]:
            self._lists.addWidget(self._row(launch))
        left = len(launches) - _MOST_SHOWN
        if left > 0:
            more = self.tr("{n} more: `watchword ledger affected` lists them all.")
            self._lists.addWidget(TextLabel(more.format(n=left), quiet=True))

    def _row(self, launch: AffectedLaunch) -> QWidget:
        widget = QWidget()
        row = QHBoxLayout(widget)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(NORMAL)
        words = QVBoxLayout()
        words.setSpacing(TIGHT)
        words.addWidget(TextLabel(_about(launch)))
        for text in _given(launch):
            words.addWidget(TextLabel(text, quiet=True))
        row.addLayout(words, 1)
        showing = QPushButton(self.tr("Entry {n}").format(n=launch.last.sequence))
        showing.setObjectName("entry")
        name = self.tr("Show entry {n} of {launch}")
        launch_id = shown_line(launch.launch_id or "")
        showing.setAccessibleName(name.format(n=launch.last.sequence, launch=launch_id))
        showing.clicked.connect(
            lambda _checked=False, n=launch.last.sequence: self.entryWanted.emit(n)
        )
        row.addWidget(showing, 0, Qt.AlignmentFlag.AlignTop)
        return widget


def _about(launch: AffectedLaunch) -> str:
    name = launch.launch_id or translate(_CONTEXT, "An entry of no launch")
    parts = ["SIMULATED", name] if launch.simulated else [name]
    parts += [text for text in (launch.guest, launch.host) if text]
    parts += [shown_time(launch.last.time), kind_look(launch.last.kind).word]
    return " · ".join(parts)


def _given(launch: AffectedLaunch) -> list[str]:
    lines = [_secret(secret) for secret in launch.secrets[:_MOST_SHOWN]]
    if launch.keys_exported:
        lines.append(
            translate(
                _CONTEXT, "TEK and TIK left the program: whoever has them can read what was sealed."
            )
        )
    return lines


def _image(image: AffectedImage) -> str:
    file = image.path or translate(_CONTEXT, "that nobody recorded the place of")
    if image.replaced:
        words = translate(
            _CONTEXT,
            "Image {file}: its key of {entry} was replaced since; copies of it from before still"
            " open with the old key.",
        )
    else:
        words = translate(
            _CONTEXT,
            "Image {file} opens with {entry}: `watchword image rekey` replaces its key.",
        )
    return words.format(file=file, entry=image.entry)


def _secret(secret: GivenSecret) -> str:
    words = secret.name or translate(_CONTEXT, "a secret without a name")
    if secret.entry is not None:
        words += " " + translate(_CONTEXT, "from vault entry {entry}").format(entry=secret.entry)
    return words + (translate(_CONTEXT, ", a test secret") if secret.test else "")
