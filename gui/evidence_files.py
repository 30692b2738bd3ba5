# SPDX-License-Identifier: Apache-2.0
"""Writes evidence where its owner wants it; the page is laid out for print here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF
from PySide6.QtGui import QPageLayout, QPageSize, QPdfWriter, QTextDocument

from watchword.core.files import write_file

_MARGIN: Final = 15
"""Of a printed page, in millimetres."""


def pdf_of(page: bytes) -> bytes:
    """A page of ours as PDF in A4; in the GUI thread, since it lays out text."""
    document = QTextDocument()
    document.setHtml(page.decode())
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    margins = QMarginsF(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
    writer.setPageMargins(margins, QPageLayout.Unit.Millimeter)
    writer.setTitle("Launch evidence")
    writer.setCreator("Watchword")
    document.print_(writer)
    del writer  # it writes the end of the file
    return bytes(buffer.data().data())


def save_bytes(path: str, data: bytes) -> None:
    """Write a file that the owner named. Raises BadInput ``file-not-written``."""
    write_file(Path(path), data, field="the file")
