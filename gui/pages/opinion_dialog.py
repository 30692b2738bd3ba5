# SPDX-License-Identifier: Apache-2.0
"""A launch that is over, for sceptics: every step of it with the commands that check it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError
from watchword.core.launch.second_opinion import Opinion

from ..asking import ask
from ..bridge import Bridge
from ..second_opinion_files import save_new_files
from ..widgets.folders import remembered
from ..widgets.opinion_view import OpinionView
from .page_dialog import PageDialog


class OpinionDialog(PageDialog):
    """Saves the files that the commands read; nothing in it is secret."""

    def __init__(
        self, bridge: Bridge, launch_id: str, opinions: Sequence[Opinion], parent: QWidget
    ) -> None:
        super().__init__(
            self.tr("Check it with other tools"),
            self.tr(
                "What was computed from what in {launch}, and commands of other tools that check"
                " it. They read files that are written for this alone."
            ).format(launch=launch_id),
            self.tr("&Save the files…"),
            parent,
        )
        self._bridge = bridge
        self.refusing.setText(self.tr("Close"))
        self.view = OpinionView(titles=True)
        self.view.show_opinions(opinions)
        self.view.save.hide()
        self.view.saveWanted.connect(self._save)
        self.body.addWidget(self.view)
        self.set_allowed(bool(self.view.files))
        self.agreed.connect(self._choose)

    @Slot()
    def _choose(self) -> None:
        self.set_busy(False)
        self.view.choose()

    @Slot(str)
    def _save(self, folder: str) -> None:
        self.banner.clear()
        remembered.remember("second-opinion", str(Path(folder) / "files"))
        save = partial(save_new_files, folder, dict(self.view.files))
        ask(self._bridge, self, save, self._show_saved, self._not_saved)

    def _show_saved(self, folder: object) -> None:
        self.view.show_saved(str(folder))

    def _not_saved(self, error: object) -> None:
        self.show_error(cast("WatchwordError", error))
