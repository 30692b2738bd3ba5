# SPDX-License-Identifier: Apache-2.0
"""One state of a vault: header, generation, sealed entries; an immutable value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..secret import Secret
from .entries import EntryInfo
from .header import Header
from .index import LAST_GENERATION, MOST_ENTRIES, Index
from .layout import VaultLayout, vault_full
from .sealed_entries import SealedEntry, SealingKeys


@dataclass(frozen=True, slots=True)
class Contents:
    """``entries``: by name, what the index knows of each and its sealed form."""

    header: Header
    generation: int
    entries: Mapping[str, tuple[SealedEntry, bytes]]

    @classmethod
    def open(cls, data: bytes, keys: SealingKeys) -> Contents:
        """The state in a vault file; every byte of it is vouched for by the keys.

        Raises VaultError ``vault-damaged``, ``vault-too-new`` or ``vault-parameters``.
        """
        layout = VaultLayout.parse(data)
        header = Header.parse(layout.header)
        index = Index.parse(keys.open_index(layout.sealed_index, layout.associated))
        parts = index.split(layout.sealed_entries)
        entries = {entry.info.name: (entry, parts[entry.info.name]) for entry in index.entries}
        return cls(header, index.generation, entries)

    def seal(self, keys: SealingKeys) -> bytes:
        """The vault file of this state. Raises VaultError ``vault-full``."""
        if len(self.entries) > MOST_ENTRIES or self.generation > LAST_GENERATION:
            raise vault_full()
        sealed_entries = b"".join(sealed for _, sealed in self.entries.values())
        digest = hashlib.sha256(sealed_entries).digest()
        index = Index(self.generation, digest, tuple(entry for entry, _ in self.entries.values()))
        layout = VaultLayout(self.header.build(), b"", sealed_entries)
        sealed_index = keys.seal_index(index.build(), layout.associated)
        return replace(layout, sealed_index=sealed_index).build()

    def infos(self) -> tuple[EntryInfo, ...]:
        """What may be shown of every entry, by name."""
        return tuple(self.entries[name][0].info for name in sorted(self.entries))

    def changed(
        self,
        keys: SealingKeys,
        *,
        add: Iterable[tuple[EntryInfo, Secret]] = (),
        remove: Iterable[str] = (),
    ) -> Contents:
        """The next generation, with entries sealed anew and without those that are removed."""
        generation = self.generation + 1
        gone = set(remove)
        entries = {name: kept for name, kept in self.entries.items() if name not in gone}
        for info, value in add:
            entries[info.name] = keys.seal_entry(info, generation, value)
        return replace(self, generation=generation, entries=entries)

    def resealed(self, header: Header, old: SealingKeys, new: SealingKeys) -> Contents:
        """The next generation, with every entry opened by the old keys and sealed by the new.

        Raises VaultError ``vault-damaged``.
        """
        generation = self.generation + 1
        entries = {}
        for name, (entry, sealed) in self.entries.items():
            value = old.open_entry(entry, sealed)
            try:
                entries[name] = new.seal_entry(entry.info, generation, value)
            finally:
                value.wipe()
        return Contents(header, generation, entries)
