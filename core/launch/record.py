# SPDX-License-Identifier: Apache-2.0
"""What is recorded of one launch: the inputs from which everything is verified again.

    {"format": 1, "record": {…}, "seal": "HMAC-SHA-256 in hex over the record's JSON"}

There is no secret in it, and no verdict that anything relies on. Whoever can write the
records file but can't open the vault can't make a record of his own: see record_seal.py.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter
from pydantic import ValidationError as Misfit

from ..bounded_json import parse_json
from ..errors import BadInput
from ..sev.certificates import SevCertificate
from ..sev.chain import PlatformCertificates
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from ..sev.session import LaunchBlob, LaunchMaterial
from .engine import Launch
from .sev_steps import LAUNCH_STEPS
from .told_launch import STRICT, ToldLaunch

FORMAT: Final = 1
LARGEST_DOCUMENT: Final = 8 << 20
"""Bytes of one launch's document."""


class LaunchState(StrEnum):
    """How far a launch came; for lists, and for what may be done with it."""

    PREPARING = "preparing"
    """No launch blob was made yet."""
    PREPARED = "prepared"
    """The keys are in the vault; a VM can be started with the blob."""
    VERIFIED = "verified"
    """The measurement matched; nothing was sent."""
    SEALED = "sealed"
    """The one packet is stored, and may be sent; the keys are gone."""
    HANDED_OVER = "handed-over"
    """The host says that it took the packet; whether the guest runs is not confirmed."""
    RUNNING = "running"
    STOPPED = "stopped"
    REFUSED = "refused"
    ABANDONED = "abandoned"


OVER: Final = frozenset({LaunchState.RUNNING, LaunchState.STOPPED, LaunchState.ABANDONED})
"""Nothing is left to be done; a launch in any other state is open."""


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - what pydantic takes for a misfit
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise ValueError("not base64") from None


Bytes = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str),
]
"""Bytes that are base64 in the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOrder:
    """What the owner ordered; see LaunchOrder. ``profile`` is the TOML text as it was."""

    __pydantic_config__ = STRICT
    profile: str
    profile_sha256: str
    ask_host: bool
    certificate_files: tuple[tuple[str, Bytes], ...]
    trusted_roots: tuple[Bytes, ...]
    platform_waiver: str | None
    policy_waiver: str | None
    require_pinned: bool
    firmware_waiver: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What the host is given: GODH (2084 bytes) and launch blob (128)."""

    __pydantic_config__ = STRICT
    godh: Bytes
    blob: Bytes

    def material(self) -> LaunchMaterial:
        """As a launch has it; BadInput for what can't be read."""
        return LaunchMaterial(SevCertificate.parse(self.godh, "GODH"), LaunchBlob.parse(self.blob))


@dataclass(frozen=True, slots=True)
class RecordedMeasurement:
    """What a host reported: measure and nonce (48 bytes), and its secure processor's version."""

    __pydantic_config__ = STRICT
    reported: Bytes
    api_major: int
    api_minor: int
    build: int

    def value(self) -> ReportedMeasurement:
        """The measurement as reported; BadInput for another size than 48 bytes."""
        return ReportedMeasurement.parse(self.reported)

    def version(self) -> FirmwareVersion:
        """The version that the host named with it."""
        return FirmwareVersion(self.api_major, self.api_minor, self.build)


@dataclass(frozen=True, slots=True)
class RecordedPacket:
    """The one packet, whose bytes are in a table of their own; ``secrets`` tell names alone."""

    __pydantic_config__ = STRICT
    sha256: str
    secrets: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RecordedReport:
    """An attestation report (208 bytes) and the nonce (16 bytes) that it was asked with."""

    __pydantic_config__ = STRICT
    report: Bytes
    nonce: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """One launch as it is recorded.

    ``vault_id``  which vault holds its keys (hex)
    ``host``      URL, empty where none is known yet
    ``waits_for``         who has to do something first, in words; empty if nobody
    ``accepted_platform`` fingerprint of the CEK that the owner looked at and accepts
    ``certificates``      by role, with the chip id under ``chip_id``; judged again each time
    ``launch_digests``    the approved ones as they were (32 bytes each)
    ``matched_digest``    the one that the measurement was of, once it was verified
    ``handed_over``       when the host said first that it took the packet
    ``unconfirmed``       when it was first told that nobody knows what became of the packet
    ``running``           when the guest was first let run
    ``abandoned``         when it was given up, for good
    ``told``              the Launch value, for people
    """

    __pydantic_config__ = STRICT
    id: str
    guest: str
    technology: str
    simulated: bool
    state: LaunchState
    host: str
    waits_for: str
    created: str
    changed: str
    vault_id: str
    order: RecordedOrder
    accepted_platform: str | None = None
    certificates: dict[str, Bytes] | None = None
    session: RecordedSession | None = None
    launch_digests: tuple[Bytes, ...] = ()
    measured: RecordedMeasurement | None = None
    matched_digest: Bytes | None = None
    packet: RecordedPacket | None = None
    handed_over: str | None = None
    unconfirmed: str | None = None
    running: str | None = None
    abandoned: str | None = None
    report: RecordedReport | None = None
    told: ToldLaunch = field(default_factory=ToldLaunch)

    def platform_certificates(self) -> PlatformCertificates | None:
        """The certificates as they were gathered, unjudged."""
        return None if self.certificates is None else PlatformCertificates(**self.certificates)

    def launch(self) -> Launch:
        """The launch as it was last told, for people; no verdict in it is to be relied on."""
        return self.told.launch(self.id, self.technology, LAUNCH_STEPS, simulated=self.simulated)

    @property
    def is_open(self) -> bool:
        """Whether something is left to be done."""
        return self.state not in OVER

    @property
    def is_abandoned(self) -> bool:
        """Whether it was given up: nothing is sent for it any more, whatever came after."""
        return self.abandoned is not None or self.state is LaunchState.ABANDONED

    @property
    def keys_are_gone(self) -> bool:
        """Whether nothing can be sealed any more: the packet is stored, or the guest ran."""
        return self.packet is not None or self.running is not None


def recorded_certificates(certificates: PlatformCertificates) -> dict[str, bytes]:
    """Certificates and chip id by the names of their fields; absent ones are left out."""
    named = {name: getattr(certificates, name) for name in PlatformCertificates.__slots__}
    return {name: data for name, data in named.items() if data is not None}


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record as it was read, with what its seal was made over."""

    record: LaunchRecord
    body: bytes
    seal: str


@cache
def _adapter() -> TypeAdapter[LaunchRecord]:
    return TypeAdapter(LaunchRecord)


def record_body(record: LaunchRecord) -> bytes:
    """The record's own JSON: sorted keys, no blanks."""
    return _dumps(_adapter().dump_python(record, mode="json"))


def build_document(body: bytes, seal: str) -> bytes:
    """The document of a record's JSON and its seal; BadInput ``launch-too-large``."""
    document = b'{"format":%d,"record":%s,"seal":"%s"}' % (FORMAT, body, seal.encode())
    if len(document) > LARGEST_DOCUMENT:
        raise BadInput(
            "launch-too-large",
            "the launch",
            f"What is to be recorded of it has {len(document)} bytes; {LARGEST_DOCUMENT} are the"
            " most.",
            "Give fewer or smaller certificate files.",
        )
    return document


def parse_document(data: bytes, launch_id: str) -> SealedRecord:
    """The record in a document that somebody may have edited.

    Raises BadInput ``launch-record-damaged``, or ``launch-record-newer`` for a later format.
    """
    try:
        value = parse_json(data.decode(), "the record")
    except (BadInput, UnicodeDecodeError):
        raise damaged(launch_id, "it is no JSON") from None
    if not isinstance(value, dict):
        raise damaged(launch_id, "it is no object")
    found = value.get("format")
    if type(found) is int and found > FORMAT:
        raise _newer(launch_id, found)
    if value.keys() != {"format", "record", "seal"} or type(found) is not int or found != FORMAT:
        raise damaged(launch_id, "its parts are not those of a record")
    seal, inner = value["seal"], value["record"]
    if not isinstance(seal, str) or not isinstance(inner, dict):
        raise damaged(launch_id, "its parts are not those of a record")
    body = _dumps(inner)
    return SealedRecord(_validated(body, launch_id), body, seal)


def _validated(body: bytes, launch_id: str) -> LaunchRecord:
    try:
        record = _adapter().validate_json(body)
    except Misfit as fault:
        place = fault.errors(include_url=False, include_input=False)[0]["loc"][:4]
        where = ascii(".".join(map(str, place)))[1:-1][:60]
        raise damaged(launch_id, f"it can't be read at “{where}”") from None
    roles = set(PlatformCertificates.__slots__)
    if record.certificates is not None and not roles.issuperset(record.certificates):
        raise damaged(launch_id, "it has certificates of no known role")
    if record.id != launch_id:
        raise damaged(launch_id, "it is another launch's")
    return record


def _dumps(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Half a surrogate pair, from a file's name perhaps, is in no JSON that can be read back.
    return text.encode("utf-8", "replace")


def damaged(launch_id: str, why: str) -> BadInput:
    """BadInput ``launch-record-damaged``."""
    return BadInput(
        "launch-record-damaged",
        f"the record of launch {launch_id}",
        f"It is not as Watchword writes it: {why}.",
        "Put a backup of the records in place, or start a new launch.",
        {"launch": launch_id},
    )


def _newer(launch_id: str, found: int) -> BadInput:
    return BadInput(
        "launch-record-newer",
        f"the record of launch {launch_id}",
        f"A newer version of Watchword wrote it (format {found}).",
        "Use that version. This one would lose what it doesn't know.",
        {"launch": launch_id, "format": found},
    )
