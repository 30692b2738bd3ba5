# SPDX-License-Identifier: Apache-2.0
"""The page *Guest* of a recorded launch: what was refused of it is waived, by a typed reason."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from watchword.core.errors import WatchwordError

from .guest import GuestPage
from .recorded_platform import WaiverPanel

_WAIVERS: Final = {"policy-refused": "policy_waiver", "firmware-refused": "firmware_waiver"}
"""Which waiver of an order lifts which refusal."""


class RecordedGuestPage(GuestPage):
    """``waiver`` is shown once policy or firmware was refused; nothing is recorded until then.

    ``waived``     comes with the name of an order's waiver, and the reason that was typed
    ``rehearsal``  whether it is one, of which nothing is ever recorded
    """

    waived = Signal(str, str)

    def __init__(self, choices: QWidget, *, rehearsal: bool = False) -> None:
        super().__init__(choices)
        self._name = ""
        title = self.tr("Launch it all the same…")
        if rehearsal:
            title = self.tr("Rehearse it all the same…")
        self.waiver = WaiverPanel(
            title,
            self.tr("Then the host may do to the guest what is said above."),
            rehearsal=rehearsal,
        )
        self.waiver.wanted.connect(lambda reason: self.waived.emit(self._name, reason))
        self.controls.addWidget(self.waiver)

    def show_refusal(self, error: WatchwordError | None) -> None:
        """Why the launch could not begin; a weak policy and such firmware can be waived here."""
        self._name = "" if error is None else _WAIVERS.get(error.code, "")
        self.waiver.reason.clear()
        self.waiver.set_open(False)
        self.waiver.setVisible(bool(self._name))
