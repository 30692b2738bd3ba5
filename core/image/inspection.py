# SPDX-License-Identifier: Apache-2.0
"""Looks into an image: its layout, its LUKS header, and what that means for its owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..ledger.ledger import Ledger
from .disk_access import Disk, ImageFile, ImageFormat, opened_image
from .image_errors import no_luks, several_luks
from .image_history import ImageHistory, Standing, image_history
from .luks_header import LuksHeader, is_luks, read_luks
from .partition_table import Partition, PartitionTable, TableKind, read_partition_table

_PROBED: Final = 0x10048
_ROOM: Final = 4096


@dataclass(frozen=True, slots=True)
class Volume:
    """A partition, or the whole of an undivided image, and what it holds.

    ``holds``  ``luks``, ``fat``, ``ext``, ``xfs``, ``btrfs``, ``swap``, ``unknown``
    ``luks``   its header; None where there is none, or it is damaged: see ``damage``
    """

    partition: Partition
    holds: str
    luks: LuksHeader | None = None
    damage: str = ""

    def as_json(self) -> dict[str, object]:
        """The volume with stable field names."""
        part = self.partition
        return {
            "number": part.number,
            "offset": part.offset,
            "size": part.size,
            "type": part.type_id or None,
            "unique_id": part.unique_id or None,
            "name": part.name or None,
            "esp": part.is_esp,
            "holds": self.holds,
            "damage": self.damage or None,
            "luks": None if self.luks is None else _luks_json(self.luks),
        }


@dataclass(frozen=True, slots=True)
class ImageReport:
    """All that can be said of an image without a key.

    ``size``     of the guest's disk in bytes
    ``in_use``   whether another program has it open
    ``history``  of its encrypted volume; None if it has not exactly one
    """

    path: Path
    format: ImageFormat
    size: int
    in_use: bool
    snapshots: int
    table: PartitionTable
    volumes: tuple[Volume, ...]
    history: ImageHistory | None

    def as_json(self) -> dict[str, object]:
        """The report with stable field names."""
        return {
            "path": str(self.path),
            "format": self.format.value,
            "size": self.size,
            "in_use": self.in_use,
            "snapshots": self.snapshots,
            "table": self.table.kind.value,
            "disk_id": self.table.disk_id or None,
            "damaged_table": self.table.damaged_copy or None,
            "partitions": [volume.as_json() for volume in self.volumes],
            "history": None if self.history is None else self.history.as_json(),
            "meaning": list(self.meaning()),
        }

    def meaning(self) -> Iterator[str]:
        """What it means, in sentences."""
        encrypted = [volume.luks for volume in self.volumes if volume.luks is not None]
        if not encrypted and not any(volume.damage for volume in self.volumes):
            yield "Nothing in it is encrypted: the host reads all of it."
        for header in encrypted:
            yield from _about_header(header)
        if self.history is not None:
            yield _about_history(self.history)
        if self.snapshots:
            yield (
                f"It holds {self.snapshots} snapshots: older states of the disk, with the keys of"
                " their time."
            )
        if self.table.damaged_copy:
            yield f"The {self.table.damaged_copy} copy of its partition table is damaged."


def inspect_image(path: Path, ledger: Ledger | None) -> ImageReport:
    """Read layout and headers; nothing is opened or changed, and no key is needed.

    Raises BadInput as opened_image and read_partition_table do. A LUKS header that is
    damaged is part of the report.
    """
    with opened_image(path) as image:
        table, volumes = _volumes(image.disk)
        found = [volume.luks for volume in volumes if volume.luks is not None]
        history = image_history(ledger, found[0]) if len(found) == 1 else None
        return ImageReport(
            path,
            image.format,
            image.disk.size,
            image.is_in_use,
            image.snapshots,
            table,
            volumes,
            history,
        )


def encrypted_volume(image: ImageFile) -> tuple[Partition, LuksHeader]:
    """The one LUKS volume of an image.

    Raises BadInput ``image-not-encrypted``, ``image-several-roots``, ``image-bad-luks``.
    """
    table = read_partition_table(image.disk.read, image.disk.size)
    found = [part for part in _parts(table, image.disk.size) if _begins_luks(image.disk, part)]
    if len(found) != 1:
        raise several_luks(len(found)) if found else no_luks()
    return found[0], _luks(image.disk, found[0])


def _volumes(disk: Disk) -> tuple[PartitionTable, tuple[Volume, ...]]:
    table = read_partition_table(disk.read, disk.size)
    return table, tuple(_volume(disk, part) for part in _parts(table, disk.size))


def _parts(table: PartitionTable, size: int) -> tuple[Partition, ...]:
    if table.kind is TableKind.NONE:
        return (Partition(1, 0, size, ""),)
    return table.partitions


def _volume(disk: Disk, part: Partition) -> Volume:
    if _begins_luks(disk, part):
        try:
            return Volume(part, "luks", _luks(disk, part))
        except BadInput as error:
            return Volume(part, "luks", None, error.message)
    start = disk.read(part.offset, min(part.size, _PROBED))
    return Volume(part, _file_system(start))


def _begins_luks(disk: Disk, part: Partition) -> bool:
    return part.size >= _ROOM and is_luks(disk.read(part.offset, 8))


def _luks(disk: Disk, part: Partition) -> LuksHeader:
    def read(offset: int, size: int) -> bytes:
        return disk.read(part.offset + offset, size)

    return read_luks(read, part.size)


def _file_system(start: bytes) -> str:
    marks = {
        "ext": (0x438, b"\x53\xef"),
        "xfs": (0, b"XFSB"),
        "btrfs": (0x10040, b"_BHRfS_M"),
        "swap": (0xFF6, b"SWAPSPACE2"),
    }
    for name, (place, magic) in marks.items():
        if start[place : place + len(magic)] == magic:
            return name
    if start[510:512] == b"\x55\xaa" and (start[54:57] == b"FAT" or start[82:85] == b"FAT"):
        return "fat"
    return "unknown"


def _luks_json(header: LuksHeader) -> dict[str, object]:
    return {
        "version": header.version,
        "uuid": header.uuid,
        "cipher": header.cipher,
        "key_bits": header.key_size * 8,
        "sector_size": header.sector_size,
        "payload_offset": header.payload_offset,
        "header_sha256": header.digest,
        "damaged_copy": header.damaged_copy or None,
        "unfinished_change": header.busy or None,
        "slots": [slot.as_json() for slot in header.slots],
    }


def _about_header(header: LuksHeader) -> Iterator[str]:
    if not header.is_encrypted:
        yield (
            f"Its cipher is {header.cipher}: the data are NOT encrypted. Don't start it; somebody"
            " may have exchanged the header."
        )
    if header.version == 1:
        yield "LUKS1: every GRUB can unlock it."
    else:
        yield "LUKS2: for a kernel that unlocks its own root; many builds of GRUB can't."
    fast = [slot.number for slot in header.slots if slot.is_fast]
    for number in fast:
        yield (
            f"Slot {number} stretches its key little. That is right for a random boot key, which"
            " nobody can guess, and wrong for anything that a person has thought up."
        )
    if len(fast) > 1:
        yield "Several slots are of that kind: make sure that you know whose keys open them."
    if not header.slots:
        yield "No key slot is in use: nobody can open it any more."
    elif len(header.slots) == len(fast):
        yield "No slot is made for a recovery passphrase that a person chooses."
    if header.damaged_copy:
        yield f"The {header.damaged_copy} copy of its header is damaged or out of date."
    if header.busy:
        yield f"A change of it has not ended ({header.busy}): finish it with cryptsetup first."


def _about_history(history: ImageHistory) -> str:
    if history.standing is Standing.UNKNOWN:
        return "The ledger does not know it: it was not built here, or by another user."
    if history.standing is Standing.CURRENT:
        done = "given its present key" if history.rekeyed else "built"
        time = history.rekeyed or history.built
        return f"It is as the ledger knows it, {done} on {time}."
    if history.standing is Standing.UNFINISHED:
        return (
            "Both the replaced key and the new one open it: `image rekey` was interrupted, or this"
            " copy was made meanwhile. Run `image rekey` on it again, or destroy it."
        )
    if history.standing is Standing.OLDER:
        return (
            f"It is an OLDER COPY, from before its key was replaced on {history.rekeyed}. The"
            " replaced key still opens it: whoever has that key reads it. Destroy it."
        )
    return (
        "The ledger knows this volume, but with other key slots: a key was added or removed by"
        " another program, or somebody has altered the header."
    )
