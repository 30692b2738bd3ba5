# SPDX-License-Identifier: Apache-2.0
"""What two programs are compared by: whether they accept, refuse, or can't use what they get."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """A program's answer to a claim, whatever its exit statuses are."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNUSABLE = "unusable"
    """No verdict: the arguments or files can't be used."""
