# SPDX-License-Identifier: Apache-2.0
"""Holds the ledger against the head that the keyring has kept: is it an older copy?"""

from __future__ import annotations

from enum import StrEnum

from ..errors import UsageError, VaultError
from .heads import LedgerHead
from .ledger import Ledger
from .ledger_errors import rolled_back


class RollbackVerdict(StrEnum):
    """Whether an older copy of the ledger would have been noticed."""

    CHECKED = "checked"
    NOT_DETECTABLE = "not-detectable"


def newest_head(ledger: Ledger, noted: str | None) -> str | None:
    """The text of the head to note in the keyring, which has ``noted`` so far; never an older one.

    Raises as :func:`check_anchor` does: where the ledger does not have the noted entry, the
    note is the better witness, and stays.
    """
    check_anchor(ledger, noted)
    head = ledger.head()
    return None if head is None else head.text


def check_anchor(ledger: Ledger | None, anchor: str | None) -> RollbackVerdict:
    """Raise VerificationRefused ``ledger-rolled-back`` unless the ledger holds the anchored entry.

    ``ledger``  None where there are no records at all
    ``anchor``  what the keyring keeps (LedgerHead.text), None where it keeps nothing
    An anchor that is older than the ledger is in order: the program may have ended before
    it noted the newest head. It takes one look, however long the ledger is; whether the
    entries around the anchored one are whole, Ledger.verify tells. Raises VaultError
    ``ledger-anchor-damaged`` too.
    """
    if anchor is None:
        return RollbackVerdict.NOT_DETECTABLE
    try:
        known = LedgerHead.parse(anchor)
    except UsageError:
        raise VaultError(
            "ledger-anchor-damaged",
            "The keyring holds something else in the place of the ledger's head",
            "So an older copy of the records can't be told from the newest one.",
            "Hold the ledger against an exported head: `watchword ledger verify --head FILE`. If it"
            " is the newest one, go on with `watchword ledger accept-older --reason TEXT`.",
        ) from None
    if ledger is None:
        raise rolled_back(known, None)
    if ledger.hash_at(known.sequence) != known.hash:
        raise rolled_back(known, ledger.head())
    return RollbackVerdict.CHECKED
