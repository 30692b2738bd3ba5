# SPDX-License-Identifier: Apache-2.0
"""Pictures of the pages, light and dark, at 100 and 150 %, to be looked at by a person.

Usage: gallery.py FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCALES = ("1", "1.5")
SIZES = {"1": (980, 700), "1.5": (911 - 180, 512)}


def draw(folder: Path, scale: str) -> None:
    """Save every picture in both palettes, in this process, whose scale is set already."""
    from PySide6.QtWidgets import QApplication

    from watchword.gui.bridge import Bridge
    from watchword.gui.theme import Scheme, Theme
    from watchword.gui.widgets.calm_style import CalmStyle

    sys.path.insert(0, str(Path(__file__).parents[3]))
    from tests.gui.pages.more_scenes import MORE_SCENES
    from tests.gui.pages.scenes import SCENES

    application = QApplication([])
    theme = Theme(application)
    application.setStyleSheet("")
    application.setStyle(CalmStyle())
    percent = round(float(scale) * 100)
    wanted = os.environ.get("SCENES", "").split()
    for scheme in (Scheme.LIGHT, Scheme.DARK):
        theme.scheme = scheme
        for name, build in (SCENES | MORE_SCENES).items():
            if wanted and not any(name.startswith(one) for one in wanted):
                continue
            bridge = Bridge()
            with tempfile.TemporaryDirectory() as home:
                os.environ["WATCHWORD_HOME"] = home

                def settle(page) -> None:
                    end = time.monotonic() + 20
                    while page.work.busy and time.monotonic() < end:
                        application.processEvents()
                        time.sleep(0.005)
                    application.processEvents()

                widget, page = build(bridge, Path(home), settle, SIZES[scale])
                application.processEvents()
                application.processEvents()
                widget.grab().save(str(folder / f"{name}-{scheme}-{percent}.png"))
                page.close()
                bridge.shutdown()
                page.deleteLater()
                application.processEvents()


def main() -> int:
    """Draw in a process of its own for each scale, which Qt reads once."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scale = os.environ.get("WATCHWORD_GALLERY_SCALE")
    if scale is not None:
        draw(folder, scale)
        return 0
    for one in SCALES:
        settings = {
            "QT_QPA_PLATFORM": "offscreen",
            "QT_SCALE_FACTOR": one,
            "WATCHWORD_GALLERY_SCALE": one,
        }
        subprocess.run(
            [sys.executable, __file__, str(folder)], env=os.environ | settings, check=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
