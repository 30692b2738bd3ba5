# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a ledger, in words that a person can act on."""

from __future__ import annotations

from ..errors import UsageError, VerificationRefused
from .heads import LedgerHead

_KEEP: str = (
    "Trust no entry of it. Keep this file aside as it is, and put a backup in its place that"
    " holds against the heads that you have."
)


def broken(sequence: int, why: str, **details: object) -> VerificationRefused:
    """VerificationRefused ``ledger-broken``: the chain does not hold at this entry."""
    return VerificationRefused(
        "ledger-broken",
        "The ledger was changed after it was written",
        f"Entry {sequence}: {why}.",
        _KEEP,
        {"sequence": sequence, **details},
    )


def cut(known: LedgerHead, length: int) -> VerificationRefused:
    """VerificationRefused ``ledger-cut``: it is shorter than it once was."""
    found = f"it ends with entry {length}" if length else "it has no entry at all"
    return VerificationRefused(
        "ledger-cut",
        "The end of the ledger is missing",
        f"It once had entry {known.sequence} ({known.hash}), and now {found}.",
        _KEEP,
        {"known": known.as_json(), "length": length},
    )


def rewritten(known: LedgerHead, found: LedgerHead) -> VerificationRefused:
    """VerificationRefused ``ledger-rewritten``: it has other entries than it once had."""
    return VerificationRefused(
        "ledger-rewritten",
        "The ledger is not the one that the head was taken of",
        f"Entry {known.sequence} had the hash {known.hash}, and has {found.hash} now.",
        _KEEP,
        {"known": known.as_json(), "found": found.as_json()},
    )


def other_ledger(known_id: str, found_id: str, known: LedgerHead) -> VerificationRefused:
    """VerificationRefused ``ledger-rewritten``: the whole ledger is another one."""
    return VerificationRefused(
        "ledger-rewritten",
        "The ledger is not the one that the head was taken of",
        f"The head is of ledger {known_id}, and this is ledger {found_id}.",
        "If the head is of another machine or user, hold it against that one's ledger. Else"
        " somebody has put another ledger in place of yours.",
        {"known_ledger_id": known_id, "ledger_id": found_id, "known": known.as_json()},
    )


def rolled_back(anchored: LedgerHead, found: LedgerHead | None) -> VerificationRefused:
    """VerificationRefused ``ledger-rolled-back``: the keyring knows a newer state."""
    now = f"now ends with entry {found.sequence} ({found.hash})" if found else "is empty now"
    return VerificationRefused(
        "ledger-rolled-back",
        "The records are an older copy, or not the ones that were here",
        f"The keyring has noted entry {anchored.sequence} ({anchored.hash}) of the ledger, which"
        f" does not have it: it {now}. Launches that were made since then may be missing, and"
        " their nonces and packets with them.",
        "Find the newer records file. If you have put a backup there yourself, or the records are"
        " lost: `watchword ledger accept-older --reason TEXT`. Any launch that was sealed after"
        " that copy was made must not be completed again. Guests can be looked at and stopped,"
        " and launches given up, without that.",
        {"anchored": anchored.as_json(), "found": found.as_json() if found else None},
    )


def bad_body(why: str) -> UsageError:
    """UsageError ``bad-ledger-body``; ``why`` names places, never values."""
    return UsageError(
        "bad-ledger-body",
        "This can't be recorded in the ledger",
        f"{why[:1].upper()}{why[1:]}.",
        "Report this as a bug.",
    )


def too_large(size: int, limit: int) -> UsageError:
    """UsageError ``ledger-entry-too-large``."""
    return UsageError(
        "ledger-entry-too-large",
        "This is too much for one entry of the ledger",
        f"It takes {size} bytes; an entry has at most {limit}.",
        "Approve fewer files for one guest, or give shorter reasons.",
        {"size": size, "limit": limit},
    )


def bad_launch_id() -> UsageError:
    """UsageError ``bad-launch-id``."""
    return UsageError(
        "bad-launch-id",
        "This is no launch's id",
        "An id has 1 to 128 letters, digits or . _ @ + - and begins with a letter or a digit.",
        "Copy the id again, whole; `watchword launch list` shows them.",
    )
