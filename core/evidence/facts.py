# SPDX-License-Identifier: Apache-2.0
"""What one launch's document is made from: plain values, none of them secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..sev.chain import ChainReport, PlatformCertificates
from ..sev.digest import DigestComponent, VcpuSetup
from ..sev.firmware_version import FirmwareVersion
from ..sev.kernel_hashes import KernelHashes
from ..sev.measurement import ReportedMeasurement


class LaunchEnd(StrEnum):
    """How a launch ended. What may be running was let run with what the owner sent."""

    RUNNING = "running"
    NOT_CONFIRMED = "handed-over-not-confirmed"
    REFUSED = "refused"
    ABANDONED = "abandoned"


class PlatformKind(StrEnum):
    """What the launch knew of its platform; the first three as ``Platform.name`` has them."""

    VERIFIED = "verified"
    FOREIGN_ROOT = "foreign-root"
    WAIVED = "waived"
    REFUSED = "refused"
    NOT_CHECKED = "not-checked-here"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """The platform as the launch judged it.

    ``certificates``  all that were judged, with ASK and ARK; None where there were none
    ``report``        the verdicts on them; None without certificates
    ``oca_pin``       fingerprint (hex) that the OCA had to have
    ``cek_pins``      fingerprints (hex) of which the CEK had to have one
    """

    kind: PlatformKind
    certificates: PlatformCertificates | None = None
    report: ChainReport | None = None
    oca_pin: str | None = None
    cek_pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedContents:
    """What a launch digest (32 bytes) is made of, as far as the owner knew.

    ``firmware_sha256``  32 bytes; None where only the launch digest itself was known
    ``firmware_size``    bytes, None where only the hash was known
    ``cmdline``          the text, None where only its hash was known, or there was none
    """

    launch_digest: bytes
    firmware_sha256: bytes | None = None
    firmware_size: int | None = None
    kernel_hashes: KernelHashes | None = None
    cmdline: str | None = None
    vcpus: VcpuSetup | None = None
    components: tuple[DigestComponent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedSecret:
    """A secret of the packet by name: ``entry`` is the vault's name for it, ``size`` its bytes."""

    name: str
    guid: str
    entry: str | None
    size: int
    test: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The launch blob: its nonce (16 bytes), SHA-256 (hex) of GODH and of the 128 bytes."""

    nonce: bytes
    godh_sha256: str
    blob_sha256: str


class HandedOver(StrEnum):
    """Whether a host was given the sealed packet, as far as its owner knows."""

    NO = "no"
    MAYBE = "may-have-been"
    """It was stored to be sent; nobody knows whether it was."""
    YES = "host-says"
    """The host says that it injected it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketFacts:
    """The one sealed packet: SHA-256 (hex) of header and ciphertext; whether the host got it."""

    sha256: str
    handed_over: HandedOver


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReport:
    """An attestation report (208 bytes) of the running guest, and the nonce (16) it answers."""

    data: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFacts:
    """What a launch was refused for, as the error said it."""

    code: str
    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFacts:
    """All that one launch's document says; ``statement`` puts it into its form.

    ``technology``   ``sev`` or ``sev-es``
    ``begun``, ``ended``  with their time zones
    ``program``      name and version of the program, as ``watchword 0.1.0``
    ``profile_sha256``  SHA-256 (hex) of the profile's file as it was
    ``minimum``      least firmware that the owner asked for
    ``approved``     the approved launch digests (32 bytes each)
    ``reported``     what the host reported
    ``matched``      whether that was the measurement of an approved digest
    ``contents``     of the digest that matched, or of the only approved one
    ``waivers``      the owner's typed reasons by step
    ``warnings``     what the owner was told
    """

    launch_id: str
    technology: str
    end: LaunchEnd
    begun: datetime
    ended: datetime
    program: str
    policy: int
    platform: PlatformFacts
    simulated: bool = False
    error: RefusalFacts | None = None
    guest: str | None = None
    profile_name: str | None = None
    profile_sha256: str | None = None
    host: str | None = None
    minimum: FirmwareVersion | None = None
    version: FirmwareVersion | None = None
    approved: tuple[bytes, ...] = ()
    contents: LoadedContents | None = None
    reported: ReportedMeasurement | None = None
    matched: bool = False
    session: SessionFacts | None = None
    packet: PacketFacts | None = None
    secrets: tuple[ReleasedSecret, ...] = ()
    report: SignedReport | None = None
    waivers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
