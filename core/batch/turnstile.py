# SPDX-License-Identifier: Apache-2.0
"""Lets launches go to work one by one, as long as those at work leave time for each other."""

from __future__ import annotations

import asyncio
from typing import Final

_LONGEST_ROUND: Final = 0.1
"""Seconds that one round of the event loop may take before another launch joins in: hosts have
seconds to answer, and a loop that is late would take its own lateness for theirs."""


class Turnstile:
    """What every launch of a batch passes before it works; one that waits for a host, or for a
    VM, keeps nobody out.
    """

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def enter(self) -> None:
        """Return when the loop has room for one more."""
        clock = asyncio.get_running_loop().time
        async with self._one_at_a_time:
            while True:
                began = clock()
                await asyncio.sleep(0)
                took = clock() - began
                if took <= _LONGEST_ROUND:
                    return
                await asyncio.sleep(_LONGEST_ROUND)
