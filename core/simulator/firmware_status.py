# SPDX-License-Identifier: Apache-2.0
"""The firmware's status numbers, with QEMU's words for them."""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

from ..errors import HostError


class FirmwareStatus(IntEnum):
    """Status of a command to the secure processor; QEMU shows it as ``fw_error``.

    Source: AMD SEV API specification, status codes; QEMU target/i386/sev.c for the words.
    """

    SUCCESS = 0
    INVALID_PLATFORM_STATE = 1
    INVALID_GUEST_STATE = 2
    INVALID_CONFIG = 3
    INVALID_LENGTH = 4
    ALREADY_OWNED = 5
    INVALID_CERTIFICATE = 6
    POLICY_FAILURE = 7
    INACTIVE = 8
    INVALID_ADDRESS = 9
    BAD_SIGNATURE = 10
    BAD_MEASUREMENT = 11
    ASID_OWNED = 12
    INVALID_ASID = 13
    WBINVD_REQUIRED = 14
    DF_FLUSH_REQUIRED = 15
    INVALID_GUEST = 16
    INVALID_COMMAND = 17
    ACTIVE = 18
    HARDWARE_PLATFORM = 19
    HARDWARE_UNSAFE = 20
    UNSUPPORTED = 21
    INVALID_PARAMETER = 22
    RESOURCE_LIMIT = 23
    SECURE_DATA_INVALID = 24

    @property
    def text(self) -> str:
        """What QEMU prints for this number (empty for success)."""
        return _QEMU_TEXTS[self]


_QEMU_TEXTS = MappingProxyType(
    {
        FirmwareStatus.SUCCESS: "",
        FirmwareStatus.INVALID_PLATFORM_STATE: "Platform state is invalid",
        FirmwareStatus.INVALID_GUEST_STATE: "Guest state is invalid",
        FirmwareStatus.INVALID_CONFIG: "Platform configuration is invalid",
        FirmwareStatus.INVALID_LENGTH: "Buffer too small",
        FirmwareStatus.ALREADY_OWNED: "Platform is already owned",
        FirmwareStatus.INVALID_CERTIFICATE: "Certificate is invalid",
        FirmwareStatus.POLICY_FAILURE: "Policy is not allowed",
        FirmwareStatus.INACTIVE: "Guest is not active",
        FirmwareStatus.INVALID_ADDRESS: "Invalid address",
        FirmwareStatus.BAD_SIGNATURE: "Bad signature",
        FirmwareStatus.BAD_MEASUREMENT: "Bad measurement",
        FirmwareStatus.ASID_OWNED: "ASID is already owned",
        FirmwareStatus.INVALID_ASID: "Invalid ASID",
        FirmwareStatus.WBINVD_REQUIRED: "WBINVD is required",
        FirmwareStatus.DF_FLUSH_REQUIRED: "DF_FLUSH is required",
        FirmwareStatus.INVALID_GUEST: "Guest handle is invalid",
        FirmwareStatus.INVALID_COMMAND: "Invalid command",
        FirmwareStatus.ACTIVE: "Guest is active",
        FirmwareStatus.HARDWARE_PLATFORM: "Hardware error",
        FirmwareStatus.HARDWARE_UNSAFE: "Hardware unsafe",
        FirmwareStatus.UNSUPPORTED: "Feature not supported",
        FirmwareStatus.INVALID_PARAMETER: "Invalid parameter",
        FirmwareStatus.RESOURCE_LIMIT: "Required firmware resource depleted",
        FirmwareStatus.SECURE_DATA_INVALID: "Part-specific integrity check failure",
    }
)


class FirmwareRefusal(HostError):
    """The simulated secure processor refused a command; ``status`` says why.

    QEMU's part (virtual_machine.py) turns it into QEMU's words before anybody outside sees it.
    """

    def __init__(self, command: str, status: FirmwareStatus) -> None:
        super().__init__(
            "simulated-firmware-refusal",
            "The secure processor refused a command",
            f"{command} failed with fw_error={int(status)} '{status.text}'.",
            "See what the owner sent: session, policy, packet and address.",
            {"command": command, "fw_error": int(status)},
        )
        self.command = command
        self.status = status
