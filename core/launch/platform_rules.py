# SPDX-License-Identifier: Apache-2.0
"""Which platforms this owner's secrets go to: pinned ones, or those that a person accepted.

A chain that leads to AMD's root says that a chip is AMD's, not whose machine it is in;
and of many chips the endorsement key can be extracted. So a platform that the profile
does not name is somebody's to look at first.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import VerificationRefused
from ..guest.profile import GuestProfile
from ..sev.advisories import Advisories
from ..sev.platform import Platform
from .deny_list import DenyList


@dataclass(frozen=True, slots=True)
class OwnersRules:
    """The rules of one launch.

    ``accepted``        fingerprint (hex) of the CEK that a person looked at and accepts
    ``require_pinned``  nobody is there to look: only platforms that the profile names
    """

    profile: GuestProfile
    deny_list: DenyList
    advisories: Advisories
    accepted: str | None
    require_pinned: bool

    def admit(self, platform: Platform) -> Mapping[str, object]:
        """Whether a launch may begin there; the record says whether a person has to look yet.

        Raises VerificationRefused ``platform-denied``, ``platform-not-pinned``, or
        ``platform-not-accepted`` where another platform was accepted than this one.
        """
        self.deny_list.refuse(platform.report)
        pinned = self._pinned(platform)
        if self.require_pinned and not pinned:
            raise _not_pinned(self.profile.name, platform)
        if self.accepted is not None and not pinned and not self._accepted(platform):
            raise self._not_accepted(platform, "Another platform was accepted for this launch.")
        return {"pinned": pinned, "accepted": pinned or self._accepted(platform)}

    def allow_secrets(self, platform: Platform | None) -> None:
        """VerificationRefused ``platform-not-accepted`` until the platform is pinned or accepted.

        One that is not proven (waived, or under another root) gets test secrets alone, by
        type, and the owner has named his reason or the root: nothing more is asked there.
        """
        if platform is None or not platform.proven:
            return
        if not self._pinned(platform) and not self._accepted(platform):
            raise self._not_accepted(platform, "It is seen for the first time.")

    def _pinned(self, platform: Platform) -> bool:
        """The chain itself refuses another CEK than a pinned one; a waiver passes over that."""
        return bool(self.profile.ceks) and platform.waiver is None

    def _accepted(self, platform: Platform) -> bool:
        found = platform.report.cek_sha256 or ""
        return self.accepted is not None and hmac.compare_digest(
            self.accepted.lower().encode("utf-8", "replace"), found.encode()
        )

    def _not_accepted(self, platform: Platform, why: str) -> VerificationRefused:
        report = platform.report
        known = self.advisories.for_generation(report.generation)
        weak = (
            f" Keys of this generation ({report.generation}) can be extracted or forged:"
            f" {'; '.join(entry.name for entry in known)}."
            if known
            else ""
        )
        return VerificationRefused(
            "platform-not-accepted",
            "Nobody has accepted this platform yet",
            f"Its CEK is {report.cek_sha256}. {why}{weak} A chain shows that a chip is AMD's, not"
            " whose machine it is in.",
            "No secret was sent. If it is the machine that you mean, accept it"
            f" (--accept-platform {report.cek_sha256}), or pin it for good: `watchword guest edit"
            f" {self.profile.name} --add ceks={report.cek_sha256}`.",
            {
                "cek_sha256": report.cek_sha256,
                "chip_id": report.chip_id,
                "generation": report.generation,
                "advisories": [entry.name for entry in known],
            },
        )


def _not_pinned(name: str, platform: Platform) -> VerificationRefused:
    found = platform.report.cek_sha256
    return VerificationRefused(
        "platform-not-pinned",
        "The profile does not name this platform",
        f"Its CEK is {found}. Where nobody looks at platforms, only those that the profile names"
        " are launched on, and none that is waived.",
        f"If it is yours to trust: `watchword guest edit {name} --add ceks={found}`.",
        {"cek_sha256": found, "chip_id": platform.report.chip_id},
    )
