# SPDX-License-Identifier: Apache-2.0
"""The form of a document: an in-toto Statement about one SEV launch, read strictly.

Everything must be there, nothing unknown may be, and every text, list and number is
bounded: what is read here may come from anybody. Texts that name the owner's or the
host's affairs may stand as a salted commitment instead (see ``redaction``).
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..base64_text import decode_base64
from ..errors import BadInput
from ..sev.chain import PlatformCertificates, Role
from ..sev.cpu_models import FAMILY_MAX, MODEL_MAX, STEPPING_MAX, CpuSignature
from ..sev.digest import VCPUS_MAX, VcpuSetup
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_version import FirmwareVersion
from ..sev.kernel_hashes import CMDLINE_LIMIT, KernelHashes
from ..sev.secret_table import KVM_LIMIT, MOST_ENTRIES
from ..sev.vmsa import VmsaGeneration
from .facts import HandedOver, LaunchEnd, PlatformKind

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:watchword:sev-launch:1"
MOST_DIGESTS: Final = 64
"""Approved launch digests that a document lists; it says how many there were in all."""
MOST_WARNINGS: Final = 32
LONGEST_TEXT: Final = 4096
_REMEDY: Final = (
    "Get the document again from whoever made it; nothing in it counts if it was altered."
)

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Features = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{1,16}$")]
Moment = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
]
Guid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
CommandLine = Annotated[str, StringConstraints(max_length=CMDLINE_LIMIT)]
Encoded = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=4096)]
Byte = Annotated[int, Field(ge=0, le=255)]
Number32 = Annotated[int, Field(ge=0, le=0xFFFFFFFF)]


class Section(BaseModel):
    """What all parts of a document have in common: nothing unknown, nothing left out."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True, hide_input_in_errors=True
    )


class Commitment(Section):
    """A text that was taken out: SHA-256 (hex) of a salt of 32 bytes and its UTF-8 bytes."""

    commitment: Digest


Hideable = Text | Commitment
HideableLine = CommandLine | Commitment


class Signer(Section):
    """Whose key signed: the 32 bytes of the public key, in hex."""

    algorithm: Literal["ed25519"]
    public_key: Digest


class LaunchSection(Section):
    """Which launch it was, and when."""

    id: Hideable
    begun: Moment
    ended: Moment


class ProfileSection(Section):
    """The owner's profile: its name and SHA-256 of its file; either may not be known."""

    name: Hideable | None
    sha256: Digest | Commitment | None


class ErrorSection(Section):
    """What the launch was refused for."""

    code: Code
    title: Text
    message: Hideable


class LinkSection(Section):
    """The verdict on one signature of the chain, as the launch had it."""

    certificate: Literal["ark", "ask", "cek", "oca", "pek", "pdh"]
    signed_by: Literal["ark", "ask", "cek", "oca", "pek"]
    verdict: Literal["ok", "failed", "missing", "skipped"]
    reason: Text


class CertificatesSection(Section):
    """The certificates in base64; ``cek_from_host`` is the unsigned one, if that is another."""

    ark: Encoded | None
    ask: Encoded | None
    cek: Encoded | None
    oca: Encoded | None
    pek: Encoded | None
    pdh: Encoded | None
    cek_from_host: Encoded | None

    def load(self) -> PlatformCertificates:
        """The certificates as bytes; BadInput ``bad-evidence`` for text that is no base64."""
        loaded = {
            name: None if text is None else decode(text, f"platform.certificates.{name}")
            for name, text in ((name, getattr(self, name)) for name in CERTIFICATE_NAMES)
        }
        return PlatformCertificates(**loaded)


CERTIFICATE_NAMES: Final = (*(role.value for role in Role), "cek_from_host")


class PlatformSection(Section):
    """The platform, the verdicts on its chain, and what these were made from."""

    kind: PlatformKind
    root: Literal["amd", "not-amd", "unknown"] | None
    generation: Annotated[str, StringConstraints(max_length=32)] | None
    links: Annotated[tuple[LinkSection, ...], Field(max_length=16)]
    pdh_sha256: Digest | None
    cek_sha256: Digest | None
    oca_sha256: Digest | None
    chip_id: Hideable | None
    oca_pin: Digest | None
    cek_pins: Annotated[tuple[Digest, ...], Field(max_length=1000)]
    certificates: CertificatesSection | None


class PolicySection(Section):
    """The policy: the number that the secure processor knows, and its names."""

    value: Number32
    names: Text


class VersionSection(Section):
    """API and build of the secure processor's firmware."""

    api_major: Byte
    api_minor: Byte
    build: Byte

    def load(self) -> FirmwareVersion:
        """The version as a value."""
        return FirmwareVersion(self.api_major, self.api_minor, self.build)


class FirmwareSection(Section):
    """The firmware image; no size where only its hash was known."""

    sha256: Digest
    size: Annotated[int, Field(ge=0, le=FIRMWARE_LIMIT)] | None


class KernelSection(Section):
    """The hashes that QEMU puts into measured memory; the command line's is with its NUL."""

    kernel: Digest
    initrd: Digest
    cmdline: Digest

    def load(self) -> KernelHashes:
        """The hashes as a value."""
        return KernelHashes(*(bytes.fromhex(h) for h in (self.kernel, self.initrd, self.cmdline)))


class VcpuSection(Section):
    """The vCPUs of a SEV-ES guest; ``sev_features`` as hex: JSON has no numbers of 64 bits."""

    count: Annotated[int, Field(ge=1, le=VCPUS_MAX)]
    family: Annotated[int, Field(ge=0, le=FAMILY_MAX)]
    model: Annotated[int, Field(ge=0, le=MODEL_MAX)]
    stepping: Annotated[int, Field(ge=0, le=STEPPING_MAX)]
    vmsa: VmsaGeneration
    sev_features: Features

    def load(self) -> VcpuSetup:
        """The vCPUs as a value."""
        cpu = CpuSignature(self.family, self.model, self.stepping)
        return VcpuSetup(self.count, cpu, self.vmsa, int(self.sev_features, 16))


class ComponentSection(Section):
    """One thing that went into the launch digest."""

    name: Annotated[str, StringConstraints(max_length=64)]
    description: Text
    size: Annotated[int, Field(ge=0, le=FIRMWARE_LIMIT)] | None
    count: Annotated[int, Field(ge=1, le=VCPUS_MAX)]
    sha256: Digest


class ContentsSection(Section):
    """What the launch digest is made of: the one that matched, else the only approved one."""

    launch_digest: Digest
    firmware: FirmwareSection | None
    kernel_hashes: KernelSection | None
    cmdline: HideableLine | None
    vcpus: VcpuSection | None
    components: Annotated[tuple[ComponentSection, ...], Field(max_length=8)]


class ApprovedSection(Section):
    """The launch digests that the owner approved: the first ones, and how many in all."""

    launch_digests: Annotated[tuple[Digest, ...], Field(max_length=MOST_DIGESTS)]
    count: Number32


class MeasurementSection(Section):
    """What the host reported: MAC and nonce; ``matched`` if it was of an approved digest."""

    value: Digest
    nonce: Nonce
    matched: bool


class SessionSection(Section):
    """The launch blob and the owner's one-time key, by hash."""

    nonce: Nonce
    godh_sha256: Digest
    blob_sha256: Digest


class SecretSection(Section):
    """A secret of the packet: what it is called, never what it is."""

    name: Hideable
    guid: Guid
    entry: Hideable | None
    size: Annotated[int, Field(ge=0, le=KVM_LIMIT)]
    test: bool


class PacketSection(Section):
    """The sealed packet by hash, and whether the host was given it."""

    sha256: Digest
    handed_over: HandedOver


class ReportSection(Section):
    """The attestation report (208 bytes in base64) and the nonce that it was asked with."""

    data: Encoded
    nonce: Nonce

    def load(self) -> bytes:
        """The report's bytes; BadInput ``bad-evidence`` for text that is no base64."""
        return decode(self.data, "report.data")


class RedactionSection(Section):
    """What was taken out of which document; ``notes`` say what that costs whoever checks it."""

    original_sha256: Digest
    fields: Annotated[tuple[Text, ...], Field(max_length=512)]
    notes: Annotated[tuple[Text, ...], Field(max_length=16)]


class Predicate(Section):
    """All that is said of the launch."""

    program: Annotated[str, StringConstraints(max_length=64)]
    signer: Signer
    simulated: bool
    technology: Literal["sev", "sev-es"]
    outcome: LaunchEnd
    error: ErrorSection | None
    launch: LaunchSection
    guest: Hideable | None
    profile: ProfileSection
    host: Hideable | None
    platform: PlatformSection
    policy: PolicySection
    minimum: VersionSection | None
    processor: VersionSection | None
    approved: ApprovedSection
    contents: ContentsSection | None
    measurement: MeasurementSection | None
    session: SessionSection | None
    packet: PacketSection | None
    secrets: Annotated[tuple[SecretSection, ...], Field(max_length=MOST_ENTRIES)]
    report: ReportSection | None
    waivers: Annotated[dict[Code, Hideable], Field(max_length=16)]
    warnings: Annotated[tuple[Hideable, ...], Field(max_length=MOST_WARNINGS)]
    redaction: RedactionSection | None

    @property
    def matched(self) -> bool:
        """Whether the owner says that the measurement was of an approved launch digest."""
        return self.measurement is not None and self.measurement.matched


class SubjectDigest(Section):
    """The hash that names a subject."""

    sha256: Digest


class Subject(Section):
    """What the statement is about, as in-toto has it."""

    name: Annotated[str, StringConstraints(max_length=64)]
    digest: SubjectDigest


class Statement(Section):
    """An in-toto Statement whose predicate is a launch."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=MOST_DIGESTS + 1)]
    predicate_type: Annotated[Literal["urn:watchword:sev-launch:1"], Field(alias="predicateType")]
    predicate: Predicate

    def to_json(self) -> dict[str, Any]:
        """The statement as JSON values."""
        return self.model_dump(mode="json", by_alias=True)


def read_statement(payload: bytes, field: str) -> Statement:
    """The statement in a payload (UTF-8 JSON, canonical); BadInput ``bad-evidence``."""
    try:
        return Statement.model_validate_json(payload)
    except ValidationError as error:
        raise misfit(field, error) from None


def misfit(field: str, error: ValidationError) -> BadInput:
    """The first part of a document that is not what belongs there; its content is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(ascii(str(part)[:40])[1:-1] for part in first["loc"][:8])
    return bad_evidence(field, f"“{place}” is not what belongs there, or is missing.")


def bad_evidence(field: str, problem: str) -> BadInput:
    """The error for what is no document of this form."""
    return BadInput("bad-evidence", field, problem, _REMEDY)


def decode(text: str, field: str) -> bytes:
    """The bytes of base64 text in its one and only spelling; BadInput ``bad-evidence``."""
    try:
        data = decode_base64(text, field, len(text))
    except BadInput as error:
        raise bad_evidence(field, error.message) from None
    if base64.b64encode(data).decode() != text:
        raise bad_evidence(field, "It is not base64 as it is written.")
    return data


def shown(value: str | Commitment) -> str:
    """A text as it may be told; a commitment by the beginning of its hash."""
    if isinstance(value, Commitment):
        return f"redacted (commitment {value.commitment[:16]}…)"
    return value
