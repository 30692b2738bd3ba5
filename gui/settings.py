# SPDX-License-Identifier: Apache-2.0
"""What the window remembers from one run to the next: where it stood, and how it looks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from .theme import Scheme

_FILE = "window.ini"


def settings_path(environment: Mapping[str, str] | None = None) -> Path:
    """In ``$WATCHWORD_HOME`` where that is set, else in the user's folder for settings."""
    variables = os.environ if environment is None else environment
    if variables.get("WATCHWORD_HOME"):
        return Path(variables["WATCHWORD_HOME"]) / _FILE
    import platformdirs  # noqa: PLC0415 - not needed where the variable is set

    return platformdirs.user_config_path("watchword", appauthor=False) / _FILE


class WindowSettings:
    """The file with the window's state; nothing in it matters, so whatever is odd is ignored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._settings = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def scheme(self) -> Scheme:
        """Light, dark, or as the desktop has it."""
        value = str(self._settings.value("scheme", Scheme.AUTO.value))
        return Scheme(value) if value in list(Scheme) else Scheme.AUTO

    @scheme.setter
    def scheme(self, scheme: Scheme) -> None:
        self._settings.setValue("scheme", scheme.value)

    @property
    def geometry(self) -> QByteArray:
        """Size and place of the main window; empty the first time."""
        value = self._settings.value("geometry")
        return value if isinstance(value, QByteArray) else QByteArray()

    @geometry.setter
    def geometry(self, geometry: QByteArray) -> None:
        self._settings.setValue("geometry", geometry)

    def save(self) -> None:
        """Write what was changed, now."""
        self._settings.sync()
