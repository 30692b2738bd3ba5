# SPDX-License-Identifier: Apache-2.0
"""What a batch asks of a guest profile beyond its being sound: nothing changed, nothing waived."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import WatchwordError
from ..guest.approvals import FileState
from ..guest.lint import Finding, Severity
from ..guest.profile import GuestProfile
from ..guest.report import ProfileReport, check_profile

_MISSING_ENTRY: Final = "vault-entry-missing"
_ABOUT_APPROVAL: Final = ("not-approved", "approved-file-changed")


@dataclass(frozen=True, slots=True)
class GuestFindings:
    """What there is to say of a profile.

    ``problems``  keep it from being launched; ``refusals`` would take a waiver, or a person
    who looks at the chip, and a batch has neither; ``warnings`` had better be known.
    """

    problems: tuple[str, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]


def look_at_guest(
    profile: GuestProfile,
    vault_entries: Collection[str] | None,
    *,
    inline: bool,
    what: str = "batch",
) -> GuestFindings:
    """Hold a profile against its files as they are, and against the rules of a batch.

    ``inline``: it stands in the manifest itself, where `watchword guest edit` doesn't reach.
    ``what``    launches it without anybody looking, for the words
    """
    report = check_profile(profile, vault_entries)
    problems = [*_unreadable(report)]
    refusals: list[str] = []
    warnings: list[str] = []
    for finding in report.findings:
        if finding.severity is Severity.REFUSED:
            refusals.append(f"{finding.text} In a {what} this can't be waived.")
        elif finding.severity is Severity.PROBLEM or finding.code == _MISSING_ENTRY:
            problems.append(f"{finding.text} {_remedy(finding, inline=inline)}".strip())
        elif finding.severity is Severity.WARNING:
            warnings.append(finding.text)
    if not profile.ceks:
        refusals.append(_unpinned(profile, what, inline=inline))
    return GuestFindings(tuple(problems), tuple(refusals), tuple(warnings))


def _unreadable(report: ProfileReport) -> Iterator[str]:
    """An approved hash may do for a single launch; a fleet is launched from what is there."""
    for file in report.files:
        if file.state is FileState.UNREADABLE and file.found.problem is not None:
            said = file.found.problem
            yield f"The {file} can't be looked at. {said.message} {said.remedy}"


def _remedy(finding: Finding, *, inline: bool) -> str:
    error: WatchwordError | None = finding.error
    if error is None:
        return "`watchword vault add` puts one there."
    if inline and error.code in _ABOUT_APPROVAL:
        return "To approve it, write its sha256 and the time (approved) beside its path."
    return error.remedy


def _unpinned(profile: GuestProfile, what: str, *, inline: bool) -> str:
    how = (
        "write their CEKs' fingerprints into it (ceks)"
        if inline
        else f"`watchword guest edit {profile.name} --add ceks=FINGERPRINT`"
    )
    return f"It names no chips, and a {what} launches only on chips that were named: {how}."
