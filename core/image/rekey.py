# SPDX-License-Identifier: Apache-2.0
"""Replaces an image's boot key, in its key slot, in the vault and inside its root, together.

At every moment the disk opens with what the vault has under the entry's name:

1. the new key is put into the vault beside the present one (``ENTRY.rekey-new``)
2. it gets a key slot of its own; from here on both keys open the disk
3. inside the root it is written over the old one
4. the vault exchanges them in one step; the old one is kept as ``ENTRY.rekey-old``
5. the ledger records it; then the old slot is overwritten, and it is verified that the old
   key opens nothing any more
6. the vault forgets the old key

Whoever runs it again after a crash goes on where it was: the vault's names tell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..ledger.entries import EntryKind
from ..ledger.ledger import Ledger
from ..secret import Secret
from ..vault.entries import generate_disk_passphrase
from ..vault.vault import Vault
from .disk_access import ImageFile, opened_image
from .encrypted_volume import EncryptedVolume
from .header_writing import write_header
from .image_history import Standing, image_history, rekeyed_body
from .inspection import encrypted_volume
from .key_check import header_bytes
from .key_places import KeyPlaces, find_key_places, initrds_without_key, replace_key
from .luks_header import LuksHeader
from .luks_tool import HeaderCopy
from .partition_table import Partition
from .rekey_checks import NEW_SUFFIX, OLD_SUFFIX, check_length, check_names, check_state, free_slot
from .rekey_errors import elsewhere, not_kept, recovery_is_boot_key, wrong_key

POINTS: Final = (
    "new-key-in-vault",
    "key-material-block",
    "key-material",
    "second-header-block",
    "second-header",
    "first-header-block",
    "first-header",
    "slot-added",
    "key-file-written",
    "files-replaced",
    "vault-exchanged",
    "recorded",
    "slot-removed",
    "verified",
    "old-key-forgotten",
)
"""What ``observe`` is told, in the order in which it happens first."""


@dataclass(frozen=True, slots=True)
class RekeyedImage:
    """What was done.

    ``removed_slot``, ``added_slot``  numbers of key slots
    ``recovery_slot``   the slot that the recovery key was seen to open; None if none was given
    ``files``           inside the root, in which the key was replaced; empty when an
    interrupted run was finished that had done it already
    ``other_fast_slots``  slots for random keys that remain, of which the vault knows nothing
    ``mounted``         whether a guest has run since the root was made; None for not looked at
    """

    path: Path
    luks_uuid: str
    entry: str
    removed_slot: int | None
    added_slot: int
    recovery_slot: int | None
    files: tuple[str, ...]
    other_fast_slots: tuple[int, ...]
    header_sha256: str
    resumed: bool
    mounted: bool | None

    def as_json(self) -> dict[str, object]:
        """What was done, with stable field names."""
        return {
            "path": str(self.path),
            "luks_uuid": self.luks_uuid,
            "entry": self.entry,
            "removed_slot": self.removed_slot,
            "added_slot": self.added_slot,
            "recovery_slot": self.recovery_slot,
            "files": list(self.files),
            "other_fast_slots": list(self.other_fast_slots),
            "header_sha256": self.header_sha256,
            "resumed": self.resumed,
            "mounted": self.mounted,
        }


async def rekey_image(
    path: Path,
    vault: Vault,
    ledger: Ledger,
    entry: str,
    *,
    recovery: str | None = None,
    leave_initrd: bool = False,
    generate: Callable[[], Secret] = generate_disk_passphrase,
    observe: Callable[[str], object] = lambda _: None,
) -> RekeyedImage:
    """Replace the key of ``entry`` on the one encrypted volume of an image, as told above.

    ``recovery``      an entry whose key must open the image before and after; by default the
    one that the ledger names, if the vault has it
    ``leave_initrd``  go on although an initrd does not hold the key in clear
    Raises, before anything is changed, BadInput ``image-in-use``, ``image-snapshots``,
    ``image-unfinished-change``, ``image-cipher``, ``image-no-free-slot``, what find_key_places
    raises, VerificationRefused ``image-key-wrong``; and ``image-rekey-elsewhere`` where the
    run that was interrupted was on another image.
    """
    check_names(vault, entry, recovery)
    with opened_image(path, writable=True) as image:
        part, header = encrypted_volume(image)
        check_state(image, header)
        if recovery is None:
            known = image_history(ledger, header).recovery_entry
            recovery = known if known in {info.name for info in vault.list()} else None
        run = _Run(image, part, vault, ledger, entry, recovery, observe)
        run.resumed = run.has(NEW_SUFFIX) or run.has(OLD_SUFFIX)
        if not run.has(OLD_SUFFIX):
            await run.bring_in_new_key(generate, leave_initrd=leave_initrd)
        return await run.take_out_old_key()


@dataclass(slots=True)
class _Run:
    """One rekey under way, on an image that is locked against everybody else."""

    _image: ImageFile
    _part: Partition
    _vault: Vault
    _ledger: Ledger
    _entry: str
    _recovery: str | None
    _observe: Callable[[str], object]
    _files: tuple[str, ...] = ()
    _mounted: bool | None = None
    resumed: bool = False

    def has(self, suffix: str) -> bool:
        """Whether the vault keeps a key of an unfinished rekey under this name."""
        return self._entry + suffix in {info.name for info in self._vault.list()}

    async def bring_in_new_key(self, generate: Callable[[], Secret], *, leave_initrd: bool) -> None:
        """Steps 1 to 4: until the vault has exchanged the keys."""
        kind = self._vault.info(self._entry).kind
        with self._key("") as old:
            with self._maybe_key(NEW_SUFFIX) as pending:
                volume, places, slot = await self._look(old, pending, leave_initrd=leave_initrd)
            self._mounted = places.mounted
            if not self.has(NEW_SUFFIX):
                fresh = generate()
                try:
                    check_length(old, fresh, places)
                    self._vault.add(self._entry + NEW_SUFFIX, kind, fresh)
                finally:
                    fresh.wipe()
                self._observe("new-key-in-vault")
            with self._key(NEW_SUFFIX) as new:
                await self._add_slot(old, new, slot)
                with contextlib.closing(volume):
                    replace_key(volume, places, new, self._observe)
                self._image.disk.flush()
                self._files = tuple(dict.fromkeys(place.path for place in places.places))
                self._observe("files-replaced")
                # One write of the vault: there is no moment without a key that opens the disk.
                exchanged = [(self._entry, kind, new), (self._entry + OLD_SUFFIX, kind, old)]
                self._vault.add_all(exchanged, replace=True)
                self._observe("vault-exchanged")

    async def take_out_old_key(self) -> RekeyedImage:
        """Steps 5 and 6, of a run that may have been interrupted in them."""
        with self._key("") as new, self._key(OLD_SUFFIX) as old:
            with self._header() as copy:
                header = copy.parsed()
                added = await copy.opened_slot(new)
                if added is None:
                    raise elsewhere(self._entry)
                removed = await copy.opened_slot(old)
                recovery = await self._recovery_slot(copy)
            if removed is None:
                removed = self._half_removed(header, added)
            elif header.slot(removed) is not None:
                self._record(header, removed, added)
            if removed is not None:
                await self._remove_slot(removed, new)
            await self._mend(new)
            self._observe("slot-removed")
            final = await self._verify(new, old, recovery)
        self._observe("verified")
        leftover = [self._entry + s for s in (NEW_SUFFIX, OLD_SUFFIX) if self.has(s)]
        self._vault.remove(*leftover)
        self._observe("old-key-forgotten")
        others = [s.number for s in final.slots if s.is_fast and s.number not in (added, recovery)]
        return RekeyedImage(
            self._image.path,
            final.uuid,
            self._entry,
            removed,
            added,
            recovery,
            self._files,
            tuple(others),
            final.digest,
            self.resumed,
            self._mounted,
        )

    async def _look(
        self, old: Secret, pending: Secret | None, *, leave_initrd: bool
    ) -> tuple[EncryptedVolume, KeyPlaces, int]:
        """All that may speak against it, before anything is changed; and a free slot."""
        with self._header() as copy:
            header = copy.parsed()
            opened = await copy.opened_slot(old)
            if opened is None:
                raise wrong_key(self._entry)
            recovery = await self._recovery_slot(copy)
            if recovery == opened:
                raise recovery_is_boot_key(self._entry, self._recovery or "")
            volume_key = await copy.volume_key(old)
        try:
            part = self._part
            volume = EncryptedVolume(self._image.disk, part.offset, part.size, header, volume_key)
        finally:
            volume_key.wipe()
        places = find_key_places(volume, header.uuid, old, pending)
        if places.without_key and not leave_initrd:
            raise initrds_without_key(places.without_key)
        return volume, places, free_slot(header)

    async def _add_slot(self, old: Secret, new: Secret, free: int) -> None:
        with self._header() as copy:
            if await copy.opened_slot(new) is None:
                await copy.add_key(old, new, free)
                self._write(copy)
        with self._header() as written:
            if await written.opened_slot(new) is None or await written.opened_slot(old) is None:
                raise not_kept()
        self._observe("slot-added")

    async def _remove_slot(self, number: int, new: Secret) -> None:
        with self._header() as copy:
            await copy.kill_slot(number, new)
            self._write(copy)

    async def _verify(self, new: Secret, old: Secret, recovery: int | None) -> LuksHeader:
        with self._header() as copy:
            good = (
                await copy.opened_slot(new) is not None
                and await copy.opened_slot(old) is None
                and await self._recovery_slot(copy) == recovery
            )
            if not good:
                raise not_kept()
            return copy.parsed()

    async def _recovery_slot(self, copy: HeaderCopy) -> int | None:
        if self._recovery is None:
            return None
        key = self._vault.get(self._recovery)
        try:
            number = await copy.opened_slot(key)
        finally:
            key.wipe()
        if number is None:
            raise wrong_key(self._recovery)
        return number

    def _record(self, header: LuksHeader, removed: int, added: int) -> None:
        if image_history(self._ledger, header).standing is not Standing.UNFINISHED:
            body = rekeyed_body(
                header,
                old_slot=removed,
                new_slot=added,
                path=str(self._image.path.absolute()),
                entry=self._entry,
                recovery_entry=self._recovery,
            )
            self._ledger.append(EntryKind.IMAGE_REKEYED, None, body)
        self._observe("recorded")

    def _half_removed(self, header: LuksHeader, added: int) -> int | None:
        """The slot whose key was overwritten when the run was killed, but not freed yet."""
        number = image_history(self._ledger, header).removed_slot
        if number is None or number == added or header.slot(number) is None:
            return None
        newest = image_history(self._ledger, header).newest_header
        return number if header.without(number).digest == newest else None

    @contextlib.contextmanager
    def _header(self) -> Iterator[HeaderCopy]:
        """A copy of the header as it is on the disk now."""
        _, header = encrypted_volume(self._image)
        with HeaderCopy.of(header_bytes(self._image, self._part, header)) as copy:
            yield copy

    async def _mend(self, new: Secret) -> None:
        """Bring both copies of a LUKS2 header in line, where a killed run left one behind."""
        with self._header() as copy:
            if copy.parsed().damaged_copy:
                await copy.opened_slot(new)  # cryptsetup mends what it opens
                self._write(copy)

    def _write(self, copy: HeaderCopy) -> None:
        place = self._part.offset
        write_header(self._image.disk, place, copy.original, copy.bytes(), self._observe)

    @contextlib.contextmanager
    def _key(self, suffix: str) -> Iterator[Secret]:
        key = self._vault.get(self._entry + suffix)
        try:
            yield key
        finally:
            key.wipe()

    @contextlib.contextmanager
    def _maybe_key(self, suffix: str) -> Iterator[Secret | None]:
        if not self.has(suffix):
            yield None
            return
        with self._key(suffix) as key:
            yield key
