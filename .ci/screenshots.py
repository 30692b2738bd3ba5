# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures in docs/screenshots/ from the real program, on an X11 display of its own.

Usage: .venv/bin/python .ci/screenshots.py [FOLDER]

Runs itself under xvfb-run; nothing of the user's is read, and nothing is kept but the pictures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PySide6.QtGui import QImage

    from tests.gui.pages.fleet_support import FleetRoom
    from watchword.gui.main_window import MainWindow

ROOT: Final = Path(__file__).resolve().parent.parent
LONGEST: Final = 600.0
"""Seconds for everything."""
MOST_BYTES: Final = 120_000
SIZE: Final = (1120, 760)
INSIDE: Final = "WATCHWORD_SCREENSHOTS_INSIDE"

# File, appearance, behaviour of the host, and the page of the wizard; None is the first page.
PICTURES: Final = (
    ("start-light", "light", None, None),
    ("platform-light", "light", None, "platform"),
    ("secret-light", "light", None, "secret"),
    ("evidence-dark", "dark", None, "run"),
    ("measurement-dark", "dark", None, "measurement"),
    ("refused-light", "light", "wrong-firmware", "measurement"),
    ("fleet-light", "light", None, "fleet"),
)
FLEET: Final = """
[[launch]]
name = "v8"
guest = "web"
wait = 1

[[launch]]
name = "v{9..24}"
guest = "web"
"""
"""After launches from v1 to v7."""
LIES: Final = {"v3": "wrong-firmware", "v11": "wrong-firmware", "v8": "never"}
"""What some of its hosts do: they load another firmware, or start nothing."""


def main() -> int:
    """Take them all; 1 if one could not be taken, or is larger than a repository should hold."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "screenshots").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get(INSIDE):
        return take_all(folder)
    with tempfile.TemporaryDirectory(prefix="wws") as home:
        display = ["xvfb-run", "-a", "-s", "-screen 0 1280x900x24 -nolisten tcp"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("QT_", "WAYLAND"))}
        environment |= {INSIDE: "1", "WATCHWORD_HOME": home, "QT_QPA_PLATFORM": "xcb"}
        command = [*display, sys.executable, __file__, str(folder)]
        return subprocess.run(command, env=environment, check=False, timeout=LONGEST).returncode


def take_all(folder: Path) -> int:
    """On a display that is there: the real window, and what a person would press."""
    from watchword.gui import application as program  # noqa: PLC0415 - where a display is
    from watchword.gui.theme import Scheme  # noqa: PLC0415 - as above

    application = program.make_application()
    assert application.platformName() == "xcb"
    settings = program.WindowSettings(program.settings_path())
    theme = program.Theme(application, Scheme.LIGHT)
    bridge = program.Bridge(application)
    window = program.MainWindow(bridge, theme, settings)
    window.resize(*SIZE)
    window.show()
    problems = []
    try:
        for name, scheme, attack, page in PICTURES:
            theme.scheme = Scheme(scheme)
            if page == "fleet":
                show_fleet(window, application.processEvents)
            else:
                show(window, attack, page, application.processEvents)
            problems += save(window, folder / f"{name}.png")
    finally:
        window.close_wizard()
        window.close()
        bridge.shutdown()
    print("\n".join(problems) or f"{len(PICTURES)} pictures in {folder}")
    return 1 if problems else 0


def show(
    window: MainWindow, attack: str | None, page: str | None, process: Callable[[], None]
) -> None:
    """Bring the window to a page as a person does: by the buttons."""
    window.close_wizard()
    if page is not None:
        wizard = window.only_try(attack)
        frame = wizard.frame
        wait(lambda: not frame.conductor_at_work, process)
        while frame.conductor is not None and not frame.conductor.launch.marks:
            if frame.conductor.launch.status(page).settled or frame.current == page == "secret":
                break
            frame.row.primary.click()
            wait(lambda: not frame.conductor_at_work and frame._target is None, process)
        frame.go(page)
    until = time.monotonic() + 0.6
    wait(lambda: time.monotonic() > until, process)


def fleet_room() -> FleetRoom:
    """An owner, whom his own folder belongs to from now on, and the hosts of one machine."""
    sys.path.insert(0, str(ROOT))
    from tests.gui.pages.fleet_support import FleetRoom  # noqa: PLC0415 - where a display is
    from watchword.core.simulator import (  # noqa: PLC0415 - as above
        PlatformKeys,
        build_firmware,
        save_platform,
    )

    home = Path(os.environ["WATCHWORD_HOME"]) / "fleet"
    folder, platform, firmware = home / "rack1", home / "platform", home / "OVMF.amdsev.fd"
    for one in (folder, platform):
        one.mkdir(parents=True)
    keys = PlatformKeys.generate(2048)
    save_platform(keys, platform)
    firmware.write_bytes(build_firmware())
    os.environ["WATCHWORD_HOME"] = str(home / "owner")
    room = FleetRoom(home / "owner", folder, keys, platform, firmware)
    room.unlock()
    return room


def show_fleet(window: MainWindow, process: Callable[[], None]) -> None:
    """A fleet that is through, over real sockets to the simulated hosts of the tests."""
    window.close_wizard()
    room = fleet_room()
    window.vaults = room.vaults
    window.launching._service = room.launches
    window.show_page(len(window.entries) - 1)
    page = window._fleet
    manifest = room.write(Path(room.manifest(7)).read_text() + FLEET)
    ended: list[object] = []
    page.run.ended.connect(ended.append)
    with room.hosts(**LIES):
        page.open_manifest(manifest)
        wait(page.actions_row.start.isEnabled, process)
        page.actions_row.start.click()
        wait(lambda: bool(ended) and not page.run.running, process)
    page.table.table.selectRow(2)
    page.scroll_to_top()
    until = time.monotonic() + 0.6
    wait(lambda: time.monotonic() > until, process)


def wait(condition: Callable[[], bool], process: Callable[[], None]) -> None:
    """Let the program live until something is so."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the program did not come to rest")
        process()
        time.sleep(0.005)


def save(window: MainWindow, path: Path) -> Iterator[str]:
    """Write the picture as small as PNG can; sentences about what is wrong with it."""
    if not with_few_colours(window.grab().toImage()).save(str(path), "PNG", 0):  # packed best
        yield f"{path.name}: could not be written"
    elif (size := path.stat().st_size) > MOST_BYTES:
        yield f"{path.name}: {size} bytes, more than {MOST_BYTES}"


def with_few_colours(picture: QImage) -> QImage:
    """A third of the size and the same to the eye: 256 colours, the most frequent of like ones."""
    from PySide6.QtCore import Qt  # noqa: PLC0415 - where a display is
    from PySide6.QtGui import QImage  # noqa: PLC0415 - as above

    plain = picture.convertToFormat(QImage.Format.Format_RGB32)
    pixels = Counter(memoryview(plain.constBits()).cast("B").cast("I"))
    table: list[int] = []
    for colour, _ in pixels.most_common():
        if len(table) < 256 and not any(alike(colour, one) for one in table):
            table.append(colour | 0xFF000000)
    nearest = Qt.ImageConversionFlag.AvoidDither
    return plain.convertToFormat(QImage.Format.Format_Indexed8, table, nearest)


def alike(colour: int, other: int) -> bool:
    """Whether nobody will see the difference."""
    return all(abs((colour >> shift & 255) - (other >> shift & 255)) < 8 for shift in (0, 8, 16))


if __name__ == "__main__":
    sys.exit(main())
