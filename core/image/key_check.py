# SPDX-License-Identifier: Apache-2.0
"""Tries a vault's keys on an image, without root and without opening it for the system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import VaultError, VerificationRefused
from ..ledger.ledger import Ledger
from ..secret import Secret
from ..vault.entries import EntryKind
from ..vault.vault import Vault
from .disk_access import ImageFile, opened_image
from .image_history import ImageHistory, Standing, image_history
from .inspection import encrypted_volume
from .luks_header import KeySlot, LuksHeader
from .luks_tool import HeaderCopy
from .partition_table import Partition

_DISK_KINDS = frozenset((EntryKind.DISK_SECRET, EntryKind.TEST_SECRET, EntryKind.RECOVERY))


@dataclass(frozen=True, slots=True)
class TriedKey:
    """An entry of the vault, and the slot that it opens: None where it opens none."""

    entry: str
    slot: KeySlot | None

    def as_json(self) -> dict[str, object]:
        """The entry with stable field names."""
        return {"entry": self.entry, "slot": None if self.slot is None else self.slot.as_json()}


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What came of it: each key that was tried, and what the ledger says of the image.

    ``refusal``  why it is not as it should be; None where every key opens a slot, and the
    image is no older copy
    """

    path: Path
    header: LuksHeader
    history: ImageHistory
    keys: tuple[TriedKey, ...]
    refusal: VerificationRefused | None

    def as_json(self) -> dict[str, object]:
        """The verdict with stable field names."""
        return {
            "path": str(self.path),
            "luks_uuid": self.header.uuid,
            "luks_version": self.header.version,
            "header_sha256": self.header.digest,
            "keys": [key.as_json() for key in self.keys],
            "history": self.history.as_json(),
        }


async def check_image(
    path: Path, vault: Vault, ledger: Ledger | None, entry: str, recovery: str | None = None
) -> CheckedImage:
    """Try the key of an entry, and of a recovery entry, on the one encrypted volume of an image.

    Raises VaultError ``entry-missing``, ``entry-no-disk-key``, and BadInput as
    encrypted_volume and HeaderCopy do. That a key doesn't open it is no error but a refusal.
    """
    names = [entry] if recovery is None else [entry, recovery]
    for name in names:
        check_disk_key(vault, name)
    with opened_image(path) as image:
        part, header = encrypted_volume(image)
        tried = []
        with HeaderCopy.of(header_bytes(image, part, header)) as copy:
            for name in names:
                tried.append(await _try(copy, header, vault, name))
    history = image_history(ledger, header)
    return CheckedImage(path, header, history, tuple(tried), _refusal(tried, history))


def header_bytes(image: ImageFile, part: Partition, header: LuksHeader) -> bytes:
    """All that lies before the encrypted data: header and key material."""
    return image.disk.read(part.offset, header.payload_offset)


def check_disk_key(vault: Vault, name: str) -> None:
    """Raise VaultError ``entry-missing``, or ``entry-no-disk-key`` for what opens no disk."""
    kind = vault.info(name).kind
    if kind not in _DISK_KINDS:
        raise VaultError(
            "entry-no-disk-key",
            "This entry opens no disk",
            f"“{name}” is a {kind.value}.",
            "Name a disk secret or a recovery key; see `watchword vault list`.",
            {"entry": name, "kind": kind.value},
        )


async def _try(copy: HeaderCopy, header: LuksHeader, vault: Vault, name: str) -> TriedKey:
    key: Secret = vault.get(name)
    try:
        number = await copy.opened_slot(key)
    finally:
        key.wipe()
    return TriedKey(name, None if number is None else header.slot(number))


def _refusal(tried: list[TriedKey], history: ImageHistory) -> VerificationRefused | None:
    wrong = [key.entry for key in tried if key.slot is None]
    if history.standing is Standing.OLDER:
        return _older(history, wrong)
    if wrong:
        return VerificationRefused(
            "image-key-wrong",
            "The image does not open",
            f"No key slot of it opens with {' nor with '.join(wrong)}.",
            "Check which entry belongs to it: `watchword image inspect FILE` names the one that"
            " the ledger knows.",
            {"entries": wrong},
        )
    return None


def _older(history: ImageHistory, wrong: list[str]) -> VerificationRefused:
    opens = (
        f"{' and '.join(wrong)} doesn't open it any more, but the replaced key does"
        if wrong
        else "the replaced key opens it too"
    )
    return VerificationRefused(
        "image-older-copy",
        "The image is an older copy",
        f"Its key was replaced on {history.rekeyed}, and this copy is from before: {opens}."
        " Whoever has that key reads it.",
        "Destroy it, and use the image that was given the new key.",
        {"rekeyed": history.rekeyed, "entries": wrong},
    )
