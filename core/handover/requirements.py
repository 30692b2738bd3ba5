# SPDX-License-Identifier: Apache-2.0
"""What must be true of a host for a start command to work, in sentences for its operator."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from .vm_order import VmOrder


class Form(StrEnum):
    """Who starts the VM."""

    QEMU = "qemu"
    LIBVIRT = "libvirt"
    KUBEVIRT = "kubevirt"


def requirements(order: VmOrder, form: Form) -> tuple[str, ...]:
    """The sentences, in the order in which an operator would see to them."""
    return tuple(_sentences(order, form))


def _sentences(order: VmOrder, form: Form) -> Iterator[str]:
    kind = "SEV-ES" if order.encrypted_state else "SEV"
    yield (
        f"The machine is an AMD EPYC with {kind} turned on in its set-up (SMEE, SEV ASIDs) and in"
        " the kernel: /sys/module/kvm_amd/parameters/sev says Y"
        + (", sev_es says Y." if order.encrypted_state else ".")
    )
    yield "Its PDH is still the one that the launch was prepared for: no reset since then."
    if form is Form.KUBEVIRT:
        yield "The feature gate WorkloadEncryptionSEV is on, and the node is labelled for SEV."
        yield "The firmware is the node's own: its hash has to be one of the profile's."
        return
    yield (
        f"{order.firmware} is, byte for byte, the firmware of the profile: an OVMF for the machine"
        " q35 that keeps no variables. There is no NVRAM file beside it."
    )
    if order.kernel is not None:
        yield "Kernel and initrd are, byte for byte, those of the profile."
    yield (
        f"{order.memory} MiB and some more can be locked in memory: SEV pins all of the VM's"
        " memory (ulimit -l, or libvirt's hard_limit)."
    )
    if order.cbitpos is None and form is Form.QEMU:
        yield (
            "CBITPOS in the command is replaced by bits 5-0 of EBX of CPUID 0x8000001F, and"
            " reduced-phys-bits by its bits 11-6 (virsh nodesevinfo prints both)."
        )
    yield "The VM starts paused, and is not resumed by anybody but the owner."
