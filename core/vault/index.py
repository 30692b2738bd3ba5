# SPDX-License-Identifier: Apache-2.0
"""The index of a vault: its generation and the list of its entries."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import UsageError
from .damage import StrictFields, damaged
from .entries import LARGEST_VALUE, EntryInfo, EntryKind, check_entry_name
from .sealed_entries import ENTRY_ID_SIZE, SEALING_OVERHEAD, SealedEntry

LAST_GENERATION: Final = 2**53 - 1
MOST_ENTRIES: Final = 100_000

_TEXT: Final = re.compile(r".{1,128}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Index:
    """What a vault holds.

    ``generation``      counts its changes
    ``sealed_entries``  SHA-256 of all sealed entries together, 32 bytes
    ``entries``         in the order of their bytes
    """

    generation: int
    sealed_entries: bytes
    entries: tuple[SealedEntry, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> Index:
        """The index of its JSON form. Raises VaultError ``vault-damaged``."""
        fields = StrictFields.parse(data, "the index")
        generation = fields.number("generation", 1, LAST_GENERATION)
        sealed_entries = fields.hex("sealed_entries", _DIGEST_SIZE)
        rows = fields.array("entries")
        fields.finish()
        if len(rows) > MOST_ENTRIES:
            raise damaged("its index is too long")
        entries = tuple(_parse_entry(row) for row in rows)
        if len({entry.info.name for entry in entries}) != len(entries):
            raise damaged("its index names an entry twice")
        return cls(generation, sealed_entries, entries)

    def build(self) -> bytes:
        """The JSON form: UTF-8, sorted keys, no blanks."""
        entries = b",".join(map(_entry_text, self.entries))
        return b'{"entries":[%s],"generation":%d,"sealed_entries":"%s"}' % (
            entries,
            self.generation,
            self.sealed_entries.hex().encode(),
        )

    def split(self, sealed_entries: bytes) -> dict[str, bytes]:
        """The sealed form of every entry by name; together they are held against their digest.

        Raises VaultError ``vault-damaged``.
        """
        digest = hashlib.sha256(sealed_entries).digest()
        if not hmac.compare_digest(digest, self.sealed_entries):
            raise damaged("its entries are not those that its index lists")
        parts, start = {}, 0
        for entry in self.entries:
            parts[entry.info.name] = sealed_entries[start : start + entry.size]
            start += entry.size
        return parts


@lru_cache(maxsize=MOST_ENTRIES)
def _entry_text(entry: SealedEntry) -> bytes:
    """The same entry is written with each change of the vault; there is no secret in it."""
    return json.dumps(_entry_as_json(entry), sort_keys=True, separators=(",", ":")).encode()


def _entry_as_json(entry: SealedEntry) -> dict[str, object]:
    return {
        **entry.info.as_json(),
        "id": entry.entry_id.hex(),
        "generation": entry.generation,
        "size": entry.size,
    }


def _parse_entry(row: object) -> SealedEntry:
    fields = StrictFields(row, "an entry of the index")
    try:
        info = EntryInfo(
            check_entry_name(fields.text("name", _TEXT)),
            EntryKind(fields.text("kind", _TEXT)),
            fields.text("created", _TIME),
        )
    except (UsageError, ValueError):
        raise damaged("its index names an impossible entry") from None
    entry = SealedEntry(
        info,
        fields.hex("id", ENTRY_ID_SIZE),
        fields.number("generation", 1, LAST_GENERATION),
        fields.number("size", SEALING_OVERHEAD + 1, SEALING_OVERHEAD + LARGEST_VALUE),
    )
    fields.finish()
    return entry
