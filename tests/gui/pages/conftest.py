# SPDX-License-Identifier: Apache-2.0
"""What the pages' tests rest on: a vault of their own, no keyring of the user's, no disk waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtWidgets import QApplication, QStyleFactory

from watchword.gui.pages.vault_service import VaultService
from watchword.gui.theme import Theme
from watchword.gui.widgets.calm_style import CalmStyle

from ..widgets.conftest import scheme
from . import more_scenes, scenes
from .support import MemoryBackend, make_service, settled

__all__ = ["scheme"]

SMALLEST = (911 - 180, 512)
"""1366x768 at 150 %, in device-independent pixels, less the sidebar."""


@pytest.fixture(scope="package", autouse=True)
def _calm_style(theme: Theme, qapp: QApplication) -> Iterator[None]:
    """The program's own style, without a style sheet."""
    sheet = qapp.styleSheet()
    qapp.setStyleSheet("")
    qapp.setStyle(CalmStyle())
    yield
    qapp.setStyle(QStyleFactory.create("Fusion"))
    qapp.setStyleSheet(sheet)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch) -> None:
    # What is written needn't outlive a power cut.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def service(tmp_path, backend) -> Iterator[VaultService]:
    """The vault of the window, not made yet; closed after the test."""
    made = make_service(tmp_path / "home" / "vault", backend)
    yield made
    made.close()


@pytest.fixture
def next_run(service, backend) -> Iterator[Callable[[], VaultService]]:
    """Ends the program's run and gives the service of the next one, over the same files."""
    made = []

    def run() -> VaultService:
        for one in (service, *made):
            one.close()
        made.append(make_service(service.folder, backend))
        return made[-1]

    yield run
    for one in made:
        one.close()


@pytest.fixture
def scene(qtbot, bridge, theme, tmp_path, monkeypatch, request):
    """Builds one by its name; what it opens is closed again, the services' vaults too."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path))
    built, services = [], []

    def recorded(*arguments):
        services.append(make_service(*arguments))
        return services[-1]

    for module in (scenes, more_scenes):
        monkeypatch.setattr(module, "make_service", recorded)

    def rest(page):
        qtbot.waitUntil(lambda: not page.work.busy)

    def build(name):
        widget, page = more_scenes.EVERY[name](bridge, tmp_path, rest, SMALLEST)
        qtbot.addWidget(page)
        built.append((widget, page))
        rest(page)
        if widget is page:
            page.resize(*SMALLEST)
        return settled(widget), page

    yield build
    for widget, page in built:
        if widget is not page:
            widget.done(0)
        page.close()
    qtbot.waitUntil(lambda: not bridge.busy)
    for service in services:
        service.close()
