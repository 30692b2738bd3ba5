# SPDX-License-Identifier: Apache-2.0
"""On each page of a recorded launch: how others' tools check what was found on it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final, cast

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError
from watchword.core.launch.engine import Launch
from watchword.core.launch.second_opinion import Opinion

from ..asking import ask
from ..bridge import Bridge
from ..second_opinion_files import opinions_on, save_new_files
from ..widgets.banner import Banner
from ..widgets.foldable import Foldable
from ..widgets.folders import remembered
from ..widgets.opinion_view import OpinionView
from .frame import WizardFrame

_STEPS: Final = ("platform", "guest", "session", "measurement", "secret", "run")
"""Those of which there is something to check; starting the VM computes nothing."""


class OpinionPanel(Foldable):
    """Folded until somebody doubts; hidden while its step has no record."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Check it with other tools…"), parent)
        self.shown: object = None
        self.banner = Banner()
        self.view = OpinionView()
        self.body.addWidget(self.banner)
        self.body.addWidget(self.view)
        self.hide()


class SecondOpinions(QObject):
    """Puts a panel on each page; asks the records when one is unfolded, or its launch moves on."""

    def __init__(self, bridge: Bridge, frame: WizardFrame, owner: QObject) -> None:
        super().__init__(owner)
        self._bridge = bridge
        self._frame = frame
        self.panels: dict[str, OpinionPanel] = {}
        for step in _STEPS:
            panel = self.panels[step] = OpinionPanel()
            panel.toggled.connect(self.follow)
            panel.view.saveWanted.connect(partial(self._save, panel))
            frame.pages[step].content.addWidget(panel)

    @Slot()
    def follow(self) -> None:
        """The launch is another than before, or further than before."""
        conductor = self._frame.conductor
        if conductor is None:
            return
        launch = conductor.launch
        for step, panel in self.panels.items():
            known = bool(launch.id) and step in launch.facts
            panel.setVisible(known)
            if not known:
                panel.set_open(False)
                panel.shown = None
            elif panel.opened:
                self._refresh(step, panel, launch)

    def _refresh(self, step: str, panel: OpinionPanel, launch: Launch) -> None:
        key = (launch.id, tuple(launch.facts))
        if key == panel.shown:
            return
        panel.shown = key

        def show(found: object) -> None:
            if panel.shown == key:
                opinions = cast("tuple[Opinion, ...]", found)
                panel.banner.clear()
                panel.view.show_opinions([one for one in opinions if one.step == step])

        fail = partial(self._fail, panel)
        ask(self._bridge, self, partial(opinions_on, launch.id), show, fail)

    def _save(self, panel: OpinionPanel, folder: str) -> None:
        panel.banner.clear()
        remembered.remember("second-opinion", str(Path(folder) / "files"))
        save = partial(save_new_files, folder, dict(panel.view.files))
        saved = panel.view.show_saved
        ask(self._bridge, self, save, lambda where: saved(str(where)), partial(self._fail, panel))

    def _fail(self, panel: OpinionPanel, error: object) -> None:
        panel.shown = None
        panel.banner.show_error(cast("WatchwordError", error))
