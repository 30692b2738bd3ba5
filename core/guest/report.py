# SPDX-License-Identifier: Apache-2.0
"""A profile checked against its files as they are now: everything to be said, and what counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import BadInput, ExitStatus, WatchwordError
from .approvals import ExaminedFile, examine_files, refuse_changed
from .expected import ExpectedLaunch, expected_launch
from .firmware_findings import firmware_findings
from .lint import (
    Finding,
    Severity,
    file_findings,
    missing_entries,
    oca_findings,
    policy_findings,
    weak_spots,
)
from .profile import GuestProfile


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """All that came of checking a profile, the worst first.

    ``expected`` is what it allows to be launched, None where it can't be launched as it is.
    """

    profile: GuestProfile
    files: tuple[ExaminedFile, ...]
    findings: tuple[Finding, ...]
    expected: ExpectedLaunch | None

    @property
    def error(self) -> WatchwordError | None:
        """What a launch would end with, and this check: what is wrong with files comes first."""
        try:
            refuse_changed(self.profile.name, self.files)
        except BadInput as error:
            return error
        errors = [finding.error for finding in self.findings if finding.error is not None]
        return min(errors, key=lambda error: error.exit_status is ExitStatus.REFUSED, default=None)

    def as_json(self) -> dict[str, object]:
        """The report with stable field names; at most 10,000 launch digests."""
        digests = self.expected.digests if self.expected is not None else ()
        return {
            "name": self.profile.name,
            "findings": [finding.as_json() for finding in self.findings],
            "files": [file.as_json() for file in self.files],
            "launch_digests": [digest.as_json() for digest in digests],
        }


def check_profile(
    profile: GuestProfile,
    vault_entries: Collection[str] | None = None,
    more: Collection[Finding] = (),
) -> ProfileReport:
    """Read the profile's files, once each, and say everything that there is to say.

    ``vault_entries`` are the names of the vault's entries, None where they are not known;
    ``more`` are findings of the caller's, about what this package knows nothing of.
    """
    files = examine_files(profile)
    findings = [
        *file_findings(profile, files),
        *oca_findings(profile),
        *firmware_findings(profile, files),
        *policy_findings(profile),
        *weak_spots(profile),
        *missing_entries(profile, vault_entries),
        *more,
    ]
    expected: ExpectedLaunch | None = None
    try:
        expected = expected_launch(profile, files)
    except BadInput as error:
        # What was said of files and firmware already is the reason most of the time.
        if not any(finding.severity is Severity.PROBLEM for finding in findings):
            findings.append(Finding(error.code, Severity.PROBLEM, error.message, error))
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
    return ProfileReport(profile, files, tuple(findings), expected)
