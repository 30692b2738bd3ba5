# SPDX-License-Identifier: Apache-2.0
"""What is looked at before an image's key is replaced, so that nothing is changed in vain."""

from __future__ import annotations

from typing import Final

from ..errors import BadInput, UsageError
from ..secret import Secret
from ..vault.entries import LONGEST_NAME
from ..vault.vault import Vault
from .disk_access import ImageFile
from .image_errors import IMAGE
from .key_check import check_disk_key
from .key_places import KeyPlaces
from .luks_header import LuksHeader

NEW_SUFFIX: Final = ".rekey-new"
OLD_SUFFIX: Final = ".rekey-old"
"""Behind the entry's name, while its key is being replaced."""
_SLOTS: Final = {1: 8, 2: 32}


def check_names(vault: Vault, entry: str, recovery: str | None) -> None:
    """Raise UsageError ``bad-entry-name``, and as check_disk_key does."""
    if len(entry) + len(NEW_SUFFIX) > LONGEST_NAME or entry.endswith((NEW_SUFFIX, OLD_SUFFIX)):
        raise UsageError(
            "bad-entry-name",
            "The key of this entry can't be replaced",
            f"While a key is replaced the vault holds it under its name with {NEW_SUFFIX} too;"
            " that would be too long, or this is such a name.",
            "Name the entry that the guest is given.",
        )
    for name in (entry,) if recovery is None else (entry, recovery):
        check_disk_key(vault, name)


def check_state(image: ImageFile, header: LuksHeader) -> None:
    """Raise BadInput ``image-snapshots`` or ``image-unfinished-change``."""
    if image.snapshots:
        raise BadInput(
            "image-snapshots",
            IMAGE,
            f"It holds {image.snapshots} snapshots, which the replaced key would still open.",
            "Delete them first: `qemu-img snapshot -l FILE` lists them, `-d NAME` deletes one.",
        )
    if header.busy:
        raise BadInput(
            "image-unfinished-change",
            IMAGE,
            f"A change of its LUKS header has not ended ({header.busy}).",
            "Finish it first: `cryptsetup reencrypt --resume-only`. Nothing was changed.",
        )


def check_length(old: Secret, new: Secret, places: KeyPlaces) -> None:
    """Raise BadInput ``image-key-length`` where the new key can't stand in the old one's place."""
    if places.places and len(old) != len(new):
        raise BadInput(
            "image-key-length",
            IMAGE,
            f"The key in its root has {len(old)} bytes and the new one {len(new)}: only a key of"
            " the same length can be written over it.",
            "Replace the key inside the guest, or build the image again. Nothing was changed.",
        )


def free_slot(header: LuksHeader) -> int:
    """The number of a free key slot. Raises BadInput ``image-no-free-slot``."""
    used = {slot.number for slot in header.slots}
    free = next((n for n in range(_SLOTS[header.version]) if n not in used), None)
    if free is None:
        raise BadInput(
            "image-no-free-slot",
            IMAGE,
            "All its key slots are in use; the new key needs one beside the old one.",
            "Remove one that nobody needs: `cryptsetup luksKillSlot`. Nothing was changed.",
        )
    return free
