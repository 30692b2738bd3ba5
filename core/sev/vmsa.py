# SPDX-License-Identifier: Apache-2.0
"""The state that a SEV-ES vCPU starts with, as KVM and QEMU make it: one measured page each."""

from __future__ import annotations

import struct
from enum import Enum
from functools import lru_cache
from types import MappingProxyType

from ..errors import BadInput
from ..frozen import dataclass
from .cpu_models import CpuSignature

VMSA_SIZE = 4096
# x86 starts 16 bytes below 4 GiB; the first vCPU (BSP) does so under SEV-ES too.
BSP_START = 0xFFFF_FFF0
SEV_FEATURES_MAX = (1 << 64) - 1

_SEGMENT = struct.Struct("<HHIQ")


class VmsaGeneration(Enum):
    """How KVM set the VM up, which shows in the floating-point state.

    LEGACY is KVM_SEV_ES_INIT, QEMU's default; INIT2 is KVM_SEV_INIT2, which QEMU 9.1
    and later use with ``legacy-vm-type=off``. Source: Linux arch/x86/kvm/svm/sev.c
    (sev_es_sync_vmsa), QEMU target/i386/sev.c (sev_kvm_type).
    """

    LEGACY = "legacy"
    INIT2 = "init2"

    @classmethod
    def parse(cls, text: str, field: str = "--vmsa") -> VmsaGeneration:
        """The generation of that name; raises BadInput ``vmsa-generation-unknown``."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise BadInput(
                "vmsa-generation-unknown",
                field,
                "There are two generations of VMSA pages: legacy and init2.",
                "QEMU makes legacy ones unless started with legacy-vm-type=off.",
            ) from None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment register, 16 bytes: u16 selector, u16 attributes, u32 limit, u64 base."""

    selector: int = 0
    attributes: int = 0
    limit: int = 0
    base: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Segment:
        """Parse 16 bytes exactly; raises BadInput ``vmsa-broken``."""
        if len(data) != _SEGMENT.size:
            raise _broken(f"a segment has {_SEGMENT.size} bytes, not {len(data)}")
        return cls(*_SEGMENT.unpack(data))

    def build(self) -> bytes:
        """The 16 bytes; raises BadInput ``vmsa-broken`` if a part does not fit its field."""
        try:
            return _SEGMENT.pack(self.selector, self.attributes, self.limit, self.base)
        except struct.error:
            raise _broken(f"{self} has a part that does not fit its field") from None


@dataclass(frozen=True, slots=True)
class Vmsa:
    """A VM save area (4096 bytes) as vCPUs start with it; what has no field here is zero.

    Source: AMD64 Architecture Programmer's Manual, volume 2, table B-4.
    """

    es: Segment
    cs: Segment
    ss: Segment
    ds: Segment
    fs: Segment
    gs: Segment
    gdtr: Segment
    ldtr: Segment
    idtr: Segment
    tr: Segment
    cpl: int
    efer: int
    cr4: int
    cr0: int
    dr7: int
    dr6: int
    rflags: int
    rip: int
    g_pat: int
    rdx: int
    sev_features: int
    xcr0: int
    mxcsr: int
    x87_fcw: int

    @classmethod
    def parse(cls, data: bytes) -> Vmsa:
        """Parse a page of 4096 bytes exactly; raises BadInput ``vmsa-broken``."""
        if len(data) != VMSA_SIZE:
            raise _broken(f"it has {len(data)} bytes, not {VMSA_SIZE}")
        values: dict[str, Segment | int] = {}
        rest = bytearray(data)
        for name, (offset, size) in VMSA_LAYOUT.items():
            part = data[offset : offset + size]
            values[name] = (
                Segment.parse(part) if size == _SEGMENT.size else int.from_bytes(part, "little")
            )
            rest[offset : offset + size] = bytes(size)
        if unexpected := rest.lstrip(b"\0"):
            offset = VMSA_SIZE - len(unexpected)
            raise _broken(f"byte {offset:#x} is set, which no vCPU starts with")
        return cls(**values)  # type: ignore[arg-type]  # the layout has each field's own type

    def build(self) -> bytes:
        """The page, 4096 bytes; raises BadInput ``vmsa-broken`` if a value does not fit."""
        values: list[int] = []
        for name in VMSA_LAYOUT:
            value: Segment | int = getattr(self, name)
            if isinstance(value, Segment):
                values += (value.selector, value.attributes, value.limit, value.base)
            else:
                values.append(value)
        try:
            return _PAGE.pack(*values)
        except struct.error:
            raise self._misfit() from None

    def _misfit(self) -> BadInput:
        """Which value is too large for its field."""
        for name, (_, size) in VMSA_LAYOUT.items():
            value: Segment | int = getattr(self, name)
            if isinstance(value, Segment):
                value.build()
            elif not 0 <= value < 1 << 8 * size:
                return _broken(f"{name} is {value:#x}, more than {size} bytes")
        return _broken("a value does not fit its field")


_SEGMENT_NAMES = ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr")

# Where each field is: offset and size in bytes.
VMSA_LAYOUT = MappingProxyType(
    {name: (16 * index, 16) for index, name in enumerate(_SEGMENT_NAMES)}
    | {
        "cpl": (0x0CB, 1),
        "efer": (0x0D0, 8),
        "cr4": (0x148, 8),
        "cr0": (0x158, 8),
        "dr7": (0x160, 8),
        "dr6": (0x168, 8),
        "rflags": (0x170, 8),
        "rip": (0x178, 8),
        "g_pat": (0x268, 8),
        "rdx": (0x310, 8),
        "sev_features": (0x3B0, 8),
        "xcr0": (0x3E8, 8),
        "mxcsr": (0x408, 4),
        "x87_fcw": (0x410, 2),
    }
)


def _page_format() -> str:
    """All fields in the order of the layout, which is that of their offsets, zeros between."""
    codes = {_SEGMENT.size: "HHIQ", 8: "Q", 4: "I", 2: "H", 1: "B"}
    text, end = "<", 0
    for offset, size in VMSA_LAYOUT.values():
        text += f"{offset - end}x{codes[size]}"
        end = offset + size
    return f"{text}{VMSA_SIZE - end}x"


_PAGE = struct.Struct(_page_format())


def initial_vmsa(
    cpu: CpuSignature,
    generation: VmsaGeneration,
    *,
    start: int = BSP_START,
    sev_features: int = 0,
) -> Vmsa:
    """The state of a vCPU that starts at ``start`` (32 bits).

    The first vCPU starts at the reset vector, which is the default; the others at the
    firmware's reset address. ``sev_features`` (64 bits) is 0 unless the VMM asked for
    more; kernels before KVM_SEV_INIT2 set 0x20 where debug_swap is on.
    """
    data = Segment(attributes=0x93, limit=0xFFFF)
    table = Segment(limit=0xFFFF)
    init2 = generation is VmsaGeneration.INIT2
    return Vmsa(
        es=data,
        cs=Segment(selector=0xF000, attributes=0x9B, limit=0xFFFF, base=start & 0xFFFF_0000),
        ss=data,
        ds=data,
        fs=data,
        gs=data,
        gdtr=table,
        ldtr=Segment(attributes=0x82, limit=0xFFFF),
        idtr=table,
        tr=Segment(attributes=0x8B, limit=0xFFFF),
        cpl=0,
        efer=0x1000,  # SVME, which KVM sets
        cr4=0x40,  # MCE, which KVM sets
        cr0=0x10,
        dr7=0x400,
        dr6=0xFFFF_0FF0,
        rflags=0x2,
        rip=start & 0xFFFF,
        g_pat=0x0007_0406_0007_0406,
        rdx=cpu.value,
        sev_features=sev_features,
        xcr0=0x1,
        # KVM_SEV_ES_INIT leaves the FPU out, so that old measurements stay true.
        mxcsr=0x1F80 if init2 else 0,
        x87_fcw=0x37F if init2 else 0,
    )


@lru_cache(maxsize=32)
def build_vmsa(
    cpu: CpuSignature,
    generation: VmsaGeneration,
    *,
    start: int = BSP_START,
    sev_features: int = 0,
) -> bytes:
    """The page of initial_vmsa, 4096 bytes."""
    return initial_vmsa(cpu, generation, start=start, sev_features=sev_features).build()


def _broken(why: str) -> BadInput:
    return BadInput(
        "vmsa-broken",
        "VMSA page",
        f"This is not the state that a vCPU starts with: {why}.",
        "Give a page of 4096 bytes as sevctl's “vmsa build” makes it, for QEMU.",
    )
