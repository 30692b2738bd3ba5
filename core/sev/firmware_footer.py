# SPDX-License-Identifier: Apache-2.0
"""The GUIDed table at the end of an OVMF image, and the SEV metadata that it points to."""

from __future__ import annotations

import struct
from enum import IntEnum

from ..errors import BadInput
from ..frozen import dataclass
from .guid import Guid

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import NoReturn

FOOTER_GUID = Guid.from_text("96b582de-1fb2-45f7-baea-a366c55a082d")
RESET_BLOCK_GUID = Guid.from_text("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
SECRET_AREA_GUID = Guid.from_text("4c2eb361-7d9b-4cc3-8081-127c90d3d294")
HASH_AREA_GUID = Guid.from_text("7255371f-3a3b-4b04-927b-1da6efa8d454")
SEV_METADATA_GUID = Guid.from_text("dc886566-984a-4798-a75e-5585a7bf67cc")
TDX_METADATA_GUID = Guid.from_text("e47a6535-984a-4798-865e-4685a7bf8ec2")
IGVM_METADATA_GUID = Guid.from_text("784fa70e-3176-4677-8a20-04b68699e374")
SVSM_INFO_GUID = Guid.from_text("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd")

ENTRY_NAMES = {
    RESET_BLOCK_GUID: "SEV-ES reset block",
    SECRET_AREA_GUID: "launch secret area",
    HASH_AREA_GUID: "kernel hash area",
    SEV_METADATA_GUID: "SEV metadata",
    TDX_METADATA_GUID: "TDX metadata",
    IGVM_METADATA_GUID: "IGVM metadata",
    SVSM_INFO_GUID: "SVSM info",
}

# The table ends 32 bytes before the end of the image: the last 16 are the reset
# vector, and edk2 keeps as many again free.
BYTES_AFTER_TABLE = 32

_TRAILER = struct.Struct("<H16s")  # length of the whole entry, GUID; both after the data
_U32 = struct.Struct("<I")
_AREA = struct.Struct("<II")
_METADATA_HEADER = struct.Struct("<4sIII")
_SECTION = struct.Struct("<III")
_METADATA_SECTIONS_MAX = 1024

# QEMU reads these without looking at the length of the entry.
_EXACT_SIZES = {
    RESET_BLOCK_GUID: _U32.size,
    SECRET_AREA_GUID: _AREA.size,
    HASH_AREA_GUID: _AREA.size,
}


@dataclass(frozen=True, slots=True)
class Area:
    """A part of guest memory: ``base`` (guest physical address) and ``size`` in bytes."""

    base: int
    size: int

    @property
    def given(self) -> bool:
        """Whether there is such an area: plain OVMF builds keep the entry and set it to 0."""
        return self.base != 0 and self.size != 0


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One entry of the GUIDed table: data, u16 length of all of it, GUID (16 bytes)."""

    guid: Guid
    data: bytes

    @property
    def name(self) -> str:
        """What the entry is called, or "unknown"."""
        return ENTRY_NAMES.get(self.guid, "unknown")

    def build(self) -> bytes:
        """The entry as it stands in the table: ``len(data)`` + 18 bytes."""
        return self.data + _TRAILER.pack(len(self.data) + _TRAILER.size, self.guid)


@dataclass(frozen=True, slots=True)
class FirmwareFooter:
    """The GUIDed table: its entries in the order of the file.

    ``standalone`` marks images from before 2021, which have no table but the SEV-ES
    reset block alone in its place.
    Source: edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.nasm.inc; QEMU
    hw/i386/pc_sysfw_ovmf.c and target/i386/sev.c (sev_es_find_reset_vector).
    """

    entries: tuple[TableEntry, ...]
    standalone: bool = False

    def entry(self, guid: Guid) -> bytes | None:
        """The data of an entry, or None; of two with one GUID the later, as QEMU takes it."""
        return next((e.data for e in reversed(self.entries) if e.guid == guid), None)

    @property
    def duplicates(self) -> tuple[Guid, ...]:
        """GUIDs that stand in the table more than once; only the last of each counts."""
        guids = [entry.guid for entry in self.entries]
        return tuple(guid for guid in dict.fromkeys(guids) if guids.count(guid) > 1)

    @property
    def reset_address(self) -> int | None:
        """Where SEV-ES starts the other vCPUs, all 32 bits; None if absent or 0 (QEMU refuses 0).

        The high 16 bits become CS.base, the low 16 bits RIP.
        """
        return self._offset(RESET_BLOCK_GUID) or None

    @property
    def secret_area(self) -> Area | None:
        """Where a launch secret goes; None if there is no such entry or it says 0."""
        return _if_given(self.declared_secret_area)

    @property
    def hash_area(self) -> Area | None:
        """Where the kernel hash table goes; None if there is no such entry or it says 0."""
        return _if_given(self.declared_hash_area)

    @property
    def declared_secret_area(self) -> Area | None:
        """The entry as it stands, zeros included; None if there is no entry."""
        return self._area(SECRET_AREA_GUID)

    @property
    def declared_hash_area(self) -> Area | None:
        """The entry as it stands, zeros included; None if there is no entry."""
        return self._area(HASH_AREA_GUID)

    @property
    def metadata_offset(self) -> int | None:
        """Bytes from the SEV metadata to the end of the image; None without such an entry."""
        return self._offset(SEV_METADATA_GUID)

    @property
    def has_tdx_metadata(self) -> bool:
        """Whether the image describes itself for Intel TDX too."""
        return self.entry(TDX_METADATA_GUID) is not None

    @property
    def has_igvm_metadata(self) -> bool:
        """Whether the image carries an IGVM file's parameters."""
        return self.entry(IGVM_METADATA_GUID) is not None

    @property
    def has_svsm_info(self) -> bool:
        """Whether the image carries a secure VM service module (SEV-SNP only)."""
        return self.entry(SVSM_INFO_GUID) is not None

    def build(self) -> bytes:
        """The table as it stands right before the last 32 bytes of an image."""
        body = b"".join(entry.build() for entry in self.entries)
        if self.standalone:
            return body
        return body + _TRAILER.pack(len(body) + _TRAILER.size, FOOTER_GUID)

    def _area(self, guid: Guid) -> Area | None:
        data = self.entry(guid)
        return None if data is None else Area(*_AREA.unpack(data))

    def _offset(self, guid: Guid) -> int | None:
        data = self.entry(guid)
        if data is None or len(data) != _U32.size:
            return None
        return int.from_bytes(data, "little")


class SectionType(IntEnum):
    """What a section of the SEV metadata is for."""

    SEC_MEM = 1
    SECRETS = 2
    CPUID = 3
    SVSM_CAA = 4
    KERNEL_HASHES = 0x10


@dataclass(frozen=True, slots=True)
class MetadataSection:
    """One section of the SEV metadata (12 bytes): an area and its type (unknown ones are kept)."""

    area: Area
    type: int

    @property
    def type_name(self) -> str:
        """The type in words, or in hex if unknown."""
        try:
            return SectionType(self.type).name
        except ValueError:
            return f"{self.type:#x}"


@dataclass(frozen=True, slots=True)
class SevMetadata:
    """The SEV metadata, which only SEV-SNP launches use: 16 bytes and 12 for each section.

    Source: edk2 OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm.
    """

    sections: tuple[MetadataSection, ...]

    @classmethod
    def parse(cls, data: bytes, field: str = "firmware") -> SevMetadata:
        """Parse metadata at the start of ``data``; raises BadInput ``sev-metadata-broken``."""
        if len(data) < _METADATA_HEADER.size:
            _broken_metadata(field, "it is cut off")
        signature, length, version, count = _METADATA_HEADER.unpack_from(data)
        if signature != b"ASEV":
            _broken_metadata(field, "its signature is not ASEV")
        if version != 1:
            _broken_metadata(field, f"its version is {version}, not 1")
        if count > _METADATA_SECTIONS_MAX:
            _broken_metadata(field, f"it claims {count} sections")
        if length != _METADATA_HEADER.size + count * _SECTION.size or length > len(data):
            _broken_metadata(field, f"its length {length} does not fit {count} sections")
        sections = _SECTION.iter_unpack(data[_METADATA_HEADER.size : length])
        return cls(tuple(MetadataSection(Area(base, size), kind) for base, size, kind in sections))

    def build(self) -> bytes:
        """The metadata as it stands in an image."""
        count = len(self.sections)
        length = _METADATA_HEADER.size + count * _SECTION.size
        return _METADATA_HEADER.pack(b"ASEV", length, 1, count) + b"".join(
            _SECTION.pack(s.area.base, s.area.size, s.type) for s in self.sections
        )


def parse_footer(tail: bytes, image_size: int, field: str = "firmware") -> FirmwareFooter | None:
    """Parse the table from the last bytes of an image of ``image_size`` bytes.

    ``tail`` is the end of the image: 65,567 bytes hold any table, less will do for a
    smaller one. None: there is no table and no reset block. Raises BadInput
    ``firmware-table-broken`` if there is one and it does not hold together, and
    ``firmware-size`` if the sizes contradict each other.
    """
    if image_size < len(tail):
        raise BadInput(
            "firmware-size",
            field,
            f"An image of {image_size} bytes can't end in {len(tail)} bytes.",
            "Read the image again, whole.",
        )
    end = len(tail) - BYTES_AFTER_TABLE
    if end < _TRAILER.size:
        return None
    length, guid_bytes = _TRAILER.unpack_from(tail, end - _TRAILER.size)
    guid = Guid(guid_bytes)
    if guid not in (FOOTER_GUID, RESET_BLOCK_GUID):
        return None
    if not _TRAILER.size <= length <= end:
        _broken_table(field, f"it claims {length} bytes and the image has {end} for it")
    table = tail[end - length : end]
    if guid == RESET_BLOCK_GUID:
        # QEMU falls back to this form, too, when there is no table.
        return FirmwareFooter(_walk(table, field), standalone=True)
    return FirmwareFooter(_walk(table[: -_TRAILER.size], field))


def _walk(table: bytes, field: str) -> tuple[TableEntry, ...]:
    """The entries, found from the end backwards, in the order of the file."""
    entries = []
    end = len(table)
    while end > 0:
        if end < _TRAILER.size:
            _broken_table(field, f"{end} bytes at its start belong to no entry")
        length, guid_bytes = _TRAILER.unpack_from(table, end - _TRAILER.size)
        if not _TRAILER.size <= length <= end:
            _broken_table(field, f"an entry claims {length} bytes where {end} are left")
        entry = TableEntry(Guid(guid_bytes), table[end - length : end - _TRAILER.size])
        wanted = _EXACT_SIZES.get(entry.guid, len(entry.data))
        if len(entry.data) != wanted:
            _broken_table(
                field, f"its {entry.name} has {len(entry.data)} bytes of data, not {wanted}"
            )
        entries.append(entry)
        end -= length
    return tuple(reversed(entries))


def _if_given(area: Area | None) -> Area | None:
    return area if area is not None and area.given else None


def _broken_table(field: str, why: str) -> NoReturn:
    raise BadInput(
        "firmware-table-broken",
        field,
        f"The table at the end of the firmware image does not hold together: {why}.",
        "The file is cut short or damaged: get it again, and compare its SHA-256.",
    )


def _broken_metadata(field: str, why: str) -> NoReturn:
    raise BadInput(
        "sev-metadata-broken",
        field,
        f"The SEV metadata of the firmware image does not hold together: {why}.",
        "SEV and SEV-ES launches do not use it. For SEV-SNP, get the image again.",
    )
