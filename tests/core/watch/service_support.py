# SPDX-License-Identifier: Apache-2.0
"""What the tests of the service around the watch share."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def short_folder():
    """A folder with a name short enough for socket files."""
    path = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


async def until(condition, seconds=20):
    """Wait for what nothing tells of."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the code that is tested has no event for it
            await asyncio.sleep(0.01)


async def hang_up(writer):
    """Close a connection to its end, whatever became of the other one."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
