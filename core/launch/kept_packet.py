# SPDX-License-Identifier: Apache-2.0
"""What the vault keeps of a launch's one packet from its sealing until the launch is over.

    reported measurement (48 bytes), header (52), ciphertext's size (4, little-endian),
    ciphertext, notes on the secrets (JSON)

So the vault alone can tell that a packet was sealed and which one, whatever was done to
the records, and a process that died before they had it loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ..bounded_json import parse_json
from ..errors import BadInput
from ..sev.measurement import ReportedMeasurement
from ..sev.secret_packet import HEADER_SIZE, Packet, StoredPacket
from ..vault.launch_keys import record_changed
from .record import LaunchRecord, RecordedPacket

_HEAD: Final = struct.Struct(f"<48s{HEADER_SIZE}sI")


@dataclass(frozen=True, slots=True)
class KeptPacket:
    """The packet, the measurement as it was reported that it was sealed for, and notes by name."""

    reported: bytes
    header: bytes
    ciphertext: bytes
    secrets: tuple[dict[str, object], ...]

    @classmethod
    def of(
        cls, packet: Packet, reported: ReportedMeasurement, notes: Sequence[Mapping[str, object]]
    ) -> Self:
        """What is to be kept of a packet that was just sealed."""
        secrets = tuple(dict(note) for note in notes)
        return cls(reported.build(), packet.header, packet.ciphertext, secrets)

    def build(self) -> bytes:
        """The value of the vault's entry."""
        head = _HEAD.pack(self.reported, self.header, len(self.ciphertext))
        return head + self.ciphertext + json.dumps(self.secrets).encode()

    @classmethod
    def parse(cls, data: bytes, launch_id: str) -> Self:
        """What :meth:`build` made; VerificationRefused ``launch-record-changed`` for all else."""
        try:
            reported, header, size = _HEAD.unpack_from(data)
            notes = parse_json(data[_HEAD.size + size :].decode(), "the kept packet")
        except (struct.error, UnicodeDecodeError, BadInput):
            raise record_changed(launch_id) from None
        if not isinstance(notes, list) or not all(isinstance(note, dict) for note in notes):
            raise record_changed(launch_id)
        ciphertext = data[_HEAD.size : _HEAD.size + size]
        return cls(reported, header, ciphertext, tuple(notes))

    @property
    def sha256(self) -> str:
        """The packet's name in records (hex)."""
        return hashlib.sha256(self.header + self.ciphertext).hexdigest()

    def packet(self) -> StoredPacket:
        """The packet as it was sealed. Raises BadInput ``bad-packet``."""
        # No other bytes are taken for it: the vault vouches for these.
        return StoredPacket.load(self.header, self.ciphertext, self.sha256)

    def recorded(self) -> RecordedPacket:
        """What the launch's record says of it."""
        return RecordedPacket(self.sha256, self.secrets)

    def is_of(self, record: LaunchRecord) -> bool:
        """Whether it was sealed for the measurement that this record has as verified."""
        measured = record.measured
        return (
            record.session is not None
            and measured is not None
            and measured.reported == self.reported
            and record.matched_digest is not None
        )
