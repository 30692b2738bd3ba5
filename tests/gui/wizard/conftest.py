# SPDX-License-Identifier: Apache-2.0
"""A wizard over a rehearsal: no dwelling, short waits, one simulated machine for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt

from watchword.core.hosts.limits import HostLimits
from watchword.core.launch.engine import Launch
from watchword.core.rehearsal import stepwise
from watchword.core.simulator import PlatformKeys
from watchword.gui.bridge import Bridge
from watchword.gui.theme import Theme
from watchword.gui.wizard.frame import WizardFrame
from watchword.gui.wizard.try_it_now import TryItNow

# For the attacks that consist of making the owner wait.
SHORT = HostLimits(connect_seconds=5, greeting_seconds=1.0, command_seconds=0.75, inject_seconds=1)
LONGEST = 60_000


@pytest.fixture(scope="session")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


class Driver:
    """Drives a wizard as a person does, and waits until it is at rest."""

    def __init__(self, qtbot, wizard: TryItNow) -> None:
        self.qtbot = qtbot
        self.wizard = wizard

    @property
    def frame(self) -> WizardFrame:
        return self.wizard.frame

    @property
    def launch(self) -> Launch:
        return self.frame.conductor.launch

    @property
    def page(self) -> str:
        return self.frame.current

    def rest(self) -> None:
        """Until nothing is at work and the wizard goes nowhere by itself."""
        self.qtbot.waitUntil(
            lambda: not self.frame.conductor_at_work and self.frame._target is None,
            timeout=LONGEST,
        )

    def click(self, button) -> None:
        self.qtbot.waitUntil(button.isVisible)  # what was just built is shown a moment later
        assert button.isEnabled(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def go_on(self) -> None:
        """Press the primary button, and wait for what comes of it."""
        self.click(self.frame.row.primary)
        self.rest()

    def choose(self, attack: str | None) -> None:
        self.wizard.choices.choose_host(attack)
        self.rest()

    def to(self, page: str) -> None:
        """Go on until a page is shown, or the launch was refused."""
        for _ in range(8):
            if self.page == page or self.launch.marks:
                return
            self.go_on()


@pytest.fixture
def make_wizard(
    qtbot, bridge: Bridge, theme: Theme, keys: PlatformKeys, monkeypatch, short_folder
) -> Iterator[Callable[..., Driver]]:
    """Makes a wizard that shows a rehearsal, at rest on its first page."""
    monkeypatch.setattr(stepwise, "PlatformKeys", SimpleNamespace(generate=lambda _bits: keys))

    def make(*, dwell: int = 0, limits: HostLimits = SHORT) -> Driver:
        wizard = TryItNow(bridge, limits=limits, dwell=dwell)
        qtbot.addWidget(wizard)
        wizard.resize(1100, 740)
        with qtbot.waitExposed(wizard):
            wizard.show()
        wizard.activateWindow()
        wizard.begin()
        driver = Driver(qtbot, wizard)
        driver.rest()
        made.append(driver)
        return driver

    made: list[Driver] = []
    yield make
    for driver in made:
        driver.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)


@pytest.fixture
def driver(make_wizard: Callable[..., Driver]) -> Driver:
    return make_wizard()
