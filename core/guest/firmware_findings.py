# SPDX-License-Identifier: Apache-2.0
"""GO or NO-GO of a profile's firmware for what the profile needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import BadInput, VerificationRefused
from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT, Capability, FirmwareImage
from ..sev.firmware_inspection import (
    ANY_LAUNCH,
    KERNEL_HASHES,
    FirmwareInspection,
    Weight,
    inspect_firmware,
)
from ..sev.firmware_inspection import Finding as Seen
from .approvals import ExaminedFile, FileState
from .lint import Finding, Severity, problem, warning
from .profile import GuestProfile


def firmware_findings(profile: GuestProfile, files: Sequence[ExaminedFile]) -> Iterator[Finding]:
    """What the profile needs and its firmware can't do, and what its code would let happen.

    Firmware that has changed is not judged: it is not what would be launched.
    """
    for file in files:
        if file.found.image is None or file.state is FileState.CHANGED:
            continue
        for capability in _needed(profile, file.found.image):
            if not capability.go:
                text = f"NO-GO for {capability.name}: {file}. {capability.reason}"
                yield problem(_cant_do(profile, text))
        inspection = _inspected(file)
        for seen in inspection.findings if inspection is not None else ():
            if seen.use == ANY_LAUNCH or (seen.use == KERNEL_HASHES and profile.kernel):
                yield from _finding(profile, file, seen)


def _needed(profile: GuestProfile, image: FirmwareImage) -> Iterator[Capability]:
    can = image.capabilities
    if profile.secrets:
        yield can.secret_injection
    if profile.kernel:
        yield can.kernel_hashes
    if profile.needs_es and profile.vcpus[-1] > 1:
        yield can.sev_es


def _inspected(file: ExaminedFile) -> FirmwareInspection | None:
    """The whole image looked into; None if it is another one by now."""
    try:
        data = read_file(file.entry.path or "", "firmware", FIRMWARE_LIMIT)
        inspection = inspect_firmware(data, str(file))
    except BadInput:
        return None
    return inspection if inspection.image.sha256.hex() == file.found.sha256 else None


def _finding(profile: GuestProfile, file: ExaminedFile, seen: Seen) -> Iterator[Finding]:
    if seen.weight is Weight.WARNING:
        yield warning(seen.code, f"{file}: {seen.text}")
    elif seen.weight is Weight.NO_GO and seen.waivable:
        text = f"NO-GO: {file}. {seen.text}"
        yield Finding(seen.code, Severity.REFUSED, text, _refused(profile, seen.code, text))
    elif seen.weight is Weight.NO_GO:
        yield problem(_cant_do(profile, f"NO-GO: {file}. {seen.text}"))


def _cant_do(profile: GuestProfile, text: str) -> BadInput:
    return BadInput(
        "firmware-no-go",
        f"guest profile {profile.name}",
        text,
        "Use an AmdSev build of OVMF; `watchword firmware inspect` tells them apart.",
    )


def _refused(profile: GuestProfile, code: str, text: str) -> VerificationRefused:
    return VerificationRefused(
        "firmware-no-go",
        f"The firmware of guest profile {profile.name} can't be trusted with a secret",
        text,
        "Use newer firmware, or accept it knowingly: nothing else stands against this.",
        {"finding": code},
    )
