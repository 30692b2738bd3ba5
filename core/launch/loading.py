# SPDX-License-Identifier: Apache-2.0
"""Takes a launch's record up as the vault vouches for it, and does what a crash left undone."""

from __future__ import annotations

from dataclasses import replace

from ..ledger.entries import EntryKind
from ..vault.launch_keys import (
    erase_launch,
    erase_launch_keys,
    read_launch_packet,
    record_changed,
)
from .archive import Archive
from .kept_packet import KeptPacket
from .ledger_bodies import launch_body
from .profile_plan import recorded_profile
from .record import LaunchRecord, LaunchState


def load_record(archive: Archive, launch_id: str) -> LaunchRecord:
    """A launch's record as this vault vouches for it, under the launch's lock.

    Keys that have served are erased, and a packet that only the vault has yet is stored.
    Raises VerificationRefused ``launch-record-changed`` where record, list, ledger, stored
    packet and vault do not tell the same: an older record bears a good seal too. Raises
    VaultError ``sealing-not-noted``, and as LaunchStore.load and RecordSeal.check do.
    """
    record = archive.seal.check(archive.store.load(launch_id))
    told = told_in_ledger(archive, launch_id)
    if not archive.store.is_listed(record):
        raise record_changed(launch_id)
    if (EntryKind.LAUNCH_ABANDONED in told) != record.is_abandoned:
        raise record_changed(launch_id)
    if archive.store.has_packet(launch_id) != (record.packet is not None):
        raise record_changed(launch_id)
    if record.is_abandoned:
        erase_launch(archive.vault, launch_id)
        return record
    record = _with_kept_packet(archive, record, sealed=EntryKind.PACKET_SEALED in told)
    erase_served(archive, record)
    return record


def told_in_ledger(archive: Archive, launch_id: str) -> frozenset[EntryKind]:
    """Which of these the ledger has of a launch: that its packet was sealed, that it was given up.

    Raises VerificationRefused ``ledger-broken``.
    """
    return archive.marks.of(launch_id)


def erase_served(archive: Archive, record: LaunchRecord) -> None:
    """Erase what a launch that is as recorded has no use for any more."""
    if not record.is_open:
        erase_launch(archive.vault, record.id)
    elif record.keys_are_gone:
        erase_launch_keys(archive.vault, record.id)


def _with_kept_packet(archive: Archive, record: LaunchRecord, *, sealed: bool) -> LaunchRecord:
    """The record, with the packet that the vault has if the process died before it had it."""
    data = read_launch_packet(archive.vault, record.id)
    if data is None:
        if sealed and record.packet is None:
            raise record_changed(record.id)
        return record
    kept = KeptPacket.parse(data, record.id)
    if record.packet is not None:
        if record.packet.sha256 != kept.sha256:
            raise record_changed(record.id)
        return record
    if sealed or not kept.is_of(record):
        raise record_changed(record.id)
    archive.note_sealing()
    return _store_kept(archive, record, kept)


def _store_kept(archive: Archive, record: LaunchRecord, kept: KeptPacket) -> LaunchRecord:
    now = archive.timestamp()
    state, packet = LaunchState.SEALED, kept.recorded()
    recorded = replace(record, state=state, packet=packet, waits_for="", changed=now)
    body = launch_body(recorded, recorded_profile(recorded), (), None)
    with archive.records.writing():
        archive.store.store_packet(record.id, kept.packet(), now)
        archive.store.save(recorded, archive.seal)
        kind = EntryKind.PACKET_SEALED
        archive.ledger.append(kind, record.id, body, simulated=record.simulated)
    return recorded
