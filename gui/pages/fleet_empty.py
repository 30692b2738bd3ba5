# SPDX-License-Identifier: Apache-2.0
"""What the page of fleets shows without a manifest: what one is, with an example to copy."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..widgets.copy_button import CopyButton
from ..widgets.empty_state import EmptyState
from ..widgets.fonts import NORMAL, monospace
from ..widgets.section import Section
from ..widgets.text_label import TextLabel

EXAMPLE: Final = """\
format = 1

[defaults]
# {name} is the launch's name: web1, web2, and so on.
host = "qmp+unix:///run/watchword/{name}.sock"
certificates = "rack1.cert"
wait = 60

# Twenty launches of the guest profile “web”.
[[launch]]
name = "web{1..20}"
guest = "web"
"""


class FleetEmpty(QWidget):
    """``chosen`` comes when a manifest is to be chosen."""

    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = EmptyState(
            "fleet",
            self.tr("Launch a whole fleet"),
            self.tr(
                "A manifest names the guests and their hosts. Choose one, or drop it here: all of"
                " it is checked before anything starts."
            ),
            self.tr("&Choose a manifest…"),
        )
        self.state.chosen.connect(self.chosen)
        example = Section(self.tr("An example"))
        words = TextLabel(EXAMPLE.strip())
        words.setFont(monospace(self.font()))
        example.body.addWidget(words)
        self.copying = CopyButton(EXAMPLE, self.tr("the example"), label=self.tr("Copy"))
        example.header.addWidget(self.copying)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(NORMAL)
        column.addWidget(self.state)
        column.addWidget(example)
