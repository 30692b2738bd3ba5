# SPDX-License-Identifier: Apache-2.0
"""In what a VM's vCPUs differ when people get them wrong: their number, CPU and set-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, product

from .cpu_models import QEMU_MODELS, CpuSignature
from .diagnosis_question import Alternative, Deviation, distinct
from .digest import VcpuSetup
from .vmsa import VmsaGeneration

COUNTS = (512, 256, 64)
"""Up to so many vCPUs are tried alone, in pairs, in threes."""
COUNTS_IF_UNKNOWN = (256, 64, 0)
"""The same where nothing is known about the vCPUs, so that each CPU model has to be tried."""
SEV_FEATURES = (0x0, 0x20, 0x1, 0x21)

# The first name of each signature: EPYC-Milan stands for EPYC-Milan-v2 as well.
_NAMES = {cpu: name for name, cpu in reversed(tuple(QEMU_MODELS.items()))}
# Family, model, first and last stepping of server CPUs, which guests see with -cpu host.
_HOST_CPUS = (
    (23, 1, 2, 2),
    (23, 49, 0, 0),
    (25, 1, 0, 2),
    (25, 17, 0, 2),
    (25, 160, 1, 2),
    (26, 2, 0, 1),
    (26, 17, 0, 1),
)

Change = Alternative[CpuSignature] | Alternative[VmsaGeneration] | Alternative[int]


@dataclass(frozen=True, slots=True)
class VcpuForm:
    """A way in which the vCPUs may have been set up, for any number of them.

    ``setup``     None: no vCPU was measured; its count is the approved one if there is one
    ``changes``   in what it differs from the approved set-up, the number apart
    ``depth``     the most deviations together in which it is tried
    ``counts``    up to so many vCPUs are tried alone, in pairs, in threes
    ``approved``  what was approved; None for plain SEV, or if it is not known
    """

    setup: VcpuSetup | None
    changes: tuple[Change, ...]
    depth: int
    counts: tuple[int, int, int]
    approved: VcpuSetup | None

    def count_deviation(self, count: int) -> Deviation:
        """That the VM has ``count`` vCPUs."""
        if self.setup is None or self.approved is not None:
            return _other_count(count, self.approved)
        return _measured(count, self.setup)


def vcpu_forms(approved: VcpuSetup | None) -> tuple[VcpuForm, ...]:
    """All the ways, the approved one first."""
    if approved is None:
        return (VcpuForm(None, (), 3, (0, 0, 0), None), *_forms_if_unknown())
    unmeasured = Alternative(0, 3, (_unmeasured,))
    return (*_changed_forms(approved), VcpuForm(None, (unmeasured,), 3, (0, 0, 0), approved))


def _changed_forms(approved: VcpuSetup) -> Iterator[VcpuForm]:
    ways = product(
        (None, *cpu_alternatives(approved.cpu)),
        (None, *generation_alternatives(approved.generation)),
        (None, *features_alternatives(approved.sev_features)),
    )
    for cpu, generation, features in ways:
        changes = tuple(change for change in (cpu, generation, features) if change is not None)
        setup = VcpuSetup(
            approved.count,
            cpu.value if cpu else approved.cpu,
            generation.value if generation else approved.generation,
            features.value if features else approved.sev_features,
        )
        depth = min((change.depth for change in changes), default=3)
        yield VcpuForm(setup, changes, depth, COUNTS, approved)


def _forms_if_unknown() -> Iterator[VcpuForm]:
    for cpu, generation in product(_NAMES, VmsaGeneration):
        yield VcpuForm(VcpuSetup(1, cpu, generation), (), 2, COUNTS_IF_UNKNOWN, None)
    for cpu in _NAMES:
        setup = VcpuSetup(1, cpu, VmsaGeneration.LEGACY, 0x20)
        yield VcpuForm(setup, (), 1, COUNTS_IF_UNKNOWN, None)


def cpu_alternatives(approved: CpuSignature) -> tuple[Alternative[CpuSignature], ...]:
    """QEMU's AMD models, then what guests see of the host's CPU."""
    models = ((cpu, 3) for cpu in _NAMES)
    hosts = (
        (CpuSignature(family, model, stepping), 2)
        for family, model, first, last in _HOST_CPUS
        for stepping in range(first, last + 1)
    )
    return distinct(
        approved,
        (
            Alternative(cpu, depth, (partial(_other_cpu, approved, cpu),))
            for cpu, depth in chain(models, hosts)
        ),
    )


def generation_alternatives(approved: VmsaGeneration) -> tuple[Alternative[VmsaGeneration], ...]:
    """The other generation of VMSA pages."""
    return distinct(
        approved, (Alternative(one, 3, (partial(_generation, one),)) for one in VmsaGeneration)
    )


def features_alternatives(approved: int) -> tuple[Alternative[int], ...]:
    """Other SEV_FEATURES that are seen in practice."""
    return distinct(
        approved,
        (
            Alternative(
                value, 3 if value in (0, 0x20) else 2, (partial(_features, approved, value),)
            )
            for value in SEV_FEATURES
        ),
    )


def cpu_name(cpu: CpuSignature) -> str:
    """QEMU's model, or family/model/stepping as the host's own CPU has them."""
    return _NAMES.get(cpu, str(cpu))


def _vcpus(count: int) -> str:
    return f"{count} vCPU" + ("s" if count != 1 else "")


def _other_count(count: int, approved: VcpuSetup | None) -> Deviation:
    expected = approved.count if approved else 0
    return Deviation(
        "vcpu-count",
        f"The VM has {_vcpus(count)}, not {expected}.",
        f"Have it started with {_vcpus(expected)} (QEMU's -smp), or expect {count}"
        f" (--vcpus {count}).",
        profile=None if approved is None else ("vcpus", count),
        on_host=f"Start the VM with {_vcpus(expected)} (-smp {expected}).",
    )


def _measured(count: int, setup: VcpuSetup) -> Deviation:
    features = f", SEV features {setup.sev_features:#x}" if setup.sev_features else ""
    return Deviation(
        "vcpus-measured",
        f"The first state of {_vcpus(count)} was measured, as under SEV-ES: CPU"
        f" {cpu_name(setup.cpu)}, {setup.generation.value} pages{features}.",
        f"Expect them (--vcpus {count} --cpu {cpu_name(setup.cpu)}"
        f" --vmsa {setup.generation.value}).",
    )


def _unmeasured() -> Deviation:
    return Deviation(
        "vcpus-not-measured",
        "The vCPUs' first state was not measured: the VM was started as plain SEV, not SEV-ES.",
        "Have the VM started under a policy with ES; without it the host sees the registers.",
        alarm=True,
        on_host="Start the VM as SEV-ES, as the policy of the launch blob has it.",
    )


def _other_cpu(approved: CpuSignature, cpu: CpuSignature) -> Deviation:
    own = "" if cpu in _NAMES else ", as -cpu host gives it"
    return Deviation(
        "cpu-model",
        f"The VM's CPU is {cpu_name(cpu)}{own}, not {cpu_name(approved)}.",
        f"Have it started with the CPU {cpu_name(approved)}, or expect this one"
        f" (--cpu {cpu_name(cpu)}).",
        profile=("cpu", cpu_name(cpu)),
        on_host=f"Start the VM with the CPU {cpu_name(approved)} (-cpu).",
    )


def _generation(generation: VmsaGeneration) -> Deviation:
    init2 = generation is VmsaGeneration.INIT2
    return Deviation(
        "vmsa-generation",
        "The vCPUs were set up by KVM_SEV_INIT2, not by KVM_SEV_ES_INIT."
        if init2
        else "The vCPUs were set up by KVM_SEV_ES_INIT, QEMU's default, not by KVM_SEV_INIT2.",
        f"Expect it (--vmsa {generation.value}), or have the VM started with"
        f" legacy-vm-type={'on' if init2 else 'off'}.",
        profile=("vmsa", generation.value),
        on_host=f"Start the VM with legacy-vm-type={'on' if init2 else 'off'} (sev-guest).",
    )


def _features(approved: int, value: int) -> Deviation:
    why = " (debug_swap, which some kernels turn on by themselves)" if value & 0x20 else ""
    return Deviation(
        "sev-features",
        f"The vCPUs have SEV features {value:#x}{why}, not {approved:#x}.",
        f"Expect them (--sev-features {value:#x}), or have the host set {approved:#x}.",
        profile=("sev_features", value),
        on_host=f"Start the VM with the SEV features {approved:#x}, not {value:#x}.",
    )
