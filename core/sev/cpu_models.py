# SPDX-License-Identifier: Apache-2.0
"""The CPU that a guest sees: QEMU's AMD models, and family, model and stepping as one number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ..errors import BadInput
from ..frozen import dataclass

FAMILY_MAX = 0xF + 0xFF
MODEL_MAX = 0xFF
STEPPING_MAX = 0xF

_NUMBER = r"(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,8})"
_TRIPLE = rf"{_NUMBER}/{_NUMBER}/{_NUMBER}"
_SIGNATURE = r"0[xX]([0-9a-fA-F]{1,8})"
# Bits 12 to 15 and 28 to 31 of CPUID Fn0000_0001 EAX are reserved.
_RESERVED_BITS = 0xF000F000
_HOST_MODELS = frozenset({"host", "host-passthrough", "host-model", "max"})
_FORM = "Give a QEMU model (EPYC-Milan), FAMILY/MODEL/STEPPING (25/1/1) or a signature (0xa00f11)."


@dataclass(frozen=True, slots=True)
class CpuSignature:
    """Family (0 to 270), model (0 to 255) and stepping (0 to 15) of a guest's CPU.

    Two CPUs are the same for a launch if their ``value`` is; QEMU's name of the model
    is not kept. Source: AMD CPUID Specification (25481), Fn0000_0001 EAX; QEMU
    target/i386/cpu.c (x86_cpuid_version_set_family and its neighbours).
    """

    family: int
    model: int
    stepping: int

    def __post_init__(self) -> None:
        limits = (
            ("family", self.family, FAMILY_MAX),
            ("model", self.model, MODEL_MAX),
            ("stepping", self.stepping, STEPPING_MAX),
        )
        for name, number, limit in limits:
            if not 0 <= number <= limit:
                raise BadInput(
                    "cpu-out-of-range",
                    f"the CPU's {name}",
                    f"It is {number}; it can be 0 to {limit}.",
                    "Take the numbers from /proc/cpuinfo (cpu family, model, stepping).",
                )

    @property
    def value(self) -> int:
        """The CPU's signature (32 bits), which a vCPU starts with in RDX."""
        base = min(self.family, 0xF)
        extended = self.family - base
        model_high, model_low = divmod(self.model, 16)
        return extended << 20 | model_high << 16 | base << 8 | model_low << 4 | self.stepping

    @classmethod
    def from_value(cls, value: int) -> CpuSignature:
        """The CPU of a signature (32 bits); raises BadInput ``cpu-out-of-range``."""
        base = value >> 8 & 0xF
        extended = value >> 20 & 0xFF
        if not 0 <= value < 1 << 32 or value & _RESERVED_BITS or (extended and base != 0xF):
            raise BadInput(
                "cpu-out-of-range",
                "the CPU's signature",
                f"{value:#x} is no CPU signature: it has bits where none can be.",
                "Give EAX of CPUID function 1 as the guest sees it, such as 0xa00f11.",
            )
        return cls(base + extended, (value >> 16 & 0xF) << 4 | value >> 4 & 0xF, value & 0xF)

    def __str__(self) -> str:
        return f"{self.family}/{self.model}/{self.stepping}"


def _with_versions(name: str, versions: int, cpu: CpuSignature) -> dict[str, CpuSignature]:
    return dict.fromkeys([name, *(f"{name}-v{n}" for n in range(1, versions + 1))], cpu)


_NAPLES = CpuSignature(23, 1, 2)

# No version of a model changes family, model or stepping.
# Source: QEMU 11.0 target/i386/cpu.c (builtin_x86_defs). qemu64 is what a VM gets
# that was started without -cpu.
QEMU_MODELS: Mapping[str, CpuSignature] = MappingProxyType(
    _with_versions("EPYC", 5, _NAPLES)
    | {"EPYC-IBPB": _NAPLES}
    | _with_versions("EPYC-Rome", 5, CpuSignature(23, 49, 0))
    | _with_versions("EPYC-Milan", 4, CpuSignature(25, 1, 1))
    | _with_versions("EPYC-Genoa", 3, CpuSignature(25, 17, 0))
    | _with_versions("EPYC-Turin", 2, CpuSignature(26, 0, 0))
    | _with_versions("qemu64", 1, CpuSignature(15, 107, 1))
)

_BY_LOWER_NAME = MappingProxyType({name.lower(): name for name in QEMU_MODELS})


def parse_cpu(text: str, field: str = "--cpu") -> CpuSignature:
    """A CPU from QEMU's name (case does not matter), ``25/1/1`` (decimal or 0x) or ``0x00a00f11``.

    Raises BadInput ``cpu-unknown``, ``cpu-is-the-hosts`` or ``cpu-out-of-range``.
    """
    text = text.strip()
    if numbers := re.fullmatch(_TRIPLE, text):
        family, model, stepping = (_number(group) for group in numbers.groups())
        return CpuSignature(family, model, stepping)
    if signature := re.fullmatch(_SIGNATURE, text):
        return CpuSignature.from_value(int(signature[1], 16))
    if text.lower() in _HOST_MODELS:
        raise BadInput(
            "cpu-is-the-hosts",
            field,
            f"“{text}” is whatever CPU the host has, and each vCPU starts with its number.",
            "Give family, model and stepping of the host (lscpu on it) as 25/1/1,"
            " or start the VM with a named model.",
        )
    if name := _BY_LOWER_NAME.get(text.lower()):
        return QEMU_MODELS[name]
    raise _unknown(text, field)


def _number(text: str) -> int:
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)


def _unknown(text: str, field: str) -> BadInput:
    import difflib  # noqa: PLC0415 - only for this complaint

    near = [
        _BY_LOWER_NAME[name]
        for name in difflib.get_close_matches(text[:64].lower(), _BY_LOWER_NAME, n=4, cutoff=0.6)
    ]
    shown = ascii(text[:64])[1:-1]
    return BadInput(
        "cpu-unknown",
        field,
        f"“{shown}” is no AMD CPU model of QEMU that can run SEV guests.",
        (f"Near it: {', '.join(near)}. " if near else "") + _FORM,
        {"near": near},
    )
