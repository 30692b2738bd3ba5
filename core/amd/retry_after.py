# SPDX-License-Identifier: Apache-2.0
"""Reads how long a server asks to be left alone, and says it in words.

Source: RFC 9110 section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_NAMED: Final = 24 * 3600.0
"""Seconds up to which a clock time is told; beyond that a server is not to be believed."""
_SECONDS: Final = re.compile(r"[0-9]+", re.ASCII)
_DIGITS_READ: Final = 10
_DATE_CHARACTERS: Final = 64


def seconds_to_wait(
    value: str | None, now: datetime, their_date: str | None = None
) -> float | None:
    """Seconds that a Retry-After header asks for, from 0 to infinity; None if it says nothing.

    ``value`` is a number of seconds or an HTTP date. A date is counted from
    ``their_date``, the answer's own Date header, so that it does not matter whose clock
    is wrong; without one, from ``now``.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text) if len(text) <= _DIGITS_READ else math.inf
    until = _http_date(text)
    if until is None:
        return None
    start = _http_date((their_date or "").strip()) or now
    return max(0.0, (until - start).total_seconds())


def _http_date(text: str) -> datetime | None:
    if not text or len(text) > _DATE_CHARACTERS:
        return None
    try:
        date = parsedate_to_datetime(text)
        # A date without a zone is UTC; only then can two of them be subtracted.
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def come_back_words(seconds: float, now: datetime) -> str:
    """When to come back, such as ``in 90 s, after 15:42:30 UTC``."""
    if not seconds <= LONGEST_NAMED:
        return "in more than a day"
    whole = math.ceil(seconds)
    after = now.astimezone(UTC) + timedelta(seconds=whole)
    span = f"{whole} s" if whole < 120 else f"{math.ceil(whole / 60)} minutes"
    return f"in {span}, after {after:%Y-%m-%d %H:%M:%S} UTC"
