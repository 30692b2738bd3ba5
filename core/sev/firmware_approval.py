# SPDX-License-Identifier: Apache-2.0
"""Whether firmware may be given a secret at all: NO-GO is refused, or accepted for a reason.

The measurement says that the owner's firmware runs; it does not say that this firmware
keeps a host from what is in the VM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ..errors import VerificationRefused
from ..frozen import dataclass
from .firmware_inspection import ANY_LAUNCH, KERNEL_HASHES, Finding, Weight
from .waiver import waiver_reason

WHAT_A_HOST_CAN_DO: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hash-mismatch-falls-through": (
            "The host can have your kernel measured and then serve another one: the firmware"
            " leaves that out and starts what else there is, such as a GRUB that unlocks the"
            " disk with the secret."
        ),
        "hashes-not-checked": (
            "The host can have your kernel measured and then start another one with the secret."
        ),
        "grub-opens-by-another-key": (
            "The host can offer a disk that this key opens, and so start a kernel of its own in"
            " the VM that was verified, which reads the secrets that are left."
        ),
        "grub-prompts": (
            "The host can offer a disk of its own, type its passphrase, and so start a kernel of"
            " its own in the VM that was verified, which reads the secrets that are left."
        ),
    }
)
"""What follows from a finding, by its code."""

_REMEDY: Final = (
    "Use firmware that halts (edk2-stable202408 or later) and whose GRUB never asks:"
    " `watchword firmware inspect` tells them apart."
)


@dataclass(frozen=True, slots=True)
class ApprovedFirmware:
    """Firmware that nothing forbids to be given a secret, as far as can be seen.

    ``waiver``    the typed reason for which a NO-GO was accepted, None where there was none
    ``warnings``  what was accepted, and what can't be seen
    """

    waiver: str | None = None
    warnings: tuple[str, ...] = ()


def applies(finding: Finding, *, kernel_hashes: bool) -> bool:
    """Whether a finding matters for a launch under SEV or SEV-ES, with or without a kernel."""
    return finding.use == ANY_LAUNCH or (kernel_hashes and finding.use == KERNEL_HASHES)


def in_full(finding: Finding) -> str:
    """What was seen, and what a host could do with it."""
    return " ".join(filter(None, (finding.text, WHAT_A_HOST_CAN_DO.get(finding.code))))


def approve_firmware(
    images: Iterable[tuple[str, Iterable[Finding]]],
    *,
    kernel_hashes: bool,
    waiver: str | None = None,
) -> ApprovedFirmware:
    """Accept the images that may run; those with a NO-GO only with a reason typed by the owner.

    ``images``  a name for people and the findings, for each. Raises VerificationRefused
    ``firmware-refused``, which tells all that stands against them; a NO-GO that can't be
    waived is refused in any case. A waiver that nothing needs is not recorded as one.
    """
    seen = [
        (name, finding)
        for name, findings in images
        for finding in findings
        if applies(finding, kernel_hashes=kernel_hashes)
    ]
    against = [(name, finding) for name, finding in seen if finding.weight is Weight.NO_GO]
    warnings = [f"{name}: {f.text}" for name, f in seen if f.weight is Weight.WARNING]
    if not against:
        return ApprovedFirmware(None, tuple(warnings))
    if waiver is None or not all(finding.waivable for _, finding in against):
        raise refusal(against)
    accepted = [f"{name}: {in_full(finding)}" for name, finding in against]
    return ApprovedFirmware(waiver_reason(waiver, "firmware"), (*accepted, *warnings))


def refusal(against: Iterable[tuple[str, Finding]]) -> VerificationRefused:
    """The error for images with a NO-GO, given with their names."""
    told = list(against)
    remedy = _REMEDY
    if all(finding.waivable for _, finding in told):
        remedy += " Or accept it with a typed reason (--waive-firmware)."
    return VerificationRefused(
        "firmware-refused",
        "This firmware is not fit to be given a secret",
        " ".join(f"{name}: {in_full(finding)}" for name, finding in told),
        remedy,
        {"findings": list(dict.fromkeys(finding.code for _, finding in told))},
    )
