# SPDX-License-Identifier: Apache-2.0
"""All that can be told of a firmware image: what it can do in a launch, GO or NO-GO, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from .firmware import Capability, FirmwareImage
from .firmware_contents import (
    Grub,
    HashMismatch,
    Layout,
    Observed,
    observe_grub,
    observe_hash_mismatch,
    observe_layout,
)
from .firmware_footer import ENTRY_NAMES, Area, SectionType
from .firmware_volumes import ImageContents, read_contents

RESET_VECTOR_SIZE: Final = 16
ANY_LAUNCH: Final = "launch"
KERNEL_HASHES: Final = "kernel-hashes"
SEV_SNP: Final = "sev-snp"
_FOUR_GIB: Final = 1 << 32
_SNP_SECTIONS: Final = (SectionType.SEC_MEM, SectionType.SECRETS, SectionType.CPUID)

_NOP: Final = 0x90
_JUMPS: Final = (b"\xe9", b"\xeb", b"\xea")
_READ_CR0: Final = b"\x0f\x20\xc0"  # newer edk2 first asks in which mode it was started


class Weight(StrEnum):
    """How much a finding matters."""

    NO_GO = "NO-GO"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about an image that its owner should know.

    ``code``      kebab-case and stable
    ``use``       what it matters for: ``launch`` (any), ``kernel-hashes``, ``sev-snp``
    ``waivable``  a NO-GO that an owner may accept, with a reason
    """

    code: str
    weight: Weight
    text: str
    use: str = ANY_LAUNCH
    waivable: bool = False

    def as_json(self) -> dict[str, object]:
        """The finding as it appears in JSON output."""
        return {
            "code": self.code,
            "weight": self.weight.value,
            "text": self.text,
            "use": self.use,
            "waivable": self.waivable,
        }


@dataclass(frozen=True, slots=True)
class FirmwareInspection:
    """An image, what was seen in it, and the judgements that follow.

    ``reset_vector`` is the last 16 bytes, where a processor starts.
    """

    image: FirmwareImage
    reset_vector: bytes
    contents: ImageContents
    layout: Observed
    hash_mismatch: Observed
    grub: Observed

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """Secret injection, kernel hashes, SEV-ES, SEV-SNP: by table, metadata and code."""
        by_table = self.image.capabilities
        hashes = _with_mismatch(by_table.kernel_hashes, self.hash_mismatch)
        return (by_table.secret_injection, hashes, by_table.sev_es, _judge_snp(self.image))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What else there is to say, the gravest first."""
        order = list(Weight)
        return tuple(sorted(_findings(self), key=lambda finding: order.index(finding.weight)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why no secret should be given to a VM with this firmware; empty for GO."""
        injection = self.capabilities[0]
        reasons = [] if injection.go else [injection.reason]
        against = (f for f in self.findings if f.weight is Weight.NO_GO and f.use == ANY_LAUNCH)
        return (*reasons, *(finding.text for finding in against))

    @property
    def go(self) -> bool:
        """Whether a launch that hands over a secret makes sense with it."""
        return not self.reasons


def inspect_firmware(data: bytes, field: str = "firmware") -> FirmwareInspection:
    """Inspect a whole image; raises as FirmwareImage.from_bytes does."""
    image = FirmwareImage.from_bytes(data, field)
    contents = read_contents(data)
    return FirmwareInspection(
        image=image,
        reset_vector=data[-RESET_VECTOR_SIZE:],
        contents=contents,
        layout=observe_layout(contents),
        hash_mismatch=observe_hash_mismatch(contents),
        grub=observe_grub(contents),
    )


def is_reset_vector(last: bytes) -> bool:
    """Whether the last 16 bytes can be where a processor starts: a jump, perhaps after a test.

    Source: edk2 OvmfPkg/ResetVector and UefiCpuPkg/ResetVector, Ia16/ResetVectorVtf0.
    """
    code = last.lstrip(bytes([_NOP]))
    if code.startswith(_READ_CR0):
        return any(jump in code for jump in _JUMPS)
    return len(code) >= 2 and code.startswith(_JUMPS)


# -- judgements --------------------------------------------------------------------


def _with_mismatch(by_table: Capability, mismatch: Observed) -> Capability:
    """The judgement of the table, and what the code does with a wrong kernel."""
    if not by_table.go:
        return by_table
    if mismatch.value in (HashMismatch.FALLS_THROUGH, HashMismatch.UNCHECKED):
        return Capability(by_table.name, go=False, reason=mismatch.text)
    return Capability(by_table.name, go=True, reason=f"{by_table.reason} {mismatch.text}")


def _judge_snp(image: FirmwareImage) -> Capability:
    name = "SEV-SNP"
    if image.metadata is None:
        reason = image.metadata_problem or "It has no SEV metadata."
        return Capability(name, go=False, reason=reason)
    there = {section.type for section in image.metadata.sections}
    missing = [kind.name for kind in _SNP_SECTIONS if kind not in there]
    if missing:
        reason = f"Its SEV metadata names no section of type {' or '.join(missing)}."
        return Capability(name, go=False, reason=reason)
    if overlaps := _overlaps(_metadata_areas(image)):
        return Capability(name, go=False, reason=f"Sections overlap: {overlaps[0]}.")
    count = len(image.metadata.sections)
    return Capability(name, go=True, reason=f"{count} sections of SEV metadata.")


# -- findings ----------------------------------------------------------------------


def _findings(inspection: FirmwareInspection) -> Iterator[Finding]:
    yield from _of_code(inspection)
    yield from _of_table(inspection.image)
    yield from _of_areas(inspection.image)
    yield from _of_formats(inspection.image)
    if not is_reset_vector(inspection.reset_vector):
        yield Finding(
            "reset-vector-odd",
            Weight.WARNING,
            "Its last 16 bytes are no jump, so that no processor can start there: the file may be"
            " cut or padded.",
        )
    if problems := inspection.contents.problems:
        yield Finding("contents-partly-unseen", Weight.NOTE, " ".join(problems))


def _of_code(inspection: FirmwareInspection) -> Iterator[Finding]:
    layout, mismatch, grub = inspection.layout, inspection.hash_mismatch, inspection.grub
    if layout.value is Layout.VARIABLES:
        yield Finding("variable-store", Weight.NO_GO, f"It is no firmware: {layout.text}")
    elif layout.value is Layout.CODE:
        yield Finding("variables-not-measured", Weight.NOTE, layout.text)
    if grub.value is Grub.PROMPTS:
        yield Finding("grub-prompts", Weight.NO_GO, grub.text, waivable=True)
    elif grub.value is Grub.OTHER_KEY:
        yield Finding("grub-opens-by-another-key", Weight.NO_GO, grub.text, waivable=True)
    elif grub.value is Grub.UNSEEN and (
        inspection.contents.modules or inspection.contents.problems
    ):
        yield Finding("grub-unseen", Weight.WARNING, grub.text)
    if inspection.image.hash_area is not None:
        yield from _of_mismatch(mismatch)


def _of_mismatch(mismatch: Observed) -> Iterator[Finding]:
    if mismatch.value is HashMismatch.FALLS_THROUGH:
        yield Finding(
            "hash-mismatch-falls-through",
            Weight.NO_GO,
            mismatch.text,
            KERNEL_HASHES,
            waivable=True,
        )
    elif mismatch.value is HashMismatch.UNCHECKED:
        yield Finding("hashes-not-checked", Weight.NO_GO, mismatch.text, KERNEL_HASHES)
    elif mismatch.value is HashMismatch.UNSEEN:
        yield Finding("hash-mismatch-unseen", Weight.WARNING, mismatch.text, KERNEL_HASHES)


def _of_table(image: FirmwareImage) -> Iterator[Finding]:
    duplicates = image.footer.duplicates if image.footer is not None else ()
    for guid in duplicates:
        name = ENTRY_NAMES.get(guid, str(guid))
        yield Finding(
            "duplicate-entry",
            Weight.WARNING,
            f"Its table names the {name} more than once: QEMU takes the last, and other"
            " programs may take the first.",
        )
    if image.metadata_problem is not None:
        yield Finding("metadata-broken", Weight.WARNING, image.metadata_problem, SEV_SNP)


def _of_areas(image: FirmwareImage) -> Iterator[Finding]:
    areas = {"launch secret area": image.secret_area, "kernel hash area": image.hash_area}
    given = [(name, area) for name, area in areas.items() if area is not None]
    for overlap in _overlaps(given):
        text = f"One would overwrite the other: {overlap}."
        yield Finding("areas-overlap", Weight.NO_GO, text)
    mapped = Area(_FOUR_GIB - image.size, image.size)
    for name, area in given:
        if _common(area, mapped):
            text = f"The {name} lies where the firmware itself is mapped."
            yield Finding("area-in-firmware", Weight.NO_GO, text)
        reset = image.reset_address
        if reset is not None and area.base <= reset < area.base + area.size:
            text = f"The address where the other vCPUs start lies in the {name}."
            yield Finding("reset-address-in-area", Weight.WARNING, text)
    for overlap in _overlaps(_metadata_areas(image)):
        text = f"Sections of the SEV metadata overlap: {overlap}."
        yield Finding("sections-overlap", Weight.NO_GO, text, SEV_SNP)


def _of_formats(image: FirmwareImage) -> Iterator[Finding]:
    if image.footer is None:
        return
    if image.footer.has_igvm_metadata:
        yield Finding("igvm", Weight.NOTE, "It can also be started from an IGVM file.")
    if image.footer.has_svsm_info:
        yield Finding("svsm", Weight.NOTE, "It holds an SVSM, which SEV-SNP launches use.")
    if image.footer.has_tdx_metadata:
        yield Finding("tdx", Weight.NOTE, "It can also run under Intel TDX.")


def _metadata_areas(image: FirmwareImage) -> list[tuple[str, Area]]:
    sections = image.metadata.sections if image.metadata is not None else ()
    return [(section.type_name, section.area) for section in sections]


def _overlaps(areas: list[tuple[str, Area]]) -> list[str]:
    """Neighbours in memory that have bytes in common, as phrases."""
    ordered = sorted((area.base, area.size, name) for name, area in areas if area.size)
    found = []
    for (base, size, name), (next_base, _, next_name) in pairwise(ordered):
        if base + size > next_base:
            found.append(f"{name} at {base:#x} reaches into {next_name} at {next_base:#x}")
    return found


def _common(first: Area, second: Area) -> bool:
    return first.base < second.base + second.size and second.base < first.base + first.size
