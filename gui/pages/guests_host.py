# SPDX-License-Identifier: Apache-2.0
"""In the form for a guest: its host, with the URL's parts, a test, and what the host's XML says."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from watchword.core.launch.domain_draft import HOSTS_WORD

from ..host_look import HostDraft
from ..widgets.banner import Banner
from ..widgets.findings import Findings
from ..widgets.fonts import SMALL
from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from ..wizard.connection_panel import ConnectionPanel
from ..wizard.host_url_field import HostUrlField
from .guests_fields import Field

_LONGEST = 4096


class GuestHost(QWidget):
    """``field`` holds the URL; ``edited`` comes when its parts made another one.

    ``judged``  with what is wrong with a URL that somebody has finished to fill in
    """

    edited = Signal()
    judged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        edit = QLineEdit()
        edit.setMaxLength(_LONGEST)
        hint = self.tr("Such as qmp+unix:///run/web1.sock; without one you are asked each time.")
        self.field = Field(self.tr("&Host (optional)"), edit, hint=hint, term="qmp")
        self.url = HostUrlField(edit.accessibleName(), edit=edit, say=self.judged.emit)
        self.url.builder.built.connect(self.edited)
        self.connection = ConnectionPanel(self.tr("Fill in from this VM's &XML"))
        self.banner = Banner()
        self.findings = Findings()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SMALL)
        for widget in (self.field, self.url, self.connection, self.banner, self.findings):
            column.addWidget(widget)
        self.forget()

    def forget(self) -> None:
        """Another profile is shown: nothing was asked for it yet."""
        self.url.builder.set_open(False)
        self.connection.clear()
        self.banner.clear()
        self.findings.hide()

    def show_draft(self, found: HostDraft) -> None:
        """What was filled in, and what the owner has to add to it."""
        self.url.set_url(found.url)
        title = self.tr("Filled in from what the host shows of this VM")
        self.banner.show_message(Tone.WARN, title, HOSTS_WORD)
        note = Look("warn", self.tr("Note"), Tone.WARN)
        own = Look("edit", self.tr("Yours to add"), Tone.INFO)
        words = self.tr("{name}: on the host it is {path}. Choose a copy of your own, below.")
        rows = [
            (own, words.format(name=self._component(name), path=path))
            for name, path in found.draft.host_files
        ]
        self.findings.show_rows([*rows, *((note, text) for text in found.draft.notes)])
        self.findings.setVisible(bool(rows or found.draft.notes))

    def _component(self, name: str) -> str:
        names = {"firmware": self.tr("Firmware"), "kernel": self.tr("Kernel")}
        return names.get(name, self.tr("Initrd"))
