# SPDX-License-Identifier: Apache-2.0
"""What launches are called: the guest, the day, and a few digits, such as vm1-20261123-4f2a9c."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

_LONGEST_GUEST: Final = 40
_DIGITS: Final = 6


def new_launch_id(guest: str, now: datetime, random: Callable[[int], bytes]) -> str:
    """At most 56 characters, that people can type and vaults and folders can hold."""
    name = guest[:_LONGEST_GUEST].rstrip(".-_")
    return f"{name}-{now:%Y%m%d}-{random(_DIGITS // 2).hex()}"
