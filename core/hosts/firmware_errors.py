# SPDX-License-Identifier: Apache-2.0
"""The secure processor's error numbers: what each means, and what is usually behind it.

Sources: AMD SEV API specification, status codes; QEMU target/i386/sev.c, sev_fw_errlist;
AMDESE/sev-tool src/sevapi.h; virtee/sev src/error.rs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class FirmwareCommand(StrEnum):
    """The firmware commands whose failures an owner gets to see."""

    LAUNCH_START = "LAUNCH_START"
    LAUNCH_SECRET = "LAUNCH_SECRET"  # noqa: S105 - a command's name


FIRMWARE_ERRORS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "the platform is in the wrong state for this command",
        2: "the guest is in the wrong state for this command",
        3: "the platform configuration is invalid",
        4: "a buffer is too small",
        5: "the platform is already owned",
        6: "a certificate is invalid",
        7: "the guest's policy does not allow this",
        8: "the guest is not active",
        9: "an address is invalid",
        10: "a signature is bad",
        11: "a measurement or MAC is bad",
        12: "the ASID is already owned",
        13: "the ASID is invalid",
        14: "WBINVD is required first",
        15: "DF_FLUSH is required first",
        16: "the guest handle is invalid",
        17: "the command is invalid",
        18: "the guest is already active",
        19: "a hardware error, which a reset may clear",
        20: "the hardware is not safe to use",
        21: "the feature is not supported",
        22: "a parameter is invalid",
        23: "the firmware has run out of a resource",
        24: "the integrity check of this part failed",
    }
)
"""``fw_error`` numbers 1 to 24 and their meaning."""

_LIKELY_CAUSES: Final[Mapping[tuple[FirmwareCommand, int], str]] = MappingProxyType(
    {
        (FirmwareCommand.LAUNCH_START, 4): (
            "The DH certificate or session file is truncated, or is not base64."
        ),
        (FirmwareCommand.LAUNCH_START, 7): (
            "The policy has reserved bits set, or asks for a newer firmware API than this "
            "host runs."
        ),
        (FirmwareCommand.LAUNCH_START, 10): "The owner's DH certificate is damaged.",
        (FirmwareCommand.LAUNCH_START, 11): (
            "The session was made for another PDH (the host's changes with each reset or "
            "change of owner), or for another policy, or it is damaged."
        ),
        (FirmwareCommand.LAUNCH_SECRET, 2): "The VM is running already, or was never measured.",
        (FirmwareCommand.LAUNCH_SECRET, 9): (
            "The VM's firmware names an address for the secret area that is not guest memory."
        ),
        (FirmwareCommand.LAUNCH_SECRET, 11): (
            "The packet belongs to another VM or another launch: TEK, TIK or measurement are "
            "not this VM's, or the packet was altered on the way."
        ),
        (FirmwareCommand.LAUNCH_SECRET, 22): (
            "The packet's length or the address of the secret area is not a multiple of 16 "
            "bytes, or the packet is longer than the area."
        ),
    }
)

NOT_FROM_FIRMWARE: Final = 0
"""``fw_error`` 0: the kernel refused, and the secure processor was never asked."""


def firmware_error_meaning(number: int) -> str:
    """What a ``fw_error`` number means, as a clause without a full stop; any integer goes."""
    if number == NOT_FROM_FIRMWARE:
        return "the host's kernel refused before the secure processor was asked"
    return FIRMWARE_ERRORS.get(number, "no meaning of this number is known")


def likely_cause(command: FirmwareCommand, number: int) -> str:
    """What is usually behind a failure of this command, as a sentence; empty if not known."""
    return _LIKELY_CAUSES.get((command, number), "")
