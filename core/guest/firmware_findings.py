# SPDX-License-Identifier: Apache-2.0
"""GO or NO-GO of a profile's firmware for what the profile needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..errors import BadInput
from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT, Capability, FirmwareImage
from ..sev.firmware_approval import ApprovedFirmware, applies, approve_firmware, in_full, refusal
from ..sev.firmware_inspection import Finding as Seen
from ..sev.firmware_inspection import Weight, inspect_firmware
from ..sev.waiver import waiver_reason
from .approvals import ExaminedFile, FileState
from .lint import Finding, Severity, problem, warning
from .profile import GuestProfile

_UNSEEN = "Whether it is fit to be given a secret can't be seen: its image is not here."


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
        for seen in _seen_in(file) or ():
            if applies(seen, kernel_hashes=bool(profile.kernel)):
                yield from _finding(profile, file, seen)


def approve_guest_firmware(
    profile: GuestProfile, files: Sequence[ExaminedFile], waiver: str | None
) -> ApprovedFirmware:
    """The profile's firmware, if nothing forbids to give it a secret; a NO-GO takes a waiver.

    ``files``  the profile's files as they were just read. Raises VerificationRefused
    ``firmware-refused`` and UsageError ``empty-waiver``. Firmware that is not here can't be
    judged, and is accepted with a warning; a waiver may have been for that, and stays told.
    """
    images = [file for file in files if file.component == "firmware"]
    seen = [(file, _seen_in(file)) for file in images]
    approved = approve_firmware(
        [(str(file), found or ()) for file, found in seen],
        kernel_hashes=bool(profile.kernel),
        waiver=waiver,
    )
    unseen = tuple(f"{file}: {_UNSEEN}" for file, found in seen if found is None)
    reason = approved.waiver
    if reason is None and waiver is not None and (unseen or not images):
        reason = waiver_reason(waiver, "firmware")
    return ApprovedFirmware(reason, (*approved.warnings, *unseen))


def _needed(profile: GuestProfile, image: FirmwareImage) -> Iterator[Capability]:
    can = image.capabilities
    if profile.secrets:
        yield can.secret_injection
    if profile.kernel:
        yield can.kernel_hashes
    if profile.needs_es and profile.vcpus[-1] > 1:
        yield can.sev_es


def _seen_in(file: ExaminedFile) -> tuple[Seen, ...] | None:
    """What can be seen in the whole image; None where it is not here, or another one by now."""
    if file.entry.path is None or file.found.sha256 is None:
        return None
    try:
        return _findings_of(file.entry.path, file.found.sha256, str(file))
    except BadInput:
        return None


@lru_cache(maxsize=16)
def _findings_of(path: str, sha256: str, name: str) -> tuple[Seen, ...]:
    """The findings of the image with this hash; a fleet's launches share a few of them."""
    inspection = inspect_firmware(read_file(path, "firmware", FIRMWARE_LIMIT), name)
    if inspection.image.sha256.hex() != sha256:
        raise BadInput("firmware-changed", name, "It changed while it was read.", "Try again.")
    return inspection.findings


def _finding(profile: GuestProfile, file: ExaminedFile, seen: Seen) -> Iterator[Finding]:
    if seen.weight is Weight.WARNING:
        yield warning(seen.code, f"{file}: {seen.text}")
    elif seen.weight is Weight.NO_GO and seen.waivable:
        text = f"NO-GO: {file}. {in_full(seen)}"
        yield Finding(seen.code, Severity.REFUSED, text, refusal([(str(file), seen)]))
    elif seen.weight is Weight.NO_GO:
        yield problem(_cant_do(profile, f"NO-GO: {file}. {in_full(seen)}"))


def _cant_do(profile: GuestProfile, text: str) -> BadInput:
    return BadInput(
        "firmware-no-go",
        f"guest profile {profile.name}",
        text,
        "Use an AmdSev build of OVMF; `watchword firmware inspect` tells them apart.",
    )
