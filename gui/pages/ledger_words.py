# SPDX-License-Identifier: Apache-2.0
"""How the window speaks of the ledger: what happened, in words and with a tone."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from watchword.core.ledger.anchor import RollbackVerdict
from watchword.core.ledger.entries import EntryKind, LedgerEntry
from watchword.core.ledger.verification import LedgerVerdict

from ..widgets.state_badge import Look
from ..widgets.tones import Tone
from .vault_entries import shown_time

translate = QCoreApplication.translate
_CONTEXT = "Ledger"


def kind_look(kind: EntryKind) -> Look:
    """What happened, as icon, words and tone."""
    return {
        EntryKind.LEDGER_BEGUN: Look(
            "ledger", translate(_CONTEXT, "The ledger was begun"), Tone.NEUTRAL
        ),
        EntryKind.LAUNCH_PREPARED: Look(
            "blob", translate(_CONTEXT, "A launch was prepared"), Tone.INFO
        ),
        EntryKind.PLATFORM_REFUSED: Look(
            "bad", translate(_CONTEXT, "The platform was refused"), Tone.BAD
        ),
        EntryKind.LAUNCH_REFUSED: Look(
            "bad", translate(_CONTEXT, "The launch was refused"), Tone.BAD
        ),
        EntryKind.MEASUREMENT_VERIFIED: Look(
            "ok", translate(_CONTEXT, "The measurement was verified"), Tone.OK
        ),
        EntryKind.PACKET_SEALED: Look(
            "secret", translate(_CONTEXT, "The secret was sealed"), Tone.INFO
        ),
        EntryKind.SECRET_HANDED_OVER: Look(
            "ok", translate(_CONTEXT, "The secret was handed over"), Tone.OK
        ),
        EntryKind.HANDED_OVER_UNCONFIRMED: Look(
            "warn", translate(_CONTEXT, "Handed over, not confirmed"), Tone.WARN
        ),
        EntryKind.LAUNCH_RUNNING: Look(
            "play", translate(_CONTEXT, "The guest runs, the host says"), Tone.OK
        ),
        EntryKind.REPORT_VERIFIED: Look(
            "ok", translate(_CONTEXT, "A report was verified"), Tone.OK
        ),
        EntryKind.REPORT_REFUSED: Look(
            "bad", translate(_CONTEXT, "A report was refused"), Tone.BAD
        ),
        EntryKind.LAUNCH_ABANDONED: Look(
            "stop", translate(_CONTEXT, "The launch was abandoned"), Tone.NEUTRAL
        ),
        EntryKind.GUEST_STOPPED: Look(
            "stop", translate(_CONTEXT, "The guest was stopped"), Tone.NEUTRAL
        ),
        EntryKind.KEYS_EXPORTED: Look(
            "warn", translate(_CONTEXT, "Keys left the program"), Tone.WARN
        ),
        EntryKind.EVIDENCE_MADE: Look(
            "evidence", translate(_CONTEXT, "Evidence was made"), Tone.INFO
        ),
        EntryKind.ROLLBACK_ACCEPTED: Look(
            "warn", translate(_CONTEXT, "An older copy was accepted"), Tone.WARN
        ),
        EntryKind.IMAGE_BUILT: Look("file", translate(_CONTEXT, "An image was built"), Tone.INFO),
        EntryKind.IMAGE_REKEYED: Look(
            "secret", translate(_CONTEXT, "An image's key was replaced"), Tone.INFO
        ),
        EntryKind.WATCH_ASKED: Look(
            "blob", translate(_CONTEXT, "A launch was asked for"), Tone.INFO
        ),
        EntryKind.WATCH_REFUSED: Look(
            "bad", translate(_CONTEXT, "A request was refused"), Tone.BAD
        ),
        EntryKind.WATCH_UNKNOWN_VM: Look(
            "bad", translate(_CONTEXT, "An unknown VM was refused"), Tone.BAD
        ),
        EntryKind.WATCH_VM_GONE: Look(
            "stop", translate(_CONTEXT, "The VM is gone, the host says"), Tone.NEUTRAL
        ),
        EntryKind.JOB_ASSIGNED: Look(
            "blob", translate(_CONTEXT, "A launch was given to a worker"), Tone.INFO
        ),
        EntryKind.JOB_BEGUN: Look("blob", translate(_CONTEXT, "A job was taken on"), Tone.INFO),
        EntryKind.JOB_SEALING: Look(
            "secret", translate(_CONTEXT, "A job got its one launch"), Tone.INFO
        ),
        EntryKind.JOB_GIVEN_UP: Look(
            "stop", translate(_CONTEXT, "A job was given up"), Tone.NEUTRAL
        ),
    }[kind]


def happened(entry: LedgerEntry) -> str:
    """What happened; a rehearsal says so first."""
    words = kind_look(entry.kind).word
    return f"SIMULATED · {words}" if entry.simulated else words


def member(entry: LedgerEntry, name: str) -> str:
    """A text of an entry's body; empty where it has none."""
    value = entry.body.get(name)
    return value if isinstance(value, str) else ""


def why(entry: LedgerEntry) -> str:
    """The title of the error that an entry tells of."""
    error = entry.body.get("error")
    title = error.get("title") if isinstance(error, dict) else None
    return title if isinstance(title, str) else ""


def verdict_sentence(verdict: LedgerVerdict) -> str:
    """What a walk over the whole ledger found."""
    words = translate(_CONTEXT, "Entries 1 to {count}, from {first} to {last}, each with its hash.")
    text = words.format(
        count=verdict.entries,
        first=shown_time(verdict.first_time or ""),
        last=shown_time(verdict.last_time or ""),
    )
    if verdict.simulated:
        more = translate(_CONTEXT, "Of rehearsals (SIMULATED): {count}.")
        text += " " + more.format(count=verdict.simulated)
    return text


def verdict_remedy(verdict: LedgerVerdict, rollback: RollbackVerdict | None = None) -> str:
    """What that does not say, and what to do about it."""
    sentences = []
    if verdict.known_heads:
        sentences.append(translate(_CONTEXT, "It has what it had when the head was taken."))
    if rollback is RollbackVerdict.CHECKED:
        sentences.append(
            translate(
                _CONTEXT, "It has the entry that the keyring has noted: these are no older records."
            )
        )
    elif rollback is RollbackVerdict.NOT_DETECTABLE:
        sentences.append(
            translate(
                _CONTEXT,
                "The keyring has noted no head of it, so an older copy would go unnoticed.",
            )
        )
    if sentences:
        return " ".join(sentences)
    return translate(
        _CONTEXT,
        "Whether entries are missing at its end only a head from earlier can show: save the head,"
        " and keep it on another machine.",
    )
