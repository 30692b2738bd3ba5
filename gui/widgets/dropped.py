# SPDX-License-Identifier: Apache-2.0
"""Which files of this computer a drag carries."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QMimeData

MOST: Final = 64
"""Files that are taken at once."""


def offers_files(data: QMimeData) -> bool:
    """Whether there is a file of this computer among what is dragged."""
    return bool(dropped_files(data))


def dropped_files(data: QMimeData) -> list[str]:
    """Their paths, of 64 at most; addresses elsewhere are left out."""
    urls = data.urls() if data.hasUrls() else []
    return [url.toLocalFile() for url in urls[:MOST] if url.isLocalFile() and url.toLocalFile()]
