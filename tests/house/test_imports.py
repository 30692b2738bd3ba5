# SPDX-License-Identifier: Apache-2.0
"""The core imports without Qt, whatever part of it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EVERY_CORE_MODULE = """
import importlib, pkgutil, sys
import watchword.core
for module in pkgutil.walk_packages(watchword.core.__path__, "watchword.core."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
"""
REPORT_QT = """
import sys
print(sorted(n for n in sys.modules if n.split(".")[0].lower().startswith(("pyside", "shiboken"))))
"""


@pytest.fixture
def qt_that_imports(tmp_path: Path) -> Path:
    """A folder with a PySide6 and a shiboken6 that import, so that nothing fails for their want."""
    for name in ("PySide6", "shiboken6"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    return tmp_path


def qt_modules_after(code: str, qt: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-P", "-c", code + REPORT_QT],
        env={**os.environ, "PYTHONPATH": str(qt)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(EVERY_CORE_MODULE, id="every core module"),
        pytest.param("import watchword.core.cli.main", id="command line"),
        pytest.param("import watchword.gui.app", id="start of the window"),
    ],
)
def test_no_qt_comes_along(code: str, qt_that_imports: Path) -> None:
    assert qt_modules_after(code, qt_that_imports) == "[]"


def test_qt_that_comes_along_is_seen(qt_that_imports: Path) -> None:
    assert qt_modules_after("import PySide6", qt_that_imports) == "['PySide6']"
