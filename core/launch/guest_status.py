# SPDX-License-Identifier: Apache-2.0
"""Asks for a running guest: what the host says of it, and what its platform's PEK signs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import BadInput, HostError, VerificationRefused, WatchwordError
from ..guest.profile import GuestProfile
from ..hosts.protocol import GuestState, Host
from ..ledger.entries import EntryKind
from ..sev.platform import Platform
from ..sev.session import KEY_SIZE
from .archive import Archive
from .keeper import Confirmation
from .ledger_bodies import launch_body
from .profile_plan import judge_recorded, recorded_profile
from .record import LaunchRecord, LaunchState, RecordedReport
from .sev_guest import check_report


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """What is known of a guest now.

    ``state``     what the host says
    ``platform``  its chain, judged again today
    ``confirmation``  the report that verified, if there is one
    ``recomputed``    whether the approved launch digests were computed anew; else those that
    were recorded were compared with, because an approved file has changed or is gone
    ``note``      why there is no report, in the host's or our words; empty if there is one
    """

    launch_id: str
    host: str
    state: GuestState
    platform: Platform
    confirmation: Confirmation
    recomputed: bool
    note: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether the platform's PEK signed that an approved launch runs under its policy."""
        return self.confirmation.report is not None

    def as_json(self) -> dict[str, object]:
        """The status with stable field names."""
        digest = self.confirmation.digest
        return {
            "launch": self.launch_id,
            "host": self.host,
            "state": self.state.state.value,
            "running": self.state.running,
            "policy": self.state.policy,
            "platform": self.platform.name,
            "cek_sha256": self.platform.report.cek_sha256,
            "confirmed": self.confirmed,
            "launch_digest": None if digest is None else digest.hex(),
            "recomputed": self.recomputed,
            "note": self.note,
        }


async def look_at_guest(archive: Archive, record: LaunchRecord, host: Host) -> GuestStatus:
    """Ask for the state and a report with a fresh nonce; what came of it is recorded.

    Raises HostError for a host that does not even tell the state, and VerificationRefused
    for a platform that would be refused today, and as ``verify_report``.
    """
    profile = recorded_profile(record)
    try:
        platform = judge_recorded(record, profile, archive.surroundings)
    except VerificationRefused as error:
        _note(archive, record, EntryKind.REPORT_REFUSED, None, error=error)
        raise
    state = await host.state()
    digests, recomputed = approved_digests(record, profile)
    status = GuestStatus(record.id, host.url, state, platform, Confirmation(), recomputed)
    pek = (record.certificates or {}).get("pek")
    if not state.running or pek is None:
        why = "The platform's PEK is not known." if state.running else "The guest does not run."
        return replace(status, note=why)
    nonce = archive.surroundings.random(KEY_SIZE)
    try:
        data = await host.attestation_report(nonce)
    except HostError as error:
        return replace(status, note=f"{error.title}. {error.message}")
    try:
        verified = check_report(data, pek, nonce, digests=digests, policy=profile.policy.value)
    except (BadInput, VerificationRefused) as error:
        _note(archive, record, EntryKind.REPORT_REFUSED, platform, error=error)
        raise _refused(error) from None
    recorded = replace(record, report=RecordedReport(data, nonce))
    _note(archive, recorded, EntryKind.REPORT_VERIFIED, platform)
    return replace(status, confirmation=Confirmation(data, nonce, verified.report.launch_digest))


async def stop_guest(archive: Archive, record: LaunchRecord, host: Host) -> None:
    """Pause the guest; HostError where the host does not.

    A launch that never came to its end is not over by that, nor is one taken up again that
    was abandoned.
    """
    await host.stop()
    if record.running is not None and not record.is_abandoned:
        record = replace(record, state=LaunchState.STOPPED)
    _note(archive, record, EntryKind.GUEST_STOPPED, None)


def _note(
    archive: Archive,
    record: LaunchRecord,
    kind: EntryKind,
    platform: Platform | None,
    error: WatchwordError | None = None,
) -> None:
    body = launch_body(record, recorded_profile(record), (), platform, error=error)
    with archive.records.writing():
        archive.store.save(replace(record, changed=archive.timestamp()), archive.seal)
        archive.ledger.append(kind, record.id, body, simulated=record.simulated)


def approved_digests(record: LaunchRecord, profile: GuestProfile) -> tuple[list[bytes], bool]:
    """The digest that was verified at the launch, or all approved ones; whether computed anew.

    An approved file may have been updated since: that is no news about what runs, and the
    hashes that were recorded then still say what may.
    """
    try:
        digests = [digest.value for digest in profile.to_expected().launch_digests()]
        recomputed = True
    except BadInput:
        digests, recomputed = list(record.launch_digests), False
    matched = record.matched_digest
    return ([matched] if matched is not None and matched in digests else digests), recomputed


def _refused(error: WatchwordError) -> VerificationRefused:
    """The refusal of a report, or of what is none: after the launch only the same can be true."""
    return VerificationRefused(
        error.code,
        "The running guest's report does not verify",
        error.message,
        "Ask once more; if that fails too, stop the guest, replace its secrets, and do not trust"
        " this host.",
        dict(error.details),
    )
