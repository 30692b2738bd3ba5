# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a real QEMU, in words for people."""

from __future__ import annotations

from ..errors import BadInput, HostError, UsageError

PACKAGE = "qemu-system-x86"
_MOST_LINES = 12


def qemu_missing(program: str) -> UsageError:
    """There is no QEMU on this machine."""
    return UsageError(
        "program-missing",
        f"{program} is not installed",
        "A rehearsal with a real guest needs QEMU on this machine; no special processor.",
        f"Install it: `apt install {PACKAGE}` on Debian and Ubuntu (the package {PACKAGE}).",
        {"program": program, "package": PACKAGE},
    )


def linux_needed() -> UsageError:
    """The guest's memory is a file without a name, which only Linux has."""
    return UsageError(
        "linux-needed",
        "This needs Linux",
        "A rehearsal with a real guest shares memory with QEMU in a way that only Linux offers.",
        "Rehearse on a Linux machine; without --qemu it goes anywhere.",
    )


def qemu_not_started(printed: str) -> HostError:
    """QEMU ended, or said nothing, before its monitor was there."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()][:_MOST_LINES]
    said = f"It said: {lines[0]}" if lines else "It said nothing."
    return HostError(
        "qemu-not-started",
        "QEMU did not start",
        said,
        "See what it was started with: firmware, kernel, disk (its format, and whether another"
        " program has it open) and memory.",
        {"stderr": lines},
    )


def qemu_gone() -> HostError:
    """QEMU ended in the middle of a conversation."""
    return HostError(
        "qemu-ended",
        "QEMU has ended",
        "Its monitor closed the connection.",
        "See what the guest's console says; the guest may have shut down or reset.",
    )


def kernel_not_served(reason: str) -> BadInput:
    """What QEMU would hand to the firmware can't be the owner's kernel with an edited header."""
    return BadInput(
        "kernel-not-bootable",
        "the kernel",
        f"QEMU does not hand it to the firmware as a Linux kernel: {reason}.",
        "Name a bzImage, such as /boot/vmlinuz of the guest.",
    )
