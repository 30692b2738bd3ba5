# SPDX-License-Identifier: Apache-2.0
"""The launch measurement: the secure processor's MAC over what was loaded, and its verdict.

Source: AMD SEV API specification, LAUNCH_MEASURE; QEMU ``query-sev-launch-measure``.
"""

from __future__ import annotations

import base64
import hmac
import struct
from collections.abc import Collection, Sequence

from ..base64_text import decode_base64
from ..errors import BadInput, UsageError, VerificationRefused
from ..frozen import dataclass
from ..secret import Secret
from .advisories import Advisories
from .firmware_version import FirmwareVersion
from .mac import hmac_sha256
from .policy import OLDEST_SAFE_API, Policy
from .proof import Mint, Proof

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import ClassVar, Final

    # Elliptic curves and ciphers come with it, and a plain comparison needs neither.
    from .session import LaunchSession

_MINT: Final = Mint("watchword.core.sev.measurement")
DIGEST_SIZE: Final = 32
_MEASURE_CONTEXT: Final = b"\x04"


@dataclass(frozen=True, slots=True)
class ReportedMeasurement:
    """What a host reports: the MAC (32 bytes) and the secure processor's nonce (16 bytes)."""

    measurement: bytes
    nonce: bytes

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s16s")

    @classmethod
    def parse(cls, data: bytes, field: str = "launch measurement") -> ReportedMeasurement:
        """Read exactly 48 bytes; BadInput for any other size."""
        if len(data) != cls._LAYOUT.size:
            raise BadInput(
                "bad-measurement",
                field,
                f"It has {len(data)} bytes; a reported launch measurement has 48.",
                "Take `data` of query-sev-launch-measure, or sev-measurement of domlaunchsecinfo.",
            )
        return cls(*cls._LAYOUT.unpack(data))

    @classmethod
    def from_base64(cls, text: str, field: str = "launch measurement") -> ReportedMeasurement:
        """Read the 64 characters that QEMU and libvirt print; BadInput if they are not that."""
        digits = "".join(text.split())
        if len(digits) == 64 and set(digits) <= set("0123456789abcdef"):
            # 64 hex digits are base64 too, of something that was never measured.
            raise BadInput(
                "measurement-in-hex",
                field,
                "These are 64 hex digits: the MAC alone, without its nonce.",
                "Give `data` of query-sev-launch-measure as it is, in base64.",
            )
        return cls.parse(decode_base64(text, field, cls._LAYOUT.size), field)

    def build(self) -> bytes:
        """The 48 bytes."""
        return self._LAYOUT.pack(self.measurement, self.nonce)

    def as_base64(self) -> str:
        """The 64 characters that QEMU and libvirt print."""
        return base64.b64encode(self.build()).decode()


def compute_measurement(
    tik: Secret, version: FirmwareVersion, policy: int, digest: bytes, nonce: bytes
) -> bytes:
    """The 32-byte measurement that firmware of API 0.17 or newer makes."""
    head = bytes((version.api_major, version.api_minor, version.build))
    with tik.reveal() as key:
        return hmac_sha256(key, _MEASURE_CONTEXT, head, struct.pack("<I", policy), digest, nonce)


def compute_measurement_before_api_0_17(
    tik: Secret, policy: int, digest: bytes, nonce: bytes
) -> bytes:
    """The 32-byte measurement of firmware before API 0.17, which names no version.

    For diagnosis and known answers only: nothing is ever released on it, because
    a packet for such firmware fits any VM that was started from the same blob.
    """
    with tik.reveal() as key:
        return hmac_sha256(key, struct.pack("<I", policy), digest, nonce)


@dataclass(frozen=True, slots=True)
class FirmwareRequirements:
    """What the owner asks of the secure processor's firmware.

    ``minimum_api``    API major and minor; below 0.17 never
    ``minimum_build``  least build, meaningful for that same API only; 0 asks for none
    ``advisories``     known-bad builds are refused
    """

    minimum_api: tuple[int, int]
    minimum_build: int
    advisories: Advisories

    def check(self, version: FirmwareVersion, policy_minimum: tuple[int, int]) -> None:
        """Raise VerificationRefused unless the version is good enough."""
        # A build counts only with the API that it was named for.
        *least, build = max(
            (*self.minimum_api, self.minimum_build), (*policy_minimum, 0), (*OLDEST_SAFE_API, 0)
        )
        if (*version.api, version.build) < (*least, build):
            wanted = f"{least[0]}.{least[1]}" + (f" build {build}" if build else "")
            raise VerificationRefused(
                "firmware-too-old",
                "The secure processor's firmware is too old",
                f"It runs API {version}; at least {wanted} is required.",
                "Ask the host's operator to update the SEV firmware; then start a new launch.",
                {"firmware": str(version)},
            )
        for entry in self.advisories.for_build(version):
            raise VerificationRefused(
                "firmware-known-bad",
                "The secure processor's firmware is known to be broken",
                f"API {version}, {entry.name}: {entry.summary}.",
                f"Ask for build {entry.first_good_build} or newer; then start a new launch.",
                {"firmware": str(version), "advisory": entry.name},
            )


class VerifiedMeasurement(Proof):
    """A measurement that was recomputed and found equal, by firmware that is good enough.

    ``digest`` (32 bytes) is the one of the approved launch digests that it matched.
    """

    __slots__ = ("digest", "reported", "session", "version")

    session: LaunchSession
    reported: ReportedMeasurement
    version: FirmwareVersion
    digest: bytes

    def __init__(
        self,
        mint: Mint,
        session: LaunchSession,
        reported: ReportedMeasurement,
        version: FirmwareVersion,
        digest: bytes,
    ) -> None:
        _MINT.check(mint)
        self._establish(session=session, reported=reported, version=version, digest=digest)

    def __repr__(self) -> str:
        return f"<verified measurement {self.reported.measurement.hex()}>"


def check_measurement(
    tik: Secret,
    policy: Policy,
    reported: ReportedMeasurement,
    version: FirmwareVersion,
    *,
    approved: Sequence[bytes],
    requirements: FirmwareRequirements,
) -> bytes:
    """The approved launch digest (32 bytes) that the measurement is of.

    A statement about the measurement and no more: nothing can be sealed with it.
    Raises as ``verify_measurement``.
    """
    if not approved or any(len(digest) != DIGEST_SIZE for digest in approved):
        raise UsageError(
            "bad-launch-digest",
            "No launch digest to compare with",
            "Every approved launch digest has 32 bytes, and there must be at least one.",
            "Give the firmware (and kernel) that the VM is to run, or its launch digest in hex.",
        )
    matched = None
    expected = []
    for digest in approved:
        candidate = compute_measurement(tik, version, policy.value, digest, reported.nonce)
        expected.append(candidate)
        if hmac.compare_digest(candidate, reported.measurement):
            matched = digest
    requirements.check(version, policy.minimum_api)
    if matched is None:
        raise _mismatch(policy, reported, version, approved, expected)
    return matched


def verify_measurement(
    session: LaunchSession,
    reported: ReportedMeasurement,
    version: FirmwareVersion,
    approved: Sequence[bytes],
    requirements: FirmwareRequirements,
    *,
    seen_nonces: Collection[bytes] = (),
) -> VerifiedMeasurement:
    """Recompute the measurement for each approved launch digest and compare.

    The policy is the session's, never the host's. ``version`` is what the host
    says; inside a good MAC it is what the secure processor says.
    ``seen_nonces`` are those of earlier launches: a fresh one is never among them.
    Raises VerificationRefused: ``measurement-mismatch``, ``measurement-replayed``,
    ``firmware-too-old`` or ``firmware-known-bad``; nothing is wiped then, so that
    the owner may look for the reason.
    """
    policy = session.policy.policy
    matched = check_measurement(
        session.tik, policy, reported, version, approved=approved, requirements=requirements
    )
    if any(hmac.compare_digest(reported.nonce, nonce) for nonce in seen_nonces):
        raise VerificationRefused(
            "measurement-replayed",
            "The host answered with an old measurement",
            "Its nonce was seen in an earlier launch; a secure processor never repeats one.",
            "Send nothing to this host. Abandon this launch and start a new one.",
        )
    return VerifiedMeasurement(_MINT, session, reported, version, matched)


def _mismatch(
    policy: Policy,
    reported: ReportedMeasurement,
    version: FirmwareVersion,
    approved: Sequence[bytes],
    expected: Sequence[bytes],
) -> VerificationRefused:
    return VerificationRefused(
        "measurement-mismatch",
        "The measurement does not match",
        "What was loaded into the VM is not what you approved, or the VM was started with"
        " another launch blob or policy.",
        "Nothing was sent. Check firmware, kernel, command line and vCPU count against what the"
        " host really uses; if they agree, do not trust this host with your secret.",
        {
            "reported": reported.measurement.hex(),
            "expected": [value.hex() for value in expected],
            "launch_digests": [digest.hex() for digest in approved],
            "nonce": reported.nonce.hex(),
            "policy": policy.value,
            "firmware": str(version),
        },
    )
