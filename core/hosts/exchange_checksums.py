# SPDX-License-Identifier: Apache-2.0
"""SHA256SUMS files: they catch copying errors, and prove nothing about who wrote a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from .exchange_errors import copying_error, unusable
from .exchange_turns import CHECKSUM_FILE
from .host_words import visible

_LINE: Final = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(\S.*)", re.ASCII)
_LINES_MAX: Final = 1000


def checksum_lines(files: Mapping[str, bytes]) -> bytes:
    """The file's content for these files (names and contents), as ``sha256sum`` writes it."""
    return "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    ).encode()


def is_passed_over(name: str) -> bool:
    """Whether a file is hidden, or an editor's copy of another: nobody looks at those."""
    return name.startswith(".") or name.endswith("~")


def verify_checksums(folder: str, sums: bytes, files: Mapping[str, bytes]) -> None:
    """Compare the files of a folder with its list; files that it doesn't name are let be.

    Raises HostError ``exchange-copying-error`` with the file that differs or is not there,
    or ``exchange-reply-unusable`` for a list that is none.
    """
    for name, digest in _read(folder, sums).items():
        path = f"{folder}/{name}"
        if name not in files and is_passed_over(name):
            continue
        if name not in files:
            raise copying_error(path, f"is named in {CHECKSUM_FILE} and is not there")
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise copying_error(path, f"does not have the checksum that {CHECKSUM_FILE} names")


def _read(folder: str, sums: bytes) -> dict[str, str]:
    """Names and digests; the list itself, which ``sha256sum *`` may name too, is left out."""
    where = f"{folder}/{CHECKSUM_FILE}"
    try:
        lines = sums.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise unusable(where, "It is not text.") from None
    if len(lines) > _LINES_MAX:
        raise unusable(where, f"It has {len(lines)} lines.")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise unusable(where, f"Line {number} is not as sha256sum writes it.")
        name = _plain(match[2], folder)
        if name is None:
            raise unusable(where, f"Line {number} names {visible(match[2], 80)}, not a file here.")
        if found.setdefault(name, match[1].lower()) != match[1].lower():
            raise unusable(where, f"Line {number} names {name} a second time.")
    found.pop(CHECKSUM_FILE, None)
    return found


def _plain(name: str, folder: str) -> str | None:
    """The name without the ways to write this folder before it; None if it leads elsewhere."""
    name = name.removeprefix("./").removeprefix(f"{folder.rpartition('/')[2]}/")
    return name if "/" not in name and name.isprintable() else None
