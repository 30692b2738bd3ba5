# SPDX-License-Identifier: Apache-2.0
"""A firmware image: read once as a stream, for its hash, its table and what it is capable of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ..errors import BadInput
from ..frozen import dataclass
from ..frozen import field as dataclass_field
from .firmware_footer import (
    RESET_BLOCK_GUID,
    Area,
    FirmwareFooter,
    SevMetadata,
    parse_footer,
)
from .kernel_hashes import PADDED_TABLE_SIZE

# QEMU maps at most 8 MiB of flash unless told otherwise; real images have 2 to 16.
FIRMWARE_LIMIT = 64 << 20
# Flash sectors have 4 KiB and -bios images come in 64 KiB: QEMU refuses other sizes.
# Source: QEMU hw/i386/pc_sysfw.c (pc_system_flash_map), hw/i386/x86-common.c.
FIRMWARE_GRANULE = 4096
# Enough for the largest table (64 KiB) and for metadata where edk2 puts it (under 3 KiB).
TAIL_SIZE = 128 << 10

# The smallest secret table: header 20, entry header 20, one byte; padded to 16.
_SMALLEST_SECRET_TABLE = 48
_FOUR_GIB = 1 << 32


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether an image can do something, and why or why not."""

    name: str
    go: bool
    reason: str

    def as_json(self) -> dict[str, object]:
        """The judgement as it appears in JSON output."""
        return {"name": self.name, "verdict": "GO" if self.go else "NO-GO", "reason": self.reason}


@dataclass(frozen=True, slots=True)
class FirmwareCapabilities:
    """What an image can do in a SEV or SEV-ES launch, as far as its table tells."""

    secret_injection: Capability
    kernel_hashes: Capability
    sev_es: Capability

    def as_json(self) -> list[dict[str, object]]:
        """The judgements in a fixed order."""
        return [c.as_json() for c in (self.secret_injection, self.kernel_hashes, self.sev_es)]


@dataclass(frozen=True, slots=True)
class FirmwareImage:
    """A firmware image as QEMU maps it: size, SHA-256 (32 bytes) and the table at its end.

    Hash and table come from one pass over the same bytes. ``footer`` is None for
    images without a table: these still have a launch digest under plain SEV.
    ``metadata`` is used by SEV-SNP only; if there should be one and it can't be had,
    ``metadata_problem`` says why.
    """

    size: int
    sha256: bytes
    footer: FirmwareFooter | None
    metadata: SevMetadata | None
    metadata_problem: str | None
    field: str
    _state: hashlib._Hash = dataclass_field(repr=False, compare=False)

    @classmethod
    def from_chunks(cls, chunks: Iterable[bytes], field: str = "firmware") -> FirmwareImage:
        """Read an image from a stream, once, keeping no more than its end.

        Raises BadInput ``firmware-size`` for an image that is empty, over 64 MiB or no
        multiple of 4 KiB, ``firmware-table-broken`` for a damaged table, and whatever
        the stream raises.
        """
        running = hashlib.sha256()
        size = 0
        tail = bytearray()
        for chunk in chunks:
            running.update(chunk)
            size += len(chunk)
            if size > FIRMWARE_LIMIT:
                raise _bad_size(field, f"It has more than {FIRMWARE_LIMIT >> 20} MiB.")
            tail += memoryview(chunk)[-TAIL_SIZE:]
            if len(tail) > 2 * TAIL_SIZE:  # not at each chunk: small chunks would cost copies
                del tail[:-TAIL_SIZE]
        return cls._finish(running, size, bytes(tail[-TAIL_SIZE:]), field)

    @classmethod
    def from_bytes(cls, data: bytes, field: str = "firmware") -> FirmwareImage:
        """The image in ``data``; raises as from_chunks does."""
        return cls.from_chunks((data,), field)

    @classmethod
    def _finish(cls, running: hashlib._Hash, size: int, tail: bytes, field: str) -> FirmwareImage:
        if size == 0:
            raise _bad_size(field, "It is empty.")
        if size % FIRMWARE_GRANULE:
            raise _bad_size(
                field, f"It has {size} bytes, no multiple of {FIRMWARE_GRANULE}: QEMU refuses that."
            )
        footer = parse_footer(tail, size, field)
        metadata, problem = _find_metadata(footer, tail, size, field)
        return cls(size, running.digest(), footer, metadata, problem, field, running.copy())

    def hash_state(self) -> hashlib._Hash:
        """A SHA-256 that has taken in the whole image, to go on from; each call gives a copy."""
        return self._state.copy()

    @property
    def reset_address(self) -> int | None:
        """Where SEV-ES starts the other vCPUs (32 bits); None if the image does not say."""
        return self.footer.reset_address if self.footer else None

    @property
    def secret_area(self) -> Area | None:
        """Where a launch secret goes; None if the image has no such area."""
        return self.footer.secret_area if self.footer else None

    @property
    def hash_area(self) -> Area | None:
        """Where the kernel hash table goes; None if the image has no such area."""
        return self.footer.hash_area if self.footer else None

    def require_secret_area(self) -> int:
        """Bytes of the launch secret area; BadInput ``firmware-without-secret-area`` if none.

        QEMU would inject at address 0 into a firmware whose table says 0, and report success.
        """
        judgement = self.capabilities.secret_injection
        area = self.secret_area
        if area is None or not judgement.go:
            raise BadInput(
                "firmware-without-secret-area",
                self.field,
                f"This firmware can't take a secret. {judgement.reason}",
                "Use an AmdSev build of OVMF; `watchword firmware inspect` tells them apart.",
            )
        return area.size

    @property
    def capabilities(self) -> FirmwareCapabilities:
        """What the image can do, as far as its table tells."""
        return FirmwareCapabilities(
            _judge_secret_area(self), _judge_hash_area(self), _judge_sev_es(self)
        )


def _find_metadata(
    footer: FirmwareFooter | None, tail: bytes, size: int, field: str
) -> tuple[SevMetadata | None, str | None]:
    """The SEV metadata, or what is wrong with it: no reason to refuse a SEV launch."""
    offset = footer.metadata_offset if footer else None
    if offset is None:
        return None, None
    if offset > size:
        return None, f"It is said to lie {offset} bytes before the end of {size} bytes."
    if offset > len(tail):
        return None, f"It lies {offset} bytes before the end; only {len(tail)} are looked at."
    try:
        return SevMetadata.parse(tail[len(tail) - offset :], field), None
    except BadInput as broken:
        return None, broken.message


def _judge_secret_area(image: FirmwareImage) -> Capability:
    declared = image.footer.declared_secret_area if image.footer else None
    problem = _area_problem(image, declared, "launch secret area", _SMALLEST_SECRET_TABLE)
    if problem is None and declared is not None and declared.base % 16:
        problem = f"The launch secret area starts at {declared.base:#x}, no multiple of 16."
    return Capability("secret injection", problem is None, problem or _placed(declared))


def _judge_hash_area(image: FirmwareImage) -> Capability:
    declared = image.footer.declared_hash_area if image.footer else None
    problem = _area_problem(image, declared, "kernel hash area", PADDED_TABLE_SIZE)
    return Capability("kernel hashes", problem is None, problem or _placed(declared))


def _judge_sev_es(image: FirmwareImage) -> Capability:
    if image.reset_address is not None:
        where = f"The other vCPUs start at {image.reset_address:#x}."
        return Capability("SEV-ES", go=True, reason=where)
    declared = image.footer is not None and image.footer.entry(RESET_BLOCK_GUID) is not None
    problem = "is 0" if declared else "is not in its table"
    return Capability(
        "SEV-ES",
        go=False,
        reason=_no_table(image) or f"The address where the other vCPUs start {problem}.",
    )


def _area_problem(
    image: FirmwareImage, declared: Area | None, name: str, smallest: int
) -> str | None:
    if declared is None:
        return _no_table(image) or f"The table of the image names no {name}."
    if not declared.given:
        return (
            f"The {name} is in the table with base {declared.base:#x} and size"
            f" {declared.size:#x}: this build leaves it out."
        )
    if declared.size < smallest:
        return f"The {name} has {declared.size} bytes; {smallest} are needed."
    if declared.base + declared.size > _FOUR_GIB:
        return f"The {name} reaches beyond 4 GiB."
    return None


def _no_table(image: FirmwareImage) -> str | None:
    if image.footer is None:
        return "The image has no table of GUIDs at its end: no OVMF, or one from before 2021."
    if image.footer.standalone:
        return "The image is from before 2021: its end names the SEV-ES reset address alone."
    return None


def _placed(area: Area | None) -> str:
    return f"{area.size} bytes at {area.base:#x}." if area else ""


def _bad_size(field: str, message: str) -> BadInput:
    return BadInput(
        "firmware-size",
        field,
        message,
        "The file is cut short, or it is no firmware image: name the OVMF file that QEMU maps.",
    )
