# SPDX-License-Identifier: Apache-2.0
"""Replaces an image's key in a process of its own, which may die with SIGKILL at a point."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from disk_support import ENTRY, RECOVERY, Desk

from watchword.core.image.rekey import rekey_image
from watchword.core.ledger.ledger import Ledger


def main(home: str, disk: str, point: str, time: str) -> None:
    passed = 0

    def observe(name: str) -> None:
        nonlocal passed
        passed += name == point
        if passed == int(time) and name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    desk = Desk(Path(home))
    with desk.vault() as vault, desk.records() as records:
        asyncio.run(
            rekey_image(
                Path(disk), vault, Ledger(records), ENTRY, recovery=RECOVERY, observe=observe
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
