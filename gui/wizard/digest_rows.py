# SPDX-License-Identifier: Apache-2.0
"""What went into a launch digest, as rows of a table; the records name each part."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from ..widgets.key_value_table import Row
from .page import Record, list_of, text_of

_TERMS = {"firmware": "firmware", "kernel-hashes": "kernel-hashes", "vmsa": "vmsa"}


def _say(text: str) -> str:
    return QCoreApplication.translate("DigestRows", text)


def digest_rows(record: Record, launch_digest: str = "") -> list[Row]:
    """The digests of a guest's record with their parts; all, or the one that is named."""
    rows: list[Row] = []
    for entry in list_of(record, "launch_digests"):
        if not isinstance(entry, dict):
            continue
        digest = text_of(entry, "launch_digest")
        if launch_digest in ("", digest):
            rows.append(
                Row(_say("Launch digest"), digest, copy=True, hex=True, term="launch-digest")
            )
            rows += [_part(part) for part in list_of(entry, "components") if isinstance(part, dict)]
    return rows


def _part(part: Record) -> Row:
    name = text_of(part, "name")
    title = {
        "firmware": _say("Firmware"),
        "kernel-hashes": _say("Kernel"),
        "vmsa": _say("vCPU"),
    }.get(name, name)
    return Row(title, f"{_size(part)}{text_of(part, 'description')}", term=_TERMS.get(name, ""))


def _size(part: Record) -> str:
    size, count = part.get("size"), part.get("count")
    if not isinstance(size, int):
        return ""
    times = f"{count} \u00d7 " if isinstance(count, int) and count > 1 else ""
    return times + _say("{size} bytes: ").format(size=f"{size:,}".replace(",", "\u202f"))
