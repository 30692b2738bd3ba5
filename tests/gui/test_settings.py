# SPDX-License-Identifier: Apache-2.0
"""What the window remembers, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray

from watchword.gui.settings import WindowSettings, settings_path
from watchword.gui.theme import Scheme


def test_it_lies_in_the_programs_home_where_that_is_set() -> None:
    assert settings_path({"WATCHWORD_HOME": "/some/home"}) == Path("/some/home/window.ini")


def test_it_lies_in_the_users_folder_for_settings_otherwise(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_path({}) == tmp_path / "watchword" / "window.ini"


def test_what_was_saved_is_read_again(tmp_path) -> None:
    path = tmp_path / "deep" / "window.ini"
    settings = WindowSettings(path)
    settings.scheme = Scheme.DARK
    settings.geometry = QByteArray(b"\x01\x02\x00\x03")
    settings.save()
    again = WindowSettings(path)
    assert again.scheme is Scheme.DARK
    assert again.geometry == QByteArray(b"\x01\x02\x00\x03")


@pytest.mark.parametrize(
    "content", ["", "[General]\nscheme=purple\ngeometry=1\n", "\x00\x01nonsense"]
)
def test_a_file_that_is_odd_gives_the_defaults(tmp_path, content: str) -> None:
    path = tmp_path / "window.ini"
    path.write_text(content)
    settings = WindowSettings(path)
    assert settings.scheme is Scheme.AUTO
    assert isinstance(settings.geometry, QByteArray)
