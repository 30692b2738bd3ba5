# SPDX-License-Identifier: Apache-2.0
"""The owner's own list of platforms that get nothing any more, whatever their chain says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..errors import BadInput, VerificationRefused
from ..files import read_file
from ..sev.chain import ChainReport

FILE_NAME: Final = "deny-list.txt"
_LARGEST: Final = 1 << 20
_FIELD: Final = "the deny-list"
_LINE: Final = re.compile(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?:\s+(.{0,500}))?")
_CEK_DIGITS: Final = 64


def _none() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DenyList:
    """CEK fingerprints and chip ids in hex, each with the owner's note (which may be empty)."""

    ceks: Mapping[str, str] = field(default_factory=_none)
    chips: Mapping[str, str] = field(default_factory=_none)

    def refuse(self, report: ChainReport) -> None:
        """VerificationRefused ``platform-denied`` for a platform on the list.

        A chip id is what the host says; the CEK is what its chain proves.
        """
        for found, listed in ((report.cek_sha256, self.ceks), (report.chip_id, self.chips)):
            if found is not None and found in listed:
                raise _denied(found, listed[found], report)


def read_deny_list(home: Path) -> DenyList:
    """``deny-list.txt`` in Watchword's folder: one fingerprint or chip id a line, then a note.

    Empty lines and those that begin with # say nothing; no file is an empty list. Raises
    BadInput ``bad-deny-list`` that names the line, and as read_file does.
    """
    path = home / FILE_NAME
    if not path.exists():
        return DenyList()
    data = read_file(path, _FIELD, _LARGEST, allow_empty=True)
    ceks: dict[str, str] = {}
    chips: dict[str, str] = {}
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise _bad(path, data.count(b"\n") + 1, "It is not UTF-8 text.") from None
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _bad(path, number, "It begins with neither 64 nor 128 hex digits.")
        digits, note = match[1].lower(), (match[2] or "").strip()
        (ceks if len(digits) == _CEK_DIGITS else chips)[digits] = note
    return DenyList(MappingProxyType(ceks), MappingProxyType(chips))


def _bad(path: Path, line: int, problem: str) -> BadInput:
    return BadInput(
        "bad-deny-list",
        _FIELD,
        f"Line {line} of {path} can't be read. {problem}",
        "Write a CEK's fingerprint (64 hex digits) or a chip id (128) first in each line, then"
        " a blank and your note. Nothing is launched while the list can't be read.",
        {"path": str(path), "line": line},
    )


def _denied(what: str, note: str, report: ChainReport) -> VerificationRefused:
    words = f" Your note: “{note}”." if note else ""
    return VerificationRefused(
        "platform-denied",
        "This platform is on your deny-list",
        f"{what[:16]}… stands in {FILE_NAME}.{words}",
        "Launch the guest elsewhere. If the platform is yours to trust again, take its line out.",
        {"cek_sha256": report.cek_sha256, "chip_id": report.chip_id, "note": note},
    )
