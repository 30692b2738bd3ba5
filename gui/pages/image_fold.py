# SPDX-License-Identifier: Apache-2.0
"""What is done with an image that there is already, folded away: its file, and what is told."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLineEdit, QWidget

from watchword.core.errors import WatchwordError

from ..bridge import Bridge
from ..image_service import ImageService
from ..vault_gate import VaultGate
from ..widgets.banner import Banner
from ..widgets.busy_line import BusyLine
from ..widgets.foldable import Foldable
from ..widgets.fonts import NORMAL
from ..widgets.path_field import PathField

_LONGEST = 200


class ImageFold(Foldable):
    """One thing at a time, about an image and a vault entry, which can't be changed meanwhile.

    ``told``  comes with what was just shown, so that it is seen
    """

    told = Signal(object)

    def __init__(
        self, bridge: Bridge, service: ImageService, gate: VaultGate, parent: QWidget | None = None
    ) -> None:
        super().__init__("", parent)
        self._bridge = bridge
        self._service = service
        self._gate = gate
        self._inputs: tuple[QWidget, ...] = ()
        self._pressed: QWidget | None = None
        self.entry = self._line()
        self.line, self.banner = BusyLine(), Banner()
        self.body.setSpacing(NORMAL)

    def _entitle(self, title: str, label: str) -> None:
        """The words on the fold, and those above the image's path."""
        self.button.setText(title)
        self.button.setAccessibleName(title)
        self.file = PathField(label, purpose="disk-image")

    def _line(self) -> QLineEdit:
        """For the name of a vault entry."""
        edit = QLineEdit()
        edit.setMaxLength(_LONGEST)
        return edit

    def _wait(self, words: str) -> None:
        """It is at work: ``_inputs`` stay as they are."""
        self._pressed = next((one for one in self._inputs if one.hasFocus()), None)
        for one in self._inputs:
            one.setEnabled(False)
        self.banner.clear()
        self.line.begin(words, can_cancel=False)
        self.told.emit(self.line)

    @Slot()
    def _rest(self) -> None:
        """It is not at work any more, and what came of it is shown."""
        self.line.end()
        for one in self._inputs:
            one.setEnabled(True)
        if self._pressed is not None:
            self._pressed.setFocus(Qt.FocusReason.OtherFocusReason)
        self.told.emit(self.banner)

    @Slot(object)
    def _show_error(self, error: object) -> None:
        self.banner.show_error(cast("WatchwordError", error))
