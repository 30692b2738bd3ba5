# SPDX-License-Identifier: Apache-2.0
"""A waiver is a reason that a person typed; an empty one is none."""

from __future__ import annotations

from ..errors import UsageError


def waiver_reason(text: str, what: str) -> str:
    """A typed reason, stripped; UsageError ``empty-waiver`` if there is nothing to read in it."""
    reason = text.strip()
    if len(reason) < 3 or not reason.isprintable():
        raise UsageError(
            "empty-waiver",
            f"No reason to waive the {what}",
            f"Going on without a verified {what} takes a reason in words, for the record.",
            'Write why you accept it, such as "lab machine, test data only".',
        )
    return reason
