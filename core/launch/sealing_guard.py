# SPDX-License-Identifier: Apache-2.0
"""Who else may say no before a launch's one packet is sealed: the hook for that.

It opens no way to a secret: what is sealed is what was verified, with or without it. It
can only refuse, as the guard does that many machines share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SealIntent:
    """What is about to be sealed; platform and measurement are verified, no secret is read yet.

    ``host``         URL of the host, as the launch's record has it
    ``measurement``  as it was reported and verified: measurement (32 bytes) and nonce (16)
    """

    launch_id: str
    guest: str
    host: str
    measurement: bytes


BeforeSealing = Callable[[SealIntent], Awaitable[None]]
"""Returns once this launch may be sealed, for good; raises WatchwordError if it may not.

It may be asked again for the same launch: a process can die between its yes and the sealing.
"""


async def nobody_to_ask(intent: SealIntent) -> None:
    """The guards of records and vault alone decide."""
    del intent
