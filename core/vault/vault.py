# SPDX-License-Identifier: Apache-2.0
"""The vault: named secrets, sealed in one file under one wrap key.

What is removed is no longer in the file. Copies that were made of it before still hold
it: backups, snapshots of the file system, and blocks that a disk has not reused. They
open with the wrap key, passphrase or recovery code of their time. :meth:`Vault.rotate`
makes a new key; once the old one is deleted everywhere, old copies are lost for good.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from ..errors import UsageError, VaultError
from ..secret import Secret
from .contents import Contents
from .entries import EntryInfo, EntryKind, check_entry_name, check_value, now
from .header import Header, OpenWith, SessionSlot
from .key_box import new_wrap_key
from .keyring_access import Anchor, is_ledger_head
from .opening import load, open_storage, read_header, recovery_slot, session_file
from .recovery_code import new_recovery_code
from .sealed_entries import VAULT_ID_SIZE, SealingKeys
from .vault_errors import (
    closed,
    entry_exists,
    entry_missing,
    other_kind,
    rolled_back,
    vault_exists,
)
from .vault_file import MemoryStorage, Storage, VaultFile
from .ways import SessionWay, Way, other_way

HeadFrom = Callable[[str | None], str | None]
"""Gives the ledger head to note, from the one that is noted so far."""


class RollbackCheck(StrEnum):
    """Whether an older copy of the vault file would be noticed."""

    CHECKED = "checked"
    NOT_DETECTABLE = "not-detectable"


class Vault:
    """An open vault; make one with :meth:`create`, :meth:`open` or :meth:`in_memory`.

    One thread at a time uses it. As a context it notes the newest state in the keyring
    at its end, where there is one, and wipes its keys. Every method may raise VaultError
    ``vault-damaged``, ``vault-unreadable``, ``vault-missing``, ``vault-rolled-back``,
    ``vault-key-changed`` or ``vault-closed``; those that change it ``vault-busy``,
    ``vault-not-written`` or ``vault-full``, and nothing is changed then.
    """

    def __init__(
        self,
        storage: Storage,
        way: Way,
        wrap_key: Secret,
        contents: Contents,
        anchor: Anchor | None = None,
    ) -> None:
        self._storage = storage
        self._way = way
        self._wrap_key = wrap_key
        self._keys = SealingKeys(wrap_key, contents.header.vault_id)
        self._stamp: object = object()
        self._contents = contents
        self._anchor = anchor
        self._anchor_due = way.anchors and (
            anchor is None or anchor.generation < contents.generation
        )

    # How a vault comes to be

    @classmethod
    def create(cls, folder: Path, way: Way) -> Self:
        """Make a vault in a folder, empty, opened in this way from now on.

        Raises VaultError ``vault-exists``, ``vault-exposed``, and what the way raises.
        """
        file = VaultFile(folder)
        if file.exists():
            raise vault_exists(file.path)
        way.prepare()
        file.make_folder()
        with file.exclusive():
            if file.exists():
                raise vault_exists(file.path)
            if isinstance(way, SessionWay):
                file.write(session_file())
                return cls.in_memory()
            return cls._fill(file, way)

    @classmethod
    def in_memory(cls) -> Self:
        """A vault for this session only: nothing of it is ever written."""
        storage = MemoryStorage()
        with storage.exclusive():
            return cls._fill(storage, SessionWay())

    @classmethod
    def _fill(cls, storage: Storage, way: Way) -> Self:
        vault_id, wrap_key = os.urandom(VAULT_ID_SIZE), new_wrap_key()
        keys = SealingKeys(wrap_key, vault_id)
        slot = way.keep(vault_id, wrap_key)
        contents = Contents(Header(vault_id, keys.key_id, slot), 1, {})
        try:
            storage.write(contents.seal(keys))
        except VaultError:
            wrap_key.wipe()
            with contextlib.suppress(VaultError):
                way.drop(vault_id, slot)
            raise
        finally:
            keys.wipe()
        way.settle(vault_id, wrap_key, slot)
        return cls(storage, way, wrap_key, contents)

    @classmethod
    def open(cls, folder: Path, ways: Mapping[OpenWith, Way]) -> Self:
        """Open the vault in a folder in the way that was chosen for it, and no other.

        A session-only vault is a new and empty one in memory. Raises VaultError
        ``vault-opens-otherwise`` where ``ways`` lacks it, and what the way raises.
        """
        file = VaultFile(folder)
        file.tidy()
        header = read_header(file.read())
        if isinstance(header.slot, SessionSlot):
            return cls.in_memory()
        way = ways.get(header.slot.WAY)
        if way is None:
            raise other_way(header.slot.WAY)
        opened = open_storage(file, way, header)
        return cls(file, way, opened.wrap_key, opened.contents, opened.anchor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._anchor_due and not self._wrap_key.wiped:
                self.write_anchor()
        finally:
            self.close()

    def close(self) -> None:
        """Wipe the keys; may be called again."""
        if not self._wrap_key.wiped:
            self._wrap_key.wipe()
            self._keys.wipe()
        self._way.close()

    def __repr__(self) -> str:
        return "<vault>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault is neither pickled nor copied")

    # What it says of itself

    @property
    def header(self) -> Header:
        """Which vault it is and how it is opened."""
        return self._contents.header

    @property
    def generation(self) -> int:
        """How often it was changed, the making counted; grows by one with each change."""
        return self._contents.generation

    @property
    def rollback(self) -> RollbackCheck:
        """Whether an older copy would have been noticed when this one was opened."""
        return RollbackCheck.NOT_DETECTABLE if self._anchor is None else RollbackCheck.CHECKED

    @property
    def anchor_due(self) -> bool:
        """Whether the keyring knows less than the newest state."""
        return self._anchor_due

    @property
    def ledger_head(self) -> str | None:
        """The ledger head that the keyring held when the vault was opened."""
        return None if self._anchor is None else self._anchor.ledger_head

    def write_anchor(self, ledger_head: str | HeadFrom | None = None) -> bool:
        """Note generation and ledger head in the keyring.

        Once per run, at its end, and once for each packet that is sealed or job that is signed:
        keyrings have been seen to abort under many calls. Without ``ledger_head`` (1 to 128
        printable ASCII characters) the one that is noted stays. A function is called while no
        other process can note anything, so that two of them don't take the newer head back.
        False where the vault has no place for it. Raises as the keyring and the function do.
        """
        if isinstance(ledger_head, str):
            _check_head(ledger_head)
        if not self._way.anchors:
            return False
        with self._storage.exclusive():
            contents = self._reload()
            # Another process may have noted a newer state since this one was opened.
            known = self._way.read_anchor(contents.header)
            if known is not None and known.generation > contents.generation:
                raise rolled_back(contents.generation, known.generation)
            noted = known.ledger_head if known else None
            head = ledger_head(noted) if callable(ledger_head) else ledger_head
            anchor = Anchor(contents.generation, _check_head(head) or noted)
            if anchor != known:
                self._way.write_anchor(contents.header, anchor)
        self._anchor, self._anchor_due = anchor, False
        return True

    # Entries

    def list(self) -> tuple[EntryInfo, ...]:
        """Names, kinds and times of all entries, by name; no secret."""
        return self._current().infos()

    def holds(self, *names: str) -> bool:
        """Whether there are entries of all these names."""
        entries = self._current().entries
        return all(name in entries for name in names)

    def info(self, name: str) -> EntryInfo:
        """What may be shown of an entry. Raises VaultError ``entry-missing``."""
        entries = self._current().entries
        if name not in entries:
            raise entry_missing(name)
        return entries[name][0].info

    def get(self, name: str) -> Secret:
        """The value of an entry, which the caller wipes. Raises VaultError ``entry-missing``."""
        entries = self._current().entries
        if name not in entries:
            raise entry_missing(name)
        return self._keys.open_entry(*entries[name])

    def add(self, name: str, kind: EntryKind, value: Secret, *, replace: bool = False) -> EntryInfo:
        """Store a secret of 1 to 65536 bytes; the caller still owns, and wipes, ``value``.

        Raises VaultError ``entry-exists`` unless ``replace``, ``entry-kind-differs`` if what
        it would replace is of another kind; UsageError ``bad-entry-name``, ``bad-entry-value``.
        """
        return self.add_all([(name, kind, value)], replace=replace)[0]

    def add_all(
        self, new: Sequence[tuple[str, EntryKind, Secret]], *, replace: bool = False
    ) -> tuple[EntryInfo, ...]:
        """Store several secrets at once: all of them or none. Raises as :meth:`add` does."""
        infos = _infos_of(new)
        with self._storage.exclusive():
            contents = self._reload()
            for info in infos:
                _check_free(contents, info, replace=replace)
            added = zip(infos, (value for _, _, value in new), strict=True)
            self._write(contents.changed(self._keys, add=added))
        return infos

    def exchange(self, remove: Sequence[str], new: Sequence[tuple[str, EntryKind, Secret]]) -> None:
        """Put new entries in the place of others in one step: both are done, or nothing is.

        Raises VaultError ``entry-missing`` and ``entry-exists``, and as :meth:`add` does.
        """
        infos = _infos_of(new)
        with self._storage.exclusive():
            contents = self._reload()
            for name in remove:
                if name not in contents.entries:
                    raise entry_missing(name)
            for info in infos:
                _check_free(contents, info, replace=False)
            added = zip(infos, (value for _, _, value in new), strict=True)
            self._write(contents.changed(self._keys, add=added, remove=remove))

    def remove(self, *names: str) -> None:
        """Rewrite the file without these entries: all of them or none.

        What copies of the file still hold stands at the head of this module. Raises
        VaultError ``entry-missing``.
        """
        with self._storage.exclusive():
            contents = self._reload()
            for name in names:
                if name not in contents.entries:
                    raise entry_missing(name)
            self._write(contents.changed(self._keys, remove=names))

    # Keys

    def rotate(self) -> Secret | None:
        """Make a new wrap key and seal everything anew under it.

        The old recovery code opens older copies only: where there was one, a new one is
        returned, to be shown once. Raises what the way raises.
        """
        self._way.prepare()
        wrap_key = new_wrap_key()
        with self._storage.exclusive():
            contents = self._reload()
            vault_id = contents.header.vault_id
            keys = SealingKeys(wrap_key, vault_id)
            code = None if contents.header.recovery is None else new_recovery_code()
            slot = self._way.keep(vault_id, wrap_key)
            recovery = None if code is None else recovery_slot(code, wrap_key, vault_id)
            header = Header(vault_id, keys.key_id, slot, recovery)
            before = self._keys
            try:
                self._write(contents.resealed(header, before, keys), keys)
            except VaultError:
                keys.wipe()
                wrap_key.wipe()
                with contextlib.suppress(VaultError):
                    self._way.drop(vault_id, slot)
                raise
            self._wrap_key.wipe()
            before.wipe()
            self._wrap_key = wrap_key
            self._way.settle(vault_id, wrap_key, slot)
        return code

    def make_recovery_code(self) -> Secret:
        """A code that opens this vault on any machine; an earlier one is void from now on.

        It is stored nowhere: show it once.
        """
        code = new_recovery_code()
        with self._storage.exclusive():
            contents = self._reload()
            recovery = recovery_slot(code, self._wrap_key, contents.header.vault_id)
            header = dataclasses.replace(contents.header, recovery=recovery)
            self._write(dataclasses.replace(contents.changed(self._keys), header=header))
        return code

    def _current(self) -> Contents:
        """The state on disk, read again only if another process has written it."""
        if self._wrap_key.wiped:
            raise closed()
        return self._reload()

    def _reload(self) -> Contents:
        if self._wrap_key.wiped:
            raise closed()
        stamp = self._storage.stamp()
        if stamp is None or stamp != self._stamp:
            self._contents = load(self._storage, self._keys, self.generation)
            self._stamp = stamp
        return self._contents

    def _write(self, contents: Contents, keys: SealingKeys | None = None) -> None:
        """Inside ``exclusive``: make this the state of the vault, sealed under these keys."""
        self._storage.write(contents.seal(keys or self._keys))
        if keys is not None:
            self._keys = keys
        self._contents, self._stamp = contents, self._storage.stamp()
        self._anchor_due = self._way.anchors


def _infos_of(new: Sequence[tuple[str, EntryKind, Secret]]) -> tuple[EntryInfo, ...]:
    """What may be shown of new entries, each of which can be stored."""
    infos = tuple(EntryInfo(check_entry_name(name), kind, now()) for name, kind, _ in new)
    for _, _, value in new:
        check_value(value)
    return infos


def _check_head(text: str | None) -> str | None:
    if text is None or is_ledger_head(text):
        return text
    raise UsageError(
        "bad-ledger-head",
        "This can't be noted as a ledger head",
        "A head has 1 to 128 printable ASCII characters.",
        "Give the head as the ledger shows it.",
    )


def _check_free(contents: Contents, info: EntryInfo, *, replace: bool) -> None:
    present = contents.entries.get(info.name)
    if present is None:
        return
    if not replace:
        raise entry_exists(info.name)
    if present[0].info.kind is not info.kind:
        raise other_kind(info.name, present[0].info.kind.value)
