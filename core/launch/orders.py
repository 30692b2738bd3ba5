# SPDX-License-Identifier: Apache-2.0
"""What the owner orders: which guest is to be launched, where, and what he accepts."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..guest.profile import GuestProfile
from ..sev.certificates import AmdCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """The owner's decisions for one launch; what is agreed once and for all is in the profile.

    ``host``               URL of the host; without it the profile's
    ``ask_host``           whether the host is asked for its certificates; no, where files say all
    ``certificate_files``  names and contents, beside what the host says
    ``trusted_roots``      roots that are not AMD's; only test secrets go there
    ``platform_waiver``, ``policy_waiver``, ``firmware_waiver``  typed reasons
    ``accept_platform``    fingerprint of the CEK that a person has looked at and accepts
    ``require_pinned``     refuse platforms that the profile does not pin (batch)
    ``inject``             whether secrets are handed over; without it the launch stops verified
    """

    profile: GuestProfile
    host: str | None = None
    ask_host: bool = True
    certificate_files: tuple[tuple[str, bytes], ...] = ()
    trusted_roots: tuple[AmdCertificate, ...] = ()
    platform_waiver: str | None = None
    policy_waiver: str | None = None
    firmware_waiver: str | None = None
    accept_platform: str | None = None
    require_pinned: bool = False
    inject: bool = True
    simulated: bool = False

    @property
    def host_url(self) -> str:
        """Where the host is; UsageError ``no-host`` where neither order nor profile says it."""
        url = self.host or self.profile.host
        if url is None:
            raise UsageError(
                "no-host",
                "There is no host to launch on",
                f"Guest profile “{self.profile.name}” names none, and none was given.",
                "Give --host URL, or put it into the profile: `watchword guest edit"
                f" {self.profile.name} --set host=URL`.",
            )
        return url
