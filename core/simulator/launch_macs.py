# SPDX-License-Identifier: Apache-2.0
"""The two MACs of a launch: over what was measured, and over a secret packet.

Source: AMD SEV API specification, LAUNCH_MEASURE and LAUNCH_SECRET. Both changed with API
0.17: the version became part of the measurement, and the measurement of the packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..secret import Secret
from .key_derivation import mac

PACKET_HEADER = struct.Struct("<I16s32s")
"""Flags, initial counter, MAC: 52 bytes."""

_BINDING_API = (0, 17)


@dataclass(frozen=True, slots=True)
class FirmwareVersion:
    """API and build of the secure processor's firmware (each 0 to 255)."""

    api_major: int = 1
    api_minor: int = 55
    build: int = 24

    @property
    def api(self) -> tuple[int, int]:
        """Major and minor, in the order in which they compare."""
        return (self.api_major, self.api_minor)

    @property
    def binds_secrets(self) -> bool:
        """Whether packets are bound to a measurement, and measurements to a version."""
        return self.api >= _BINDING_API


def measurement_mac(
    tik: Secret, version: FirmwareVersion, policy: int, digest: bytes, nonce: bytes
) -> bytes:
    """The launch measurement (32 bytes) over a launch digest (32) with a nonce (16)."""
    message = struct.pack("<I", policy) + digest + nonce
    if version.binds_secrets:
        message = bytes((4, version.api_major, version.api_minor, version.build)) + message
    return mac(tik, message)


def packet_mac(
    tik: Secret, version: FirmwareVersion, header: bytes, data: bytes, measurement: bytes
) -> bytes:
    """The MAC (32 bytes) that the header (52 bytes) of a packet should carry."""
    flags, counter, _ = PACKET_HEADER.unpack(header)
    message = struct.pack("<BI16sII", 1, flags, counter, len(data), len(data)) + data
    return mac(tik, message + measurement if version.binds_secrets else message)
