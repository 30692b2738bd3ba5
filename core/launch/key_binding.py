# SPDX-License-Identifier: Apache-2.0
"""What a launch's keys were made for, in 32 bytes that lie beside them in the vault."""

from __future__ import annotations

import hashlib
import struct

from ..sev.session import LaunchMaterial
from .record import LaunchRecord


def key_binding(
    record: LaunchRecord, policy: int, pdh_sha256: str, material: LaunchMaterial
) -> bytes:
    """SHA-256 over technology, profile, policy, platform, GODH and launch blob.

    ``pdh_sha256`` (hex) is the platform's that was judged, not the record's word for it.
    Each part is preceded by its length in 8 bytes, little-endian.
    """
    parts = (
        b"watchword launch keys",
        record.id.encode(),
        record.technology.encode(),
        record.order.profile.encode(),
        struct.pack("<I", policy),
        pdh_sha256.encode(),
        material.godh.build(),
        material.blob.build(),
    )
    return hashlib.sha256(b"".join(struct.pack("<Q", len(p)) + p for p in parts)).digest()
