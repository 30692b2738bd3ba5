# SPDX-License-Identifier: Apache-2.0
"""The guest policy: its bits in words, how people write it, and which policies are refused.

Source: AMD SEV API specification, chapter 3; minimum versions in bits 16 to 31.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntFlag

from ..errors import UsageError, VerificationRefused
from ..frozen import dataclass
from .firmware_version import parse_api
from .proof import Mint, Proof
from .waiver import waiver_reason

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import Final

_MINT: Final = Mint("watchword.core.sev.policy")
OLDEST_SAFE_API: Final = (0, 17)
"""Before this API a packet's MAC doesn't cover the measurement, so it fits another VM too."""


class PolicyFlag(IntFlag):
    """Bits 0 to 5 of the policy."""

    NODBG = 1 << 0
    NOKS = 1 << 1
    ES = 1 << 2
    NOSEND = 1 << 3
    DOMAIN = 1 << 4
    SEV = 1 << 5


_MEANING: Final = {
    PolicyFlag.NODBG: (
        "the host may not read or write the guest's memory through the debug commands",
        "the host may read and write the guest's memory through the debug commands",
    ),
    PolicyFlag.NOKS: (
        "the guest's memory key is not shared with other guests",
        "the host may start other guests that share the memory key of this one",
    ),
    PolicyFlag.ES: (
        "SEV-ES: the guest's registers are encrypted too",
        "SEV without ES: the host sees and changes the guest's registers at every exit",
    ),
    PolicyFlag.NOSEND: (
        "the guest may not be sent to another platform",
        "the guest may be sent to another platform",
    ),
    PolicyFlag.DOMAIN: (
        "the guest may be sent only to platforms of the same owner",
        "the guest may be sent to platforms of any owner",
    ),
    PolicyFlag.SEV: (
        "the guest may be sent only to SEV platforms",
        "the guest may be sent to platforms that are not SEV-capable",
    ),
}
_RESERVED: Final = 0xFFC0


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """Something to say about a policy; ``refused`` ones need a waiver, others are warnings."""

    code: str
    text: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A 32-bit policy without reserved bits: flags, and the least firmware API it asks for."""

    value: int

    def __post_init__(self) -> None:
        if not isinstance(self.value, int) or not 0 <= self.value <= 0xFFFFFFFF:
            raise _bad_policy(f"{self.value} does not fit in 32 bits.")
        if self.value & _RESERVED:
            bits = ", ".join(str(bit) for bit in range(6, 16) if self.value >> bit & 1)
            raise _bad_policy(
                f"0x{self.value:x} sets reserved bits ({bits}); every firmware refuses that."
            )

    @property
    def flags(self) -> PolicyFlag:
        """The six flags."""
        return PolicyFlag(self.value & 0x3F)

    @property
    def minimum_api(self) -> tuple[int, int]:
        """API major (bits 16 to 23) and minor (bits 24 to 31) that the firmware must have."""
        return self.value >> 16 & 0xFF, self.value >> 24 & 0xFF

    @property
    def needs_es(self) -> bool:
        """Whether this is SEV-ES, so that the vCPUs' first state is measured."""
        return PolicyFlag.ES in self.flags

    def build(self) -> bytes:
        """The 4 bytes that MACs cover."""
        return struct.pack("<I", self.value)

    def __str__(self) -> str:
        return f"0x{self.value:x} ({self.names()})"

    def names(self) -> str:
        """Such as ``nodbg,noks,es,nosend,sev,min-api=0.17``; ``none`` for 0."""
        words = [str(flag.name).lower() for flag in PolicyFlag if flag in self.flags]
        if self.minimum_api != (0, 0):
            words.append("min-api={}.{}".format(*self.minimum_api))
        return ",".join(words) or "none"

    def in_words(self) -> tuple[str, ...]:
        """One sentence for each bit that matters, set or not, and one for the minimum API."""
        moot = PolicyFlag(0)
        if PolicyFlag.NOSEND in self.flags:
            moot = PolicyFlag.DOMAIN | PolicyFlag.SEV  # they say where a guest may be sent
        lines = [
            _MEANING[flag][0 if flag in self.flags else 1]
            for flag in PolicyFlag
            if flag not in moot
        ]
        major, minor = self.minimum_api
        lines.append(f"the secure processor's firmware must have API {major}.{minor} or newer")
        return tuple(lines)

    def findings(self) -> tuple[PolicyFinding, ...]:
        """What is weak in this policy: refusals first, then warnings."""
        return tuple(sorted(self._findings(), key=lambda finding: not finding.refused))

    def _findings(self) -> Iterator[PolicyFinding]:
        flags = self.flags
        if PolicyFlag.NODBG not in flags:
            yield PolicyFinding(
                "debug-allowed",
                "Without NODBG the host can decrypt the guest's memory at will.",
                refused=True,
            )
        if not flags & (PolicyFlag.NOSEND | PolicyFlag.SEV):
            yield PolicyFinding(
                "send-anywhere",
                "With NOSEND and SEV both clear the host may send the guest, with its memory,"
                " to a key of its own.",
                refused=True,
            )
        elif PolicyFlag.NOSEND not in flags:
            yield PolicyFinding(
                "send-allowed",
                "Without NOSEND the host may send the guest, with its memory, to another"
                " platform, whose certificates only the secure processor checks.",
                refused=False,
            )
        if self.minimum_api < OLDEST_SAFE_API:
            yield PolicyFinding(
                "old-api-allowed",
                "Without a minimum API of 0.17 the host may run firmware whose packets fit"
                " another VM than the one that was measured.",
                refused=True,
            )
        if PolicyFlag.ES not in flags:
            yield PolicyFinding(
                "no-es",
                "Without ES the host sees and changes the guest's registers.",
                refused=False,
            )
        if PolicyFlag.NOKS not in flags:
            yield PolicyFinding(
                "key-sharing",
                "Without NOKS the host may start guests that share this one's memory key.",
                refused=False,
            )


DEFAULT_POLICY: Final = Policy(0x1100002F)
"""NODBG, NOKS, ES, NOSEND, SEV, and API 0.17 at least."""


def _bad_policy(problem: str) -> UsageError:
    return UsageError(
        "bad-policy",
        "Not a guest policy",
        problem,
        "Write it in hex (0x1100002f), decimal, or names: nodbg,noks,es,nosend,sev,min-api=1.49.",
    )


def parse_policy(text: str) -> Policy:
    """A policy from hex with 0x, decimal, or comma-separated names; ``default`` is the default.

    Raises UsageError ``bad-policy``.
    """
    word = text.strip().lower()
    if word == "default":
        return DEFAULT_POLICY
    digits = word.removeprefix("0x")
    if word.isascii() and len(word) <= 12 and digits:
        if word.startswith("0x") and all(c in "0123456789abcdef" for c in digits):
            return Policy(int(digits, 16))
        if word.isdigit():
            return Policy(int(word))
    return _policy_from_names(word)


def _policy_from_names(text: str) -> Policy:
    value = 0
    for part in text.split(",") if text != "none" else ():
        name = part.strip()
        if name.startswith("min-api="):
            major, minor = parse_api(name.removeprefix("min-api="))
            value = value & 0xFFFF | major << 16 | minor << 24
        elif name.upper() in PolicyFlag.__members__:
            value |= PolicyFlag[name.upper()]
        else:
            known = ", ".join(PolicyFlag.__members__).lower()
            raise _bad_policy(f"{name[:40]!r} is no policy bit; there are {known} and min-api=X.Y.")
    return Policy(value)


class ApprovedPolicy(Proof):
    """A policy without refused findings, or with a typed reason to accept them."""

    __slots__ = ("policy", "waiver")

    policy: Policy
    waiver: str | None

    def __init__(self, mint: Mint, policy: Policy, waiver: str | None) -> None:
        _MINT.check(mint)
        self._establish(policy=policy, waiver=waiver)


def approve_policy(policy: Policy, waiver: str | None = None) -> ApprovedPolicy:
    """Accept a policy; one with refused findings only with a reason typed by the owner.

    Raises VerificationRefused ``policy-refused``, which lists all of its weaknesses.
    A waiver that nothing needs is not recorded as one.
    """
    refused = [finding for finding in policy.findings() if finding.refused]
    if not refused:
        return ApprovedPolicy(_MINT, policy, None)
    if waiver is not None:
        return ApprovedPolicy(_MINT, policy, waiver_reason(waiver, "policy"))
    raise VerificationRefused(
        "policy-refused",
        f"Policy 0x{policy.value:x} is too weak",
        " ".join(finding.text for finding in refused),
        f"Use the default policy 0x{DEFAULT_POLICY.value:x} ({DEFAULT_POLICY.names()}), or"
        " waive it with a typed reason (--waive-policy).",
        {"policy": policy.value, "findings": [finding.code for finding in refused]},
    )
