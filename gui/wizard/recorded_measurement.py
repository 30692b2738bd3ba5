# SPDX-License-Identifier: Apache-2.0
"""The page *Measurement* of a recorded launch: beside the verdict, what the domain's XML shows."""

from __future__ import annotations

from .domain_pane import DomainPane
from .measurement import MeasurementPage


class RecordedMeasurementPage(MeasurementPage):
    """``domain`` is shown where a measurement did not match, and the host shows its XML."""

    def __init__(self) -> None:
        super().__init__()
        self.domain = DomainPane()
        self.content.addWidget(self.domain)
