# SPDX-License-Identifier: Apache-2.0
"""Pictures of all widgets, light and dark, at 100 and 150 %, to be looked at by a person.

Usage: gallery.py FOLDER [--platform offscreen|xcb]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

SCALES = ("1", "1.5")


def samples() -> dict[str, Callable[[], object]]:
    """Each sheet's name and what builds it."""
    from sheets import SHEETS

    return SHEETS


def draw(folder: Path, scale: str) -> None:
    """Save every sheet in both palettes, in this process, whose scale is set already."""
    from PySide6.QtCore import QCoreApplication, QEvent
    from PySide6.QtWidgets import QApplication

    from watchword.gui.theme import Scheme, Theme

    application = QApplication([])
    theme = Theme(application)
    percent = round(float(scale) * 100)
    for scheme in (Scheme.LIGHT, Scheme.DARK):
        theme.scheme = scheme
        for name, build in samples().items():
            widget = build()
            widget.show()
            if widget.hasHeightForWidth():
                least = widget.heightForWidth(widget.width())
                widget.resize(widget.width(), max(widget.height(), least))
            application.processEvents()
            path = folder / f"{name}-{scheme}-{percent}.png"
            widget.grab().save(str(path))
            widget.close()
            widget.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def main() -> int:
    """Draw in a process of its own for each scale, which Qt reads once."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scale = os.environ.get("WATCHWORD_GALLERY_SCALE")
    if scale is not None:
        draw(folder, scale)
        return 0
    platform = sys.argv[3] if len(sys.argv) > 3 else "offscreen"
    for one in SCALES:
        settings = {
            "QT_QPA_PLATFORM": platform,
            "QT_SCALE_FACTOR": one,
            "WATCHWORD_GALLERY_SCALE": one,
        }
        subprocess.run(
            [sys.executable, __file__, str(folder)], env=os.environ | settings, check=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
