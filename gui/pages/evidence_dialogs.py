# SPDX-License-Identifier: Apache-2.0
"""The questions about signed documents: which to check, where one without names goes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QCheckBox, QLineEdit, QVBoxLayout, QWidget

from ..widgets.drop_area import DropArea
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.layouts import empty_out
from ..widgets.path_field import PathField, PathKind
from ..widgets.text_label import TextLabel
from .evidence_service import Judged, Trusting
from .evidence_verdict import VerdictView
from .page_dialog import PageDialog
from .vault_way_fields import labelled


class CheckDialog(PageDialog):
    """Stays open with the verdicts until it is closed; anything changed asks for a new check."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Check evidence"),
            self.tr(
                "Everything in a document is worked out again here, with AMD's own roots; nothing"
                " that it calls verified is believed."
            ),
            self.tr("&Check"),
            parent,
        )
        self.refusing.setText(self.tr("Close"))
        self.files = DropArea(
            self.tr("Drop signed documents here"), purpose="evidence", paste=False
        )
        self.signer = QLineEdit()
        self.signer.setPlaceholderText(self.tr("64 hex digits, told to you by another way"))
        self._needs = TextLabel(
            self.tr("Needed: a document, and the signer's fingerprint or the tick below it."),
            quiet=True,
        )
        self.unknown = QCheckBox(self.tr("Check the rest although I don't &know the key"))
        self.own = Foldable(self.tr("Your own files, and other roots"))
        self.firmware = PathField(self.tr("The guest's &firmware"), purpose="firmware")
        self.kernel = PathField(self.tr("Its &kernel"), purpose="kernels")
        self.initrd = PathField(self.tr("Its &initrd"), purpose="kernels")
        self.root = PathField(
            self.tr("A &root that is not AMD's, and is trusted all the same"), purpose="roots"
        )
        self._verdicts = QVBoxLayout()
        self._verdicts.setSpacing(NORMAL)
        self.views: list[VerdictView] = []
        self._arrange()
        self._follow_files()

    def _arrange(self) -> None:
        self.body.addWidget(self.files)
        self.body.addLayout(labelled(self.tr("Fingerprint of its &signer's key"), self.signer))
        self.body.addWidget(self.unknown)
        self.own.body.setSpacing(NORMAL)
        sentence = self.tr("With the firmware, the launch digest is worked out from your file.")
        self.own.body.addWidget(TextLabel(sentence, quiet=True))
        for field in (self.firmware, self.kernel, self.initrd, self.root):
            self.own.body.addWidget(field)
        self.body.addWidget(self.own)
        self.body.addWidget(self._needs)
        self.body.addLayout(self._verdicts)
        self.files.changed.connect(self._follow_files)
        self.signer.textChanged.connect(self._follow_files)
        self.unknown.toggled.connect(self._follow_files)

    def _follow_files(self) -> None:
        """What was found before holds for what was given before."""
        self.clear()
        named = bool(self.signer.text().strip()) or self.unknown.isChecked()
        ready = bool(self.files.given) and named
        self._needs.setVisible(not ready)
        self.set_allowed(ready)

    def clear(self) -> None:
        """Take the verdicts away."""
        self.views = []
        empty_out(self._verdicts)

    @property
    def paths(self) -> tuple[str, ...]:
        """The documents."""
        return tuple(given.path for given in self.files.given)

    @property
    def trusting(self) -> Trusting:
        """Whom and what to trust."""
        signers = self.signer.text().replace(",", " ").split()
        return Trusting(
            signers=tuple(signers),
            accept_unknown_signer=self.unknown.isChecked(),
            root=self.root.path,
            firmware=self.firmware.path,
            kernel=self.kernel.path,
            initrd=self.initrd.path,
        )

    def show_verdicts(self, found: Sequence[Judged]) -> None:
        """Show one verdict for each document."""
        self.clear()
        self.set_busy(False)
        self.views = [VerdictView(judged) for judged in found]
        for view in self.views:
            self._verdicts.addWidget(view)


class RedactDialog(PageDialog):
    """Where the document without names goes, and what opens its commitments."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Save without names"),
            self.tr(
                "Chip id, host, command line and all names are taken out, and the rest is signed"
                " anew. The platform's certificates stay: who knows the machine recognises it."
            ),
            self.tr("Save"),
            parent,
        )
        self.file = PathField(
            self.tr("&New file; one that ends in .html is a page to read"),
            PathKind.SAVE,
            purpose="evidence",
        )
        self.salts = PathField(
            self.tr("File for the &salts, which prove the names later (optional)"),
            PathKind.SAVE,
            purpose="salts",
        )
        self.body.addWidget(self.file)
        self.body.addWidget(self.salts)
        self.body.addWidget(
            TextLabel(
                self.tr("Left empty, it is the document's name and .salts. Keep it to yourself."),
                quiet=True,
            )
        )
        self.file.pathChanged.connect(self._judge)
        self._judge()

    def _judge(self) -> None:
        self.salts.edit.setPlaceholderText(f"{self.file.path}.salts" if self.file.path else "")
        self.set_allowed(bool(self.file.path))


class OpenDialog(PageDialog):
    """A redacted document and its salts; the names are shown once each was proved."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            self.tr("Show what was taken out"),
            self.tr("Each text is held against the commitment that the document has in its place."),
            self.tr("Show"),
            parent,
        )
        self.refusing.setText(self.tr("Close"))
        self.file = PathField(self.tr("The &redacted document"), purpose="evidence")
        self.salts = PathField(self.tr("Its file of &salts"), purpose="salts")
        self.texts = KeyValueTable()
        for field in (self.file, self.salts):
            field.pathChanged.connect(self._judge)
            self.body.addWidget(field)
        self.body.addWidget(self.texts)
        self._judge()

    def _judge(self) -> None:
        self.texts.set_rows(())
        self.set_allowed(bool(self.file.path) and bool(self.salts.path))

    def show_texts(self, found: Sequence[tuple[str, str]]) -> None:
        """Show them, by their place in the document."""
        self.set_busy(False)
        self.texts.set_rows([Row(place, text, copy=True) for place, text in found])
