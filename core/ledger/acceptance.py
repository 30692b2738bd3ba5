# SPDX-License-Identifier: Apache-2.0
"""Lets work go on with an older copy of the records, by the owner's typed word alone."""

from __future__ import annotations

from typing import Final

from ..errors import UsageError, VaultError, VerificationRefused
from .anchor import check_anchor
from .entries import EntryKind, LedgerEntry
from .heads import LedgerHead
from .ledger import Ledger

_LONGEST_REASON: Final = 500
_ACCEPTABLE: Final = ("ledger-rolled-back", "ledger-anchor-damaged")


def accept_older(ledger: Ledger, anchor: str | None, reason: str) -> LedgerEntry:
    """Record that the ledger counts although the keyring has noted another head.

    ``anchor``  what the keyring keeps; the caller has it note the new head then
    The ledger may be empty: where the records are gone it begins anew. Raises UsageError
    ``bad-reason``, ``no-older-copy``, and VerificationRefused ``ledger-broken``: a damaged
    ledger is no older copy.
    """
    told = _checked_reason(reason)
    try:
        check_anchor(ledger, anchor)
    except (VerificationRefused, VaultError) as error:
        if error.code not in _ACCEPTABLE:
            raise
    else:
        raise no_older_copy()
    ledger.verify()
    head = ledger.head()
    body: dict[str, object] = {
        "reason": told,
        "anchored": _anchored(anchor or ""),
        "found": None if head is None else head.as_json(),
    }
    return ledger.append(EntryKind.ROLLBACK_ACCEPTED, None, body)


def _anchored(anchor: str) -> object:
    """What the keyring had noted; as text where that is no head."""
    try:
        return LedgerHead.parse(anchor).as_json()
    except UsageError:
        return anchor


def _checked_reason(text: str) -> str:
    reason = text.strip()
    if 3 <= len(reason) <= _LONGEST_REASON and reason.isprintable():
        return reason
    raise UsageError(
        "bad-reason",
        "Why an older copy is accepted is to be recorded",
        f"A reason has 3 to {_LONGEST_REASON} characters that can be shown.",
        "Say it in a few words, such as “the disk died; this is the backup of Monday”.",
    )


def no_older_copy() -> UsageError:
    """UsageError ``no-older-copy``: the keyring has noted nothing that the ledger lacks."""
    return UsageError(
        "no-older-copy",
        "There is nothing to accept",
        "The ledger has the entry that the keyring has noted, or the keyring has noted none.",
        "Go on as usual.",
    )
