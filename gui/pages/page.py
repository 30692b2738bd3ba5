# SPDX-License-Identifier: Apache-2.0
"""What the main window asks of a page in its sidebar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtWidgets import QWidget


class Page(Protocol):
    """What the sidebar leads to; a widget with two more functions is one."""

    def widget(self) -> QWidget:
        """The page itself; always the same widget."""
        ...

    def refresh(self) -> None:
        """The page is about to be seen: look again at what may have changed meanwhile.

        Called in the GUI thread, so whatever takes time goes over the bridge.
        """
        ...


@dataclass(frozen=True, slots=True)
class PageEntry:
    """One entry of the sidebar.

    ``title``  in the user's language
    ``icon``   a name of resources/icons
    ``make``   makes the page once it is to be seen for the first time, so that the first
    window waits for none but its own; whatever it needs is imported there
    """

    title: str
    icon: str
    make: Callable[[], Page]
