# SPDX-License-Identifier: Apache-2.0
"""A field for a secret that is typed, with what speaks against typing and what to do instead."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from watchword.core.secret import Secret

from .fonts import SMALL, TIGHT
from .icons import muted_icon
from .problem_line import ProblemLine
from .text_label import TextLabel

_LONGEST = 4096


class _Line(QLineEdit):
    """A line that shows dots, tells input methods to remember nothing, and can't be dragged."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMaxLength(_LONGEST)
        self.setDragEnabled(False)
        self.setAcceptDrops(False)
        self.set_shown(shown=False)

    def set_shown(self, *, shown: bool) -> None:
        mode = QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password
        self.setEchoMode(mode)
        # A change of the mode changes the hints, so they come after it.
        self.setInputMethodHints(
            Qt.InputMethodHint.ImhSensitiveData
            | Qt.InputMethodHint.ImhNoPredictiveText
            | Qt.InputMethodHint.ImhNoAutoUppercase
            | Qt.InputMethodHint.ImhHiddenText
        )


class SecretField(QWidget):
    """Emits ``changed`` when it is edited; :meth:`take` hands the secret out and empties it.

    ``repeat``        asks for it twice, for secrets that are made here
    ``alternatives``  offers a file or a generated secret: ``fileWanted``, ``generateWanted``
    """

    changed = Signal()
    fileWanted = Signal()
    generateWanted = Signal()

    def __init__(
        self,
        label: str,
        *,
        repeat: bool = False,
        alternatives: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        name = label.replace("&", "")
        self.label = QLabel(label)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.edit = _Line(name)
        self.again = _Line(self.tr("{what}, once more").format(what=name))
        self.again.setPlaceholderText(self.tr("Once more"))
        self.again.setVisible(repeat)
        self._repeat = repeat
        self.show_button = QToolButton()
        self.show_button.setCheckable(True)
        self.show_button.setAutoRaise(True)
        self.show_button.toggled.connect(self._show)
        self._problem = ProblemLine(self.edit)
        self._hint = TextLabel(quiet=True, size=0.95)
        self.file_button = QPushButton(self.tr("From a file…"))
        self.generate_button = QPushButton(self.tr("Generate"))
        self._lay_out(alternatives=alternatives)
        self._say_hint(alternatives=alternatives)
        self._show(shown=False)
        self.edit.textEdited.connect(self._edited)
        self.again.textEdited.connect(self._edited)
        self.file_button.clicked.connect(self.fileWanted)
        self.generate_button.clicked.connect(self.generateWanted)

    def _lay_out(self, *, alternatives: bool) -> None:
        self.label.setBuddy(self.edit)
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        row.addWidget(self.edit, 1)
        row.addWidget(self.show_button)
        for button in (self.file_button, self.generate_button):
            button.setAutoDefault(False)
            button.setVisible(alternatives)
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(TIGHT)
        column.addWidget(self.label)
        column.addLayout(row)
        for widget in (self.again, self._problem, self._hint):
            column.addWidget(widget)

    def _say_hint(self, *, alternatives: bool) -> None:
        hint = self.tr("What is typed leaves copies in this computer's memory until it is reused.")
        if alternatives:
            hint += " " + self.tr("A file or a generated secret does not.")
        self._hint.say(hint)

    # -- the secret --------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether nothing was typed."""
        return not self.edit.text()

    @property
    def complete(self) -> bool:
        """Whether something was typed, twice the same if it is to be repeated."""
        return not self.empty and not self._differs()

    def take(self) -> Secret:
        """The typed text as UTF-8, for the caller to wipe; the field is empty afterwards."""
        typed = bytearray(self.edit.text().encode("utf-8", "surrogatepass"))
        secret = Secret(typed)
        typed[:] = bytes(len(typed))
        self.clear()
        return secret

    def clear(self) -> None:
        """Empty the field and hide what is typed next."""
        for line in (self.edit, self.again):
            line.clear()
        self.show_button.setChecked(False)
        self._problem.say("")

    def set_problem(self, problem: str) -> None:
        """Say what is wrong with it, such as a passphrase that did not open the vault."""
        self._problem.say(problem)

    @property
    def problem(self) -> str:
        """What is said to be wrong."""
        return self._problem.problem

    def _differs(self) -> bool:
        return self._repeat and self.edit.text() != self.again.text()

    def _edited(self) -> None:
        begun = bool(self.again.text())
        self._problem.say(self.tr("The two are not the same.") if begun and self._differs() else "")
        self.changed.emit()

    def _show(self, shown: bool) -> None:
        for line in (self.edit, self.again):
            line.set_shown(shown=shown)
        self.show_button.setIcon(muted_icon("hide" if shown else "show"))
        name = self.tr("Hide what is typed") if shown else self.tr("Show what is typed")
        self.show_button.setAccessibleName(name)
        self.show_button.setToolTip(name)
