# SPDX-License-Identifier: Apache-2.0
"""A link through the user's ssh: a stream-local forward in a folder of its own, while it lasts."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final, Self

from ..errors import HostError
from .limits import HostLimits
from .link import Link
from .ssh_command import question_command, tunnel_command
from .ssh_errors import dropped, ended, not_ready, refused_there
from .ssh_process import SshProcess
from .ssh_url import SshAddress

_PAUSE_SECONDS: Final = 0.005
_SETTLE_SECONDS: Final = 0.3
# ssh adds 17 characters to the control socket's path for a moment, and gives some a meaning.
_PLAIN_FOLDER: Final = re.compile(r"/[A-Za-z0-9_./-]{0,75}", re.ASCII)
_CHANNEL_REFUSED: Final = re.compile(r"channel \d+: open failed")


class Tunnel:
    """A running ssh and the folder (mode 0700) with its sockets; ``close`` ends both."""

    def __init__(self, address: SshAddress, limits: HostLimits) -> None:
        """Start it; raises HostError ``ssh-missing`` or ``ssh-failed``."""
        self._address = address
        self._limits = limits
        self._folder = Path(tempfile.mkdtemp(prefix="watchword-ssh-", dir=_place()))
        self._socket = self._folder / "qmp"
        self._control = self._folder / "ctl"
        try:
            command = tunnel_command(address, limits, self._socket, self._control)
            self._process = SshProcess(command, address.url)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def path(self) -> str:
        """The near end of the forward, a unix socket, once :meth:`connect` has returned."""
        return str(self._socket)

    async def connect(self) -> socket.socket:
        """A connection to this end of the forward, once ssh has logged in.

        Ends within ``tunnel_seconds``. Raises HostError as in ssh_errors.py.
        """
        limit = self._limits.tunnel_seconds
        try:
            async with asyncio.timeout(limit):
                while self._process.status is None:
                    connection = self._try_to_connect()
                    if connection is not None:
                        return connection
                    await asyncio.sleep(_PAUSE_SECONDS)
                await self._process.wait(0)
        except TimeoutError:
            failure = not_ready(self._address, limit, self._process.shown)
        else:
            failure = ended(self._address, self._process)
        raise failure

    def _try_to_connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.connect(str(self._socket))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection

    async def explain(self, failure: HostError) -> HostError:
        """Why the far end closed, where ssh knows: it lost the host, or the host refused."""
        asked = "command" in failure.details
        deadline = asyncio.get_running_loop().time() + _SETTLE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._process.status is not None:
                await self._process.wait(0)
                # A forward of the config's own may have failed after ours stood.
                known = dropped(failure, self._process)
                return known if asked else ended(self._address, self._process)
            if not asked and _CHANNEL_REFUSED.search(self._process.said):
                return refused_there(self._address, await self._ask(), self._process)
            await asyncio.sleep(_PAUSE_SECONDS)
        return failure

    async def _ask(self) -> int | None:
        """How it is with the path on the host; None where nobody could be asked."""
        question = SshProcess(question_command(self._address, self._control), self._address.url)
        try:
            return await question.wait(self._limits.question_seconds)
        finally:
            question.close(self._limits.close_seconds)

    def close(self) -> None:
        """End ssh and remove the folder; may be called again."""
        self._process.close(self._limits.close_seconds)
        shutil.rmtree(self._folder, ignore_errors=True)


class SshLink(Link):
    """The plain link to this end of a tunnel, and the tunnel."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tunnel: Tunnel
    ) -> None:
        super().__init__(reader, writer)
        self._tunnel = tunnel

    @classmethod
    async def through(cls, tunnel: Tunnel, limit: int) -> Self:
        """The link, once there is one; raises HostError as ``Tunnel.connect``."""
        connection = await tunnel.connect()
        try:
            return cls(*await asyncio.open_connection(sock=connection, limit=limit), tunnel)
        except BaseException:
            connection.close()
            raise

    async def explain(self, failure: HostError) -> HostError:
        """With what ssh knows of a connection that was closed."""
        if failure.code != "host-closed-connection":
            return failure
        return await self._tunnel.explain(failure)

    def close(self) -> None:
        """Close this end, and end ssh."""
        super().close()
        self._tunnel.close()


async def open_ssh_link(address: SshAddress, limits: HostLimits) -> SshLink:
    """A link to the address; nothing is left running when it fails or is cancelled."""
    tunnel = Tunnel(address, limits)
    try:
        return await SshLink.through(tunnel, limits.message_bytes)
    except BaseException:
        tunnel.close()
        raise


def _place() -> str:
    """Where the folder is made: the user's own runtime folder, where its path is fit for ssh."""
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        if _PLAIN_FOLDER.fullmatch(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    return "/tmp"  # noqa: S108 - mkdtemp makes a folder of our own in it
