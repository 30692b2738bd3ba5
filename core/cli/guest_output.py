# SPDX-License-Identifier: Apache-2.0
"""How guest profiles, approvals and reports are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..guest.approvals import FileState
from ..guest.approving import Approval
from ..guest.fields import write_vcpus
from ..guest.lint import Severity, policy_findings, weak_spots
from ..guest.profile import ApprovedFile, GuestProfile
from ..guest.report import ProfileReport
from ..guest.rules import FILES
from ..guest.watch_limits import WatchLimits
from .output import Console, grouped, table

_DIGESTS_SHOWN = 16
_MARKS = {
    Severity.PROBLEM: "PROBLEM",
    Severity.REFUSED: "REFUSED",
    Severity.WARNING: "warning",
    Severity.NOTE: "note   ",
}


def profile_json(profile: GuestProfile) -> dict[str, Any]:
    """The profile as its file has it, with times as text."""
    return {"format": profile.format, **profile.model_dump(mode="json", exclude_defaults=True)}


def profile_lines(profile: GuestProfile) -> tuple[str, ...]:
    """All of a profile, for people."""
    lines = [f"{profile.name}: {profile.technology}, policy {profile.policy}"]
    lines += [f"  {sentence}" for sentence in profile.policy.in_words()]
    return (*lines, *table(_rows(profile)))


def _rows(profile: GuestProfile) -> Iterator[tuple[str, str]]:
    if profile.description:
        yield "description", profile.description
    build = f" build {profile.minimum_build}" if profile.minimum_build else ""
    yield "least firmware", "API {}.{}".format(*profile.minimum_api) + build
    if profile.oca is not None:
        yield "owner CA", " ".join(filter(None, (profile.oca.sha256, profile.oca.path)))
    for cek in profile.ceks:
        yield "chip", " ".join(filter(None, (cek.sha256, cek.note)))
    for component in FILES:
        for entry in getattr(profile, component):
            yield component, _file(entry)
    for line in profile.cmdline:
        shown = f"SHA-256 {line.sha256.hex()}" if line.text is None else f"“{line.text}”"
        yield "command line", shown
    if profile.vcpus:
        yield "vCPUs", str(write_vcpus(profile.vcpus))
    if profile.cpu:
        yield "CPU", " or ".join(cpu.name for cpu in profile.cpu)
    if profile.needs_es:
        generation = "legacy or init2" if profile.vmsa is None else profile.vmsa.value
        yield "VMSA", f"{generation}, SEV features {profile.sev_features:#x}"
    for secret in profile.secret_references:
        yield "secret", f"{secret.name} from vault entry {secret.entry}"
    yield "route", profile.chosen_route.value
    if profile.host is not None:
        yield "host", profile.host
    if profile.watch is not None:
        yield "watch", _watch(profile.watch)


def _watch(limits: WatchLimits) -> str:
    number = f"{limits.instances_at_most} live at most, {limits.starts_per_hour} starts an hour"
    return f"{number}, firmware seen for the first time: {limits.first_firmware.value}"


def _file(entry: ApprovedFile) -> str:
    when = f"approved {entry.approved:%Y-%m-%d}" if entry.approved else "NOT APPROVED YET"
    digest = f"SHA-256 {entry.sha256}" if entry.sha256 else "never looked at"
    return ", ".join(filter(None, (entry.path, digest, when)))


def approval_lines(approvals: Sequence[Approval]) -> tuple[str, ...]:
    """What was approved, old and new where it changed."""
    lines = []
    for approval in approvals:
        size = "" if approval.size is None else f" ({approval.size} bytes)"
        lines.append(f"approved {approval.component} {approval.label}{size}")
        if approval.changed:
            lines.append(f"  old SHA-256  {approval.old_sha256}")
        lines.append(f"  new SHA-256  {approval.new_sha256}")
    return tuple(lines)


def report_lines(report: ProfileReport) -> tuple[str, ...]:
    """What came of checking a profile."""
    lines = [f"{_MARKS[finding.severity]}  {finding.text}" for finding in report.findings]
    for file in report.files:
        if file.state is FileState.SAME:
            lines.append(f"same     {file}: SHA-256 {file.found.sha256}")
        elif file.state is FileState.BY_HASH:
            lines.append(f"by hash  {file.component}: SHA-256 {file.entry.sha256}")
    if report.expected is None:
        return (*lines, "It can't be launched as it is.")
    digests = report.expected.digests
    count = "One launch digest is" if len(digests) == 1 else f"{len(digests)} launch digests are"
    lines.append(f"{count} allowed{':' if len(digests) <= _DIGESTS_SHOWN else '.'}")
    if len(digests) <= _DIGESTS_SHOWN:
        for expected in digests:
            lines += [f"  {grouped(expected.digest.value.hex())}", f"    {expected.description}"]
    return tuple(lines)


def warn_of_weak_spots(profile: GuestProfile, console: Console) -> None:
    """Say what is weak in a profile that was just stored."""
    for finding in (*policy_findings(profile), *weak_spots(profile)):
        if finding.severity is Severity.REFUSED:
            console.note(f"warning: {finding.text} A launch takes a waiver for this.")
        elif finding.severity is Severity.WARNING:
            console.note(f"warning: {finding.text}")
