# SPDX-License-Identifier: Apache-2.0
"""The head of a ledger: its newest entry's number and hash, and the small file that keeps it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ..bounded_json import parse_json
from ..errors import BadInput, UsageError
from ..files import read_file, write_file
from .entries import LARGEST_SEQUENCE, is_hash, is_ledger_id, is_time

HEAD_FORMAT: Final = "watchword-ledger-head-1"
LARGEST_HEAD_FILE: Final = 4096

_MEMBERS: Final = {"format", "ledger_id", "sequence", "hash", "time"}
_TEXT: Final = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """Number and hash (SHA-256 in hex) of an entry that was the newest at some time."""

    sequence: int
    hash: str

    @property
    def text(self) -> str:
        """``SEQUENCE:HASH``, at most 81 ASCII characters."""
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def is_text(cls, text: str) -> bool:
        """Whether a text is meant as a head, and not as a file's name."""
        return _TEXT.fullmatch(text) is not None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head of its text. Raises UsageError ``bad-ledger-head``."""
        match = _TEXT.fullmatch(text)
        if match is None or int(match[1]) > LARGEST_SEQUENCE:
            raise UsageError(
                "bad-ledger-head",
                "This is no ledger head",
                "A head is a number, a colon and 64 hex digits.",
                "Give the head as `watchword ledger head` shows it, or a file that it wrote.",
            )
        return cls(int(match[1]), match[2])

    def as_json(self) -> dict[str, object]:
        """The head as it appears in JSON output."""
        return {"sequence": self.sequence, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class ExportedHead:
    """A head that was taken out of a ledger, to be held against it later.

    ``ledger_id``  32 hex digits, which no other ledger has
    ``time``       when it was taken out, in UTC, as ``2026-11-23T14:00:00Z``
    """

    ledger_id: str
    head: LedgerHead
    time: str

    def build(self) -> bytes:
        """The file's content: a JSON object of five members."""
        document = {"format": HEAD_FORMAT, **self.as_json()}
        return json.dumps(document, indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes, field: str) -> Self:
        """The head of a file's content. Raises BadInput ``bad-ledger-head``, ``bad-json``."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise _bad_file(field) from None
        value = parse_json(text, field, deepest=2)
        if not isinstance(value, dict) or value.keys() != _MEMBERS:
            raise _bad_file(field)
        if len(json.loads(text, object_pairs_hook=list)) != len(_MEMBERS):
            raise _bad_file(field)  # one of them is there twice
        sequence = value["sequence"]
        if (
            value["format"] != HEAD_FORMAT
            or not is_ledger_id(value["ledger_id"])
            or not (type(sequence) is int and 1 <= sequence <= LARGEST_SEQUENCE)
            or not is_hash(value["hash"])
            or not is_time(value["time"])
        ):
            raise _bad_file(field)
        return cls(value["ledger_id"], LedgerHead(sequence, value["hash"]), value["time"])

    def as_json(self) -> dict[str, object]:
        """Id, number, hash and time."""
        return {"ledger_id": self.ledger_id, **self.head.as_json(), "time": self.time}


def write_head(path: Path, exported: ExportedHead, field: str) -> None:
    """Write a head to a file, whole or not at all. Raises BadInput ``file-not-written``."""
    write_file(path, exported.build(), field=field)


def read_head(path: Path, field: str) -> ExportedHead:
    """The head that a file holds. Raises BadInput as read_file and ExportedHead.parse do."""
    return ExportedHead.parse(read_file(path, field, LARGEST_HEAD_FILE), field)


def _bad_file(field: str) -> BadInput:
    return BadInput(
        "bad-ledger-head",
        field,
        "It holds no ledger head, or a damaged one.",
        "Name a file that `watchword ledger head --out FILE` wrote, or give the head itself.",
    )
