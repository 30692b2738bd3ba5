# SPDX-License-Identifier: Apache-2.0
"""Keeps a launch on disk as it goes: keys in the vault, all else in the records.

What belongs together is committed together: a launch's record, its one packet, the
entry in the ledger, the signed document. Keys are in the vault before anybody is given
the launch blob; once the packet is sealed it takes their place there, before it is stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..errors import VerificationRefused, WatchwordError
from ..evidence.facts import LaunchEnd
from ..ledger.entries import EntryKind
from ..sev.chain import PlatformCertificates
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement, VerifiedMeasurement
from ..sev.platform import Platform
from ..sev.secret_packet import SecretPacket
from ..sev.session import LaunchMaterial, LaunchSession
from ..vault.launch_keys import (
    erase_launch,
    erase_launch_keys,
    exchange_keys_for_packet,
    store_launch_keys,
)
from .archive import Archive
from .engine import Launch, StepState
from .fault_points import fault_point
from .keeper import Confirmation
from .kept_packet import KeptPacket
from .key_binding import key_binding
from .ledger_bodies import launch_body
from .loading import load_record, told_in_ledger
from .profile_plan import PlannedLaunch
from .record import (
    LaunchRecord,
    LaunchState,
    RecordedMeasurement,
    RecordedReport,
    RecordedSession,
    recorded_certificates,
)
from .sev_base import out_of_order
from .sev_steps import PLATFORM, RUN
from .store import already_sealed
from .told_launch import ToldLaunch
from .whose_measurement import OtherLaunches, of_another_launch

_LONGEST_WAIT = 300
_MISDELIVERED = "reply-of-another-launch"


class LaunchRecorder:
    """The keeper of one launch that outlives the process.

    ``record``  as it is on disk
    """

    def __init__(self, archive: Archive, record: LaunchRecord, planned: PlannedLaunch) -> None:
        self.record = record
        self._archive = archive
        self._planned = planned
        self._certain = True
        self._launch: Launch | None = None
        self._certificates: PlatformCertificates | None = None
        self._platform: Platform | None = None

    def reload(self) -> LaunchRecord:
        """The record as it is on disk: what counts, also where writing it seemed to fail."""
        self.record, self._certain = load_record(self._archive, self.record.id), True
        return self.record

    def changed(self, launch: Launch) -> None:
        """A step began or ended; what is worth telling is kept."""
        self._launch = launch
        marks = launch.marks.values()
        if not any(mark.state is StepState.BUSY for mark in marks):
            waiting = [mark.reason for mark in marks if mark.state is StepState.WAITING]
            waits_for = str(waiting[0].get("title", ""))[:_LONGEST_WAIT] if waiting else ""
            told = ToldLaunch.of(launch, self.record.told)
            # What people are told of a step is worth no wait for the disk: it is told anew.
            with self._writing(lasting=False):
                self._write((), told=told, waits_for=waits_for)

    # -- hooks of the steps ------------------------------------------------------

    def gathered(self, certificates: PlatformCertificates) -> None:
        """Remember what a refusal will be about."""
        self._certificates = certificates

    def certificates(self, certificates: PlatformCertificates, platform: Platform) -> None:
        """Keep the certificates, to be judged again in any later process."""
        self._platform = platform
        self._save(certificates=recorded_certificates(certificates))
        fault_point("platform-recorded")

    def session_made(self, session: LaunchSession, material: LaunchMaterial) -> None:
        """Keys into the vault, then the blob into the records; then it may be given away."""
        vault, launch_id = self._archive.vault, self.record.id
        if self.record.session is not None or session.platform is None:
            raise out_of_order("a launch has one session, for one platform")
        pdh_sha256 = session.platform.report.pdh_sha256 or ""
        binding = key_binding(self.record, session.policy.policy.value, pdh_sha256, material)
        # Those of a process that ended before it recorded its blob: nobody has seen that one.
        erase_launch_keys(vault, launch_id)
        store_launch_keys(vault, launch_id, session.tek, session.tik, binding)
        fault_point("session-keys-in-vault")
        digests = tuple(digest.value for digest in self._planned.plan.digests)
        self._save(
            EntryKind.LAUNCH_PREPARED,
            state=LaunchState.PREPARED,
            session=RecordedSession(material.godh.build(), material.blob.build()),
            launch_digests=digests,
        )
        fault_point("session-recorded")

    def measured(self, reported: ReportedMeasurement, version: FirmwareVersion) -> None:
        """Keep what was reported, unless its nonce is a verified one of another launch.

        It is not claimed yet: the VM of another launch, shown here by mistake, answers with
        the same nonce for ever.
        """
        measured = RecordedMeasurement(
            reported.build(), version.api_major, version.api_minor, version.build
        )
        with self._writing():
            self._archive.store.check_nonce(reported.nonce, self.record.id)
            self._write((), measured=measured, matched_digest=None)
        fault_point("measurement-recorded")

    def mismatch(
        self, refusal: VerificationRefused, reported: ReportedMeasurement, version: FirmwareVersion
    ) -> VerificationRefused:
        """The refusal that names the launch to which the measurement belongs, if one is known."""
        archive, owner = self._archive, None
        others = OtherLaunches(archive.store, archive.seal, archive.vault)
        # That nobody can be asked now must not take the refusal's place.
        with contextlib.suppress(WatchwordError):
            owner = others.owner(self.record.id, reported, version)
        return refusal if owner is None else of_another_launch(owner, refusal)

    def verified(self, measurement: VerifiedMeasurement) -> None:
        """Claim the nonce for this launch, and keep which digest the measurement was of."""
        archive, nonce = self._archive, measurement.reported.nonce
        with self._writing():
            archive.store.claim_nonce(nonce, self.record.id, archive.timestamp())
            self._write(
                (EntryKind.MEASUREMENT_VERIFIED,),
                state=LaunchState.VERIFIED,
                matched_digest=measurement.digest,
            )
        fault_point("measurement-verified")

    def sealed(self, packet: SecretPacket, notes: Sequence[Mapping[str, object]]) -> None:
        """In the vault the packet takes the place of the keys; then it is stored.

        Before it is stored, where others may read it, the keyring notes that the vault has
        no keys any more: an older copy of vault and records together is refused then, and
        no other packet is ever sealed. Where that can't be noted the packet is kept, and
        not sent until it is: VaultError ``sealing-not-noted``. UsageError
        ``already-sealed`` where there is, or was, a packet.
        """
        archive, launch_id = self._archive, self.record.id
        kept = KeptPacket.of(packet, packet.verified.reported, notes)
        told = told_in_ledger(archive, launch_id)
        if EntryKind.PACKET_SEALED in told or archive.store.has_packet(launch_id):
            raise already_sealed(launch_id)
        exchange_keys_for_packet(archive.vault, launch_id, kept.build())
        fault_point("packet-in-vault")
        archive.note_sealing()
        fault_point("sealing-noted")
        with self._writing():
            archive.store.store_packet(launch_id, packet, archive.timestamp())
            fault_point("packet-half-stored")
            sealed = kept.recorded()
            self._write((EntryKind.PACKET_SEALED,), state=LaunchState.SEALED, packet=sealed)
        fault_point("packet-stored")

    def handed_over(self) -> None:
        """The host says that it has injected the packet."""
        time = self.record.handed_over or self._archive.timestamp()
        self._save(EntryKind.SECRET_HANDED_OVER, state=LaunchState.HANDED_OVER, handed_over=time)
        fault_point("handed-over-recorded")

    def running(self, confirmation: Confirmation, told: Mapping[str, object]) -> None:
        """The launch is over: outcome, document and ledger at once; no keys stay behind."""
        changes: dict[str, Any] = {"state": LaunchState.RUNNING}
        if confirmation.report is not None and confirmation.nonce is not None:
            changes["report"] = RecordedReport(confirmation.report, confirmation.nonce)
        if self.record.running is None:
            changes["running"] = self._archive.timestamp()
            self._conclude(EntryKind.LAUNCH_RUNNING, LaunchEnd.RUNNING, told=told, **changes)
        else:
            self._save(*([EntryKind.REPORT_VERIFIED] if "report" in changes else []), **changes)
        erase_launch(self._archive.vault, self.record.id)
        fault_point("keys-swept")

    def interrupted(self, step_id: str, error: WatchwordError) -> None:
        """A refusal ends in the ledger, with a document; everything else can be tried again.

        A refused launch keeps its keys: the operator may start the VM properly from the
        same blob, or the owner look for the reason. Abandoning the launch erases them.
        An answer that belongs to another launch says nothing about this one.
        """
        if error.code == _MISDELIVERED:
            return
        if isinstance(error, VerificationRefused):
            kind = _refusal_kind(step_id, running=self.record.running is not None)
            self._conclude(kind, LaunchEnd.REFUSED, error, state=LaunchState.REFUSED)
        elif self._may_be_out(step_id, error):
            self._conclude(
                EntryKind.HANDED_OVER_UNCONFIRMED,
                LaunchEnd.NOT_CONFIRMED,
                error,
                unconfirmed=self._archive.timestamp(),
            )

    def _may_be_out(self, step_id: str, error: WatchwordError) -> bool:
        """Whether nobody knows what became of the packet, and that was not told before."""
        record = self.record
        if record.packet is None or record.running or record.unconfirmed:
            return False
        return step_id == RUN.id or error.details.get("packet_arrived") == "unknown"

    # -- writing -----------------------------------------------------------------

    @contextmanager
    def _writing(self, *, lasting: bool = True) -> Iterator[None]:
        """A transaction; ``record`` is what the disk has once it is over.

        A commit may be reported as failed and have come through all the same: then what is
        on the disk is read before anything else is written.
        """
        if not self._certain:
            self.reload()
        before, self._certain = self.record, False
        try:
            with self._archive.records.writing(lasting=lasting):
                yield
        except BaseException:
            self.record = before
            raise
        self._certain = True

    def _write(
        self, kinds: Iterable[EntryKind], error: WatchwordError | None = None, **changes: Any
    ) -> None:
        """In a transaction: the record with these changes, and entries about it."""
        archive = self._archive
        record = replace(self.record, changed=archive.timestamp(), **changes)
        archive.store.save(record, archive.seal)
        self.record = record
        for kind in kinds:
            body = self.ledger_body(error)
            archive.ledger.append(kind, record.id, body, simulated=record.simulated)

    def _save(self, *kinds: EntryKind, **changes: Any) -> None:
        with self._writing():
            self._write(kinds, **changes)

    def ledger_body(self, error: WatchwordError | None = None) -> dict[str, object]:
        """What an entry about this launch says."""
        planned = self._planned
        return launch_body(
            self.record,
            planned.profile,
            planned.plan.digests,
            self._platform,
            waivers=None if self._launch is None else self._launch.waivers,
            error=error,
        )

    def _conclude(
        self,
        kind: EntryKind,
        end: LaunchEnd,
        error: WatchwordError | None = None,
        told: Mapping[str, object] | None = None,
        **changes: Any,
    ) -> None:
        """Write an outcome with its document; without one, if that can't be made, and say so."""
        archive, problem, envelope = self._archive, None, None
        try:
            envelope = self._document(end, error, told, changes)
        except WatchwordError as fault:
            problem = fault
        with self._writing():
            self._write((kind,), error, **changes)
            fault_point("conclusion-half-recorded")
            if envelope is not None:
                record = self.record
                stored = archive.evidence.add(record.id, envelope)
                body = {"guest": record.guest, "outcome": end.value, "sha256": stored.sha256}
                archive.ledger.append(
                    EntryKind.EVIDENCE_MADE, record.id, body, simulated=record.simulated
                )
        fault_point("conclusion-recorded")
        if problem is not None:
            raise problem

    def _document(
        self,
        end: LaunchEnd,
        error: WatchwordError | None,
        told: Mapping[str, object] | None,
        changes: Mapping[str, Any],
    ) -> bytes:
        record, planned = replace(self.record, **changes), self._planned
        launch = self._launch or planned.new_launch(record)
        if told is not None:
            launch = launch.establish(RUN.id, told)
        return self._archive.notary.document(
            record,
            launch,
            planned,
            end,
            self._archive.now(),
            certificates=self._certificates,
            error=error,
        )


def _refusal_kind(step_id: str, *, running: bool) -> EntryKind:
    if step_id == PLATFORM.id:
        return EntryKind.PLATFORM_REFUSED
    return EntryKind.REPORT_REFUSED if running else EntryKind.LAUNCH_REFUSED
