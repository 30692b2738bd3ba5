# SPDX-License-Identifier: Apache-2.0
"""Looks, without Qt, at what Qt would abort for want of: package, libraries, a display.

A missing library of the xcb plugin ends a Qt program by abort(), with no exception to
catch; so this comes before any import of Qt, and ends in a sentence.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from watchword.core.errors import UsageError

# What PySide6-Essentials needs of a Debian 12 without any desktop, found by adding one
# library after the other (spec/gui.md, 5.1).
_ALWAYS: Final = {
    "libglib-2.0.so.0": "libglib2.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
}
_XCB: Final = {
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
}
_WAYLAND: Final = {
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
}

_HEADLESS = "Use the command line instead: `watchword --help`."


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks ask of the machine; a test puts another one in its place."""

    environment: Mapping[str, str]
    loads: Callable[[str], bool]
    has_qt: Callable[[], bool]
    reaches_x11: Callable[[], bool]
    reaches_wayland: Callable[[], bool]
    families: Callable[[], frozenset[str]]
    platform: str = sys.platform

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str]) -> Surroundings:
        """The real one, with the environment of the process."""
        return cls(environment, _loads, _has_qt, _reaches_x11, _reaches_wayland, _families)


def find_problem(around: Surroundings) -> UsageError | None:
    """Why no window can be shown here, or None; the checks that cost least come first."""
    if not around.has_qt():
        return _no_qt()
    if around.platform != "linux":
        return None
    if missing := _missing(around, _ALWAYS):
        return _no_libraries(around, missing)
    if around.environment.get("QT_QPA_PLATFORM"):
        return None  # whoever names a platform plugin knows which one works
    return _find_display_problem(around)


def _find_display_problem(around: Surroundings) -> UsageError | None:
    """One of the displays that are named must work; of several, the last problem is told."""
    problem: UsageError | None = _no_display()
    for variable, libraries, reaches in (
        ("WAYLAND_DISPLAY", _WAYLAND, around.reaches_wayland),
        ("DISPLAY", _XCB, around.reaches_x11),
    ):
        name = around.environment.get(variable)
        if not name:
            continue
        if missing := _missing(around, libraries):
            problem = _no_libraries(around, missing)
        elif not reaches():
            problem = _unreachable(variable, name)
        else:
            return None
    return problem


def _missing(around: Surroundings, libraries: Mapping[str, str]) -> list[str]:
    return [package for name, package in libraries.items() if not around.loads(name)]


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _has_qt() -> bool:
    return importlib.util.find_spec("PySide6") is not None


def _reaches_x11() -> bool:
    """Connect as Qt will; a display that is gone would make it abort."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    failed = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not failed


def _reaches_wayland() -> bool:
    wayland = ctypes.CDLL("libwayland-client.so.0")
    wayland.wl_display_connect.restype = ctypes.c_void_p
    display = wayland.wl_display_connect(None)
    if display is None:
        return False
    wayland.wl_display_disconnect(ctypes.c_void_p(display))
    return True


def _families() -> frozenset[str]:
    from watchword.core.doctor.surroundings import (  # noqa: PLC0415 - for the rare case
        system_families,
    )

    return system_families()


def _no_qt() -> UsageError:
    return UsageError(
        "no-qt",
        "The window needs Qt, and it is not installed",
        f"PySide6 is not there for {sys.executable}.",
        f"Install it: {sys.executable} -m pip install 'watchword[gui]'. {_HEADLESS}",
    )


def _no_libraries(around: Surroundings, packages: Iterable[str]) -> UsageError:
    names = " ".join(packages)
    debian = around.families() & {"debian", "ubuntu"}
    how = f"apt install {names}" if debian else f"install what Debian calls {names}"
    return UsageError(
        "no-qt-libraries",
        "Qt can't show a window here",
        f"Libraries that it needs are missing: {names}.",
        f"As root: {how}. {_HEADLESS}",
    )


def _no_display() -> UsageError:
    return UsageError(
        "no-display",
        "There is no display",
        "Neither DISPLAY nor WAYLAND_DISPLAY names one.",
        f"Start it from a desktop session, or over `ssh -X`. {_HEADLESS}",
    )


def _unreachable(variable: str, name: str) -> UsageError:
    return UsageError(
        "display-unreachable",
        "The display can't be reached",
        f"{variable} is {name!r}, and nothing there lets a window be shown.",
        f"Start it from a running desktop session. {_HEADLESS}",
    )
