# SPDX-License-Identifier: Apache-2.0
"""Puts a copy of a vault in its place: after a loss, or on another machine."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import VaultError, WatchwordError
from ..files import read_file
from ..secret import Secret
from .contents import Contents
from .header import Header, OpenWith
from .keyring_access import Anchor
from .layout import FILE_LIMIT
from .opening import checked, fetch_by_code, read_header
from .sealed_entries import SealingKeys
from .vault import Vault
from .vault_errors import rolled_back, vault_exists
from .vault_file import VaultFile
from .ways import Way, other_way, session_only


def restore_vault(
    source: Path,
    folder: Path,
    ways: Mapping[OpenWith, Way],
    *,
    code: Secret | None = None,
    open_with: OpenWith | None = None,
    accept_older: bool = False,
) -> Vault:
    """Write the vault file ``source`` into ``folder``, and open it.

    Without ``code`` its key is had in the way chosen when it was made; with it, by the
    recovery code. With ``open_with`` it opens in that way from now on. Where the keyring
    remembers a newer state, ``accept_older`` must be said. The folder must have no vault,
    or ``source`` must be that vault.

    Raises VaultError ``vault-exists``, ``vault-rolled-back``, as :meth:`Vault.open` does, and
    for the code ``no-recovery-code``, ``recovery-code-mistyped`` or ``recovery-code-wrong``;
    BadInput if ``source`` can't be read.
    """
    data = read_file(source, "the copy of the vault", FILE_LIMIT)
    header = read_header(data)
    # By the code alone, the file's own way would still not find its key.
    moves = code is not None or open_with not in (None, header.slot.WAY)
    placing = _Placing(
        source, VaultFile(folder), _way(ways, open_with or header.slot.WAY), moves, accept_older
    )
    placing.refuse_other_vault()
    if code is None:
        wrap_key = checked(_way(ways, header.slot.WAY).fetch(header), header)
    else:
        wrap_key = fetch_by_code(code, header)
    keys = SealingKeys(wrap_key, header.vault_id)
    try:
        return placing.put(Contents.open(data, keys), wrap_key, keys)
    except WatchwordError:
        wrap_key.wipe()
        raise
    finally:
        keys.wipe()


@dataclass(frozen=True, slots=True)
class _Placing:
    """Where a copy goes and how it opens there; ``moves``: in a way that does not know its key."""

    source: Path
    target: VaultFile
    way: Way
    moves: bool
    accept_older: bool

    def refuse_other_vault(self) -> None:
        """Raise VaultError ``vault-exists`` if another vault is there."""
        if self.target.exists() and not _same_file(self.target.path, self.source):
            raise vault_exists(self.target.path)

    def put(self, contents: Contents, wrap_key: Secret, keys: SealingKeys) -> Vault:
        """Write the next generation of the contents, and open it."""
        vault_id, slot = contents.header.vault_id, contents.header.slot
        if self.moves:
            self.way.prepare()
        self.target.make_folder()
        with self.target.exclusive():
            self.refuse_other_vault()
            if self.moves:
                slot = self.way.keep(vault_id, wrap_key)
            header = replace(contents.header, slot=slot)
            try:
                anchor = self.way.read_anchor(header)
                restored = self._next(contents, header, anchor, keys)
                self.target.write(restored.seal(keys))
            except VaultError:
                if self.moves:
                    with contextlib.suppress(VaultError):
                        self.way.drop(vault_id, slot)
                raise
            if self.moves:
                self.way.settle(vault_id, wrap_key, slot)
        return Vault(self.target, self.way, wrap_key, restored, anchor)

    def _next(
        self, contents: Contents, header: Header, anchor: Anchor | None, keys: SealingKeys
    ) -> Contents:
        newest = max(contents.generation, anchor.generation if anchor else 0)
        if newest > contents.generation and not self.accept_older:
            raise rolled_back(contents.generation, newest)
        return replace(contents.changed(keys), header=header, generation=newest + 1)


def _way(ways: Mapping[OpenWith, Way], name: OpenWith) -> Way:
    if name is OpenWith.SESSION_ONLY:
        raise session_only()
    way = ways.get(name)
    if way is None:
        raise other_way(name)
    return way


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
