# SPDX-License-Identifier: Apache-2.0
"""When a launch's progress must be on disk before the next thing happens: the hooks for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import VerificationRefused, WatchwordError
from ..sev.chain import PlatformCertificates
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement, VerifiedMeasurement
from ..sev.platform import Platform
from ..sev.secret_packet import SecretPacket
from ..sev.session import LaunchMaterial, LaunchSession


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is known of the running guest.

    ``report``  the attestation report (208 bytes) that verified, None for the host's word alone
    ``nonce``   the nonce that it was asked with (16 bytes)
    ``digest``  the launch digest (32 bytes) that it names
    """

    report: bytes | None = None
    nonce: bytes | None = None
    digest: bytes | None = None


class LaunchKeeper(Protocol):
    """Keeps what a launch needs to be taken up again; each call returns once it is on disk.

    If a hook raises, the launch goes no further: nothing is given to a host, and no
    secret is sent, that is not recorded first.
    """

    def gathered(self, certificates: PlatformCertificates) -> None:
        """These certificates will be judged now; nothing has to be on disk yet."""

    def certificates(self, certificates: PlatformCertificates, platform: Platform) -> None:
        """The chain was judged, and a session may be made for this platform."""

    def session_made(self, session: LaunchSession, material: LaunchMaterial) -> None:
        """A session was made; nobody has been given anything of it yet."""

    def measured(self, reported: ReportedMeasurement, version: FirmwareVersion) -> None:
        """A host reported a measurement, not verified yet.

        VerificationRefused ``measurement-replayed`` for the nonce of a measurement that was
        verified for another launch.
        """

    def mismatch(
        self, refusal: VerificationRefused, reported: ReportedMeasurement, version: FirmwareVersion
    ) -> VerificationRefused:
        """The refusal to tell: the given one, or one that knows whose measurement this is."""

    def verified(self, measurement: VerifiedMeasurement) -> None:
        """The measurement is that of an approved launch."""

    def sealed(self, packet: SecretPacket, notes: Sequence[Mapping[str, object]]) -> None:
        """The one packet was sealed, and nobody has seen it yet; notes tell of secrets by name."""

    def handed_over(self) -> None:
        """The host says that it injected the packet."""

    def running(self, confirmation: Confirmation, told: Mapping[str, object]) -> None:
        """The guest runs; ``told`` is what the last step tells of it."""

    def interrupted(self, step_id: str, error: WatchwordError) -> None:
        """A step was refused, failed, or waits for somebody."""


class Unkept:
    """Keeps nothing: for launches that end with the process."""

    def gathered(self, certificates: PlatformCertificates) -> None:
        """Nothing."""

    def certificates(self, certificates: PlatformCertificates, platform: Platform) -> None:
        """Nothing."""

    def session_made(self, session: LaunchSession, material: LaunchMaterial) -> None:
        """Nothing."""

    def measured(self, reported: ReportedMeasurement, version: FirmwareVersion) -> None:
        """Nothing."""

    def mismatch(
        self, refusal: VerificationRefused, reported: ReportedMeasurement, version: FirmwareVersion
    ) -> VerificationRefused:
        """The refusal as it is."""
        del reported, version
        return refusal

    def verified(self, measurement: VerifiedMeasurement) -> None:
        """Nothing."""

    def sealed(self, packet: SecretPacket, notes: Sequence[Mapping[str, object]]) -> None:
        """Nothing."""

    def handed_over(self) -> None:
        """Nothing."""

    def running(self, confirmation: Confirmation, told: Mapping[str, object]) -> None:
        """Nothing."""

    def interrupted(self, step_id: str, error: WatchwordError) -> None:
        """Nothing."""


UNKEPT: Final = Unkept()
"""The keeper of launches that nobody records."""
