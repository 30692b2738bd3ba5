# SPDX-License-Identifier: Apache-2.0
"""Initial register state of virtual processors (VMSA pages), as KVM and QEMU make it for SEV-ES.

Source: Linux arch/x86/kvm/svm/sev.c (sev_es_sync_vmsa); AMD64 manual volume 2, appendix B;
QEMU target/i386/cpu.c for the models' signatures.
"""

from __future__ import annotations

import struct
from enum import Enum
from types import MappingProxyType

PAGE_SIZE = 4096
BOOT_RESET_ADDRESS = 0xFFFFFFF0
"""Where the first virtual processor starts: base 0xffff0000, offset 0xfff0."""

_SEGMENT = struct.Struct("<HHIQ")
_SEGMENTS = MappingProxyType(
    {
        0x00: 0x93,  # es
        0x20: 0x93,  # ss
        0x30: 0x93,  # ds
        0x40: 0x93,  # fs
        0x50: 0x93,  # gs
        0x60: 0x00,  # gdtr
        0x70: 0x82,  # ldtr
        0x80: 0x00,  # idtr
        0x90: 0x8B,  # tr
    }
)
_REGISTERS = MappingProxyType(
    {
        0x0D0: 0x1000,  # efer: SVME
        0x148: 0x40,  # cr4: MCE
        0x158: 0x10,  # cr0: ET
        0x160: 0x400,  # dr7
        0x168: 0xFFFF0FF0,  # dr6
        0x170: 0x2,  # rflags
        0x268: 0x0007040600070406,  # g_pat
        0x3E8: 0x1,  # xcr0
    }
)
_SIGNATURES = MappingProxyType(
    {
        "EPYC": 0x800F12,
        "EPYC-Rome": 0x830F10,
        "EPYC-Milan": 0xA00F11,
        "EPYC-Genoa": 0xA10F10,
        "EPYC-Turin": 0xB00F00,
    }
)


class SaveAreaKind(Enum):
    """Which of KVM's two ways of making a SEV-ES guest made the page.

    LEGACY: KVM_SEV_ES_INIT, what QEMU does by default. INIT2: KVM_SEV_INIT2, which also
    presets the floating point control words.
    """

    LEGACY = "legacy"
    INIT2 = "init2"


def cpu_signature(model: str) -> int | None:
    """CPUID leaf 1 EAX of a QEMU model such as ``EPYC-Milan`` or ``EPYC-Milan-v2``, if known."""
    name, _, version = model.rpartition("-v")
    if name and version.isdigit():
        model = name
    return _SIGNATURES.get(model.removesuffix("-IBPB"))


def save_area(
    reset_address: int,
    signature: int,
    kind: SaveAreaKind = SaveAreaKind.LEGACY,
    sev_features: int = 0,
) -> bytes:
    """One page (4096 bytes).

    ``reset_address``: where the processor starts (:data:`BOOT_RESET_ADDRESS` for the first,
    the firmware's reset block for the others); ``signature``: CPUID leaf 1 EAX.
    """
    page = bytearray(PAGE_SIZE)
    for offset, attributes in _SEGMENTS.items():
        _SEGMENT.pack_into(page, offset, 0, attributes, 0xFFFF, 0)
    _SEGMENT.pack_into(page, 0x10, 0xF000, 0x9B, 0xFFFF, reset_address & 0xFFFF0000)  # cs
    for offset, value in _REGISTERS.items():
        struct.pack_into("<Q", page, offset, value)
    struct.pack_into("<Q", page, 0x178, reset_address & 0xFFFF)  # rip
    struct.pack_into("<Q", page, 0x310, signature)  # rdx
    struct.pack_into("<Q", page, 0x3B0, sev_features)
    if kind is SaveAreaKind.INIT2:
        struct.pack_into("<I", page, 0x408, 0x1F80)  # mxcsr
        struct.pack_into("<H", page, 0x410, 0x37F)  # x87 control word
    return bytes(page)
