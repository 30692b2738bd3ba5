# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal with a real guest says: the verdict in words, and what was real in it."""

from __future__ import annotations

from typing import Final

from ..errors import HostError, VerificationRefused, WatchwordError
from ..hosts.host_words import visible
from ..simulator import OwnDisk
from .qemu_console import Sign
from .qemu_run import QemuOutcome
from .qemu_verdict import Sighting, Verdict

REAL: Final = (
    "QEMU, its monitor, and the guest's memory",
    "your firmware, and its checks of kernel, initrd and command line",
    "your kernel, initrd and disk; the disk is opened by the guest itself",
    "your secrets, sealed and opened as in a launch, at the place that the firmware names",
    "the measurement and its verification",
)
SIMULATED: Final = (
    "the secure processor, its certificates and its root",
    "the host that is asked, with the attacks that it plays",
)
ABSENT: Final = (
    "encrypted memory and registers: QEMU runs without SEV, so that code for it never runs",
    "SEV-ES exceptions, and page validation",
    "the speed of real hardware: QEMU runs without KVM",
)

LAUNCH_DIGEST_NOTE: Final = (
    "The launch digest is of your kernel's file. QEMU without SEV edits {count} bytes of the"
    " kernel's header, so that the table of hashes in the guest's memory is of the edited bytes:"
    " they are what your firmware checks here. With SEV, QEMU leaves the header alone."
)


def kernel_note(outcome: QemuOutcome) -> str | None:
    """What is to be known of the measured kernel, None where nothing was edited."""
    if not outcome.edited_bytes:
        return None
    return LAUNCH_DIGEST_NOTE.format(count=outcome.edited_bytes)


def verdict_error(outcome: QemuOutcome, attack: str | None = None) -> WatchwordError | None:
    """Why the rehearsal did not end with an opened disk; None where it did."""
    if outcome.error is not None:
        return outcome.error
    sighting = outcome.sighting
    if sighting is None:
        return None
    if sighting.leaked:
        return _leaked()
    if sighting.verdict is Verdict.UNLOCKED:
        return _hosts_disk(sighting) if attack == OwnDisk.name else None
    if sighting.verdict is Verdict.KERNEL_REFUSED:
        return _kernel_refused(sighting)
    if sighting.verdict is Verdict.HALTED:
        return _halted(sighting, outcome)
    return _not_opened(sighting, outcome)


def _not_opened(sighting: Sighting, outcome: QemuOutcome) -> HostError:
    title, what = {
        Verdict.ASKED: (
            "The guest asked for a passphrase",
            f"Its console says “{sighting.marker}”: the disk did not open by itself.",
        ),
        Verdict.ENDED: (
            "The guest ended, and its disk was not seen to open",
            "It shut down or reset without any of the expected signs on its console.",
        ),
    }.get(
        sighting.verdict,
        (
            "The guest is stuck",
            f"{sighting.seconds:.0f} seconds brought no sign of an opened disk, and no question.",
        ),
    )
    lost = "" if outcome.secret_in_guest else " No secret reached the guest."
    return HostError(
        f"guest-{sighting.verdict.value}",
        title,
        what + lost,
        "See the last lines of the console: whether the guest looks for the secret, under which"
        " GUID, whether the passphrase is the disk's (GRUB wants a NUL after it: --route), and"
        " whether it prints on its serial port. --unlocked-when TEXT names a sign of your own.",
        {"marker": sighting.marker},
    )


def _kernel_refused(sighting: Sighting) -> VerificationRefused:
    what = "The bytes that it was handed are not those whose hashes were measured."
    if Sign.UNLOCKED in sighting.also:
        what += (
            " IT THEN STARTED A BOOT LOADER OF ITS OWN, WHICH OPENED THE DISK with the secret that"
            " was handed over: this firmware does not stop at a refused kernel."
        )
    elif sighting.marker is not None and "GRUB" in sighting.marker.upper():
        what += " It then started a boot loader of its own, with the secret in memory."
    return VerificationRefused(
        "kernel-refused",
        "The firmware refused the kernel",
        what,
        "Use a firmware that halts there: edk2 of stable202408 or later.",
        {"marker": sighting.marker, "also": [sign.value for sign in sighting.also]},
    )


def _halted(sighting: Sighting, outcome: QemuOutcome) -> WatchwordError:
    booted = Sign.BOOTED in sighting.also
    kind = HostError if booted else VerificationRefused
    who = "A kernel had started before." if booted else "No kernel had started: it was firmware."
    reason = next((line for line in sighting.lines if (sighting.marker or "\n") in line), None)
    said = (
        "Its processor does nothing any more, and its console is silent."
        if reason is None
        else f"Its console says “{visible(reason.strip())}”."
    )
    lost = "" if outcome.secret_in_guest else " No secret reached the guest."
    return kind(
        "guest-halted",
        "The machine halted",
        f"{said} {who}{lost}",
        "Firmware halts where a kernel is not the measured one, and a boot loader that never asks"
        " where the secret opens no disk. If nobody altered them, see the last lines of the"
        " console.",
        {"kernel_started": booted, "marker": sighting.marker},
    )


def _hosts_disk(sighting: Sighting) -> VerificationRefused:
    return VerificationRefused(
        "hosts-disk-boots",
        "The disk that the host offered was booted",
        f"The console says “{sighting.marker}”, but the disk is not the owner's: what runs there"
        " can ask for the secrets that are still in memory.",
        "Use a firmware whose boot loader opens no other disk, wipes the secrets, and never asks"
        " for a passphrase.",
        {"marker": sighting.marker},
    )


def _leaked() -> VerificationRefused:
    return VerificationRefused(
        "secret-on-console",
        "A secret stood on the console",
        "The guest wrote it out in clear, and every host reads its guests' consoles.",
        "Find out what in the guest prints it, and replace the secret before a real launch.",
    )
