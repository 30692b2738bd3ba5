# SPDX-License-Identifier: Apache-2.0
"""What the simulator's tests share: keys made once, and a guest owner of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchword.core.simulator import PlatformKeys, StartOrder, build_firmware
from watchword.core.simulator.other_owner import OwnerSession, make_session

POLICY = 0x1100002B  # NODBG, NOKS, NOSEND, SEV, at least API 0.17


@pytest.fixture(scope="session")
def keys() -> PlatformKeys:
    """A platform with 2048-bit CA keys: nothing here depends on their size."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def firmware() -> bytes:
    return build_firmware()


@pytest.fixture
def session(keys: PlatformKeys) -> OwnerSession:
    return make_session(keys.pdh_key.public_key(), POLICY)


@pytest.fixture
def order(session: OwnerSession, firmware: bytes) -> StartOrder:
    return order_for(session, firmware)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory with a name short enough for socket files."""
    path = Path(tempfile.mkdtemp(prefix="ww-test-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def order_for(owner: OwnerSession, firmware: bytes, /, **changes: object) -> StartOrder:
    details = {
        "policy": POLICY,
        "dh_cert": owner.dh_cert_file,
        "session": owner.session_file,
        **changes,
    }
    return StartOrder(firmware, **details)


class RawClient:
    """A QMP client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: Path | tuple[str, int]) -> RawClient:
        if isinstance(address, Path):
            return cls(*await asyncio.open_unix_connection(str(address)))
        return cls(*await asyncio.open_connection(*address))

    @classmethod
    async def negotiated(cls, address: Path | tuple[str, int]) -> RawClient:
        client = await cls.connect(address)
        await client.line()
        assert await client.ask("qmp_capabilities") == {"return": {}}
        return client

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def raw_line(self) -> bytes:
        async with asyncio.timeout(60):
            return await self._reader.readline()

    async def line(self) -> dict[str, object]:
        return json.loads(await self.raw_line())

    async def ask(self, command: str, **arguments: object) -> dict[str, object]:
        """Send a command, and return the reply; events before it are dropped."""
        names = {name.replace("_", "-"): value for name, value in arguments.items()}
        await self.send(json.dumps({"execute": command, "arguments": names}).encode())
        while "event" in (reply := await self.line()):
            pass
        return reply

    async def at_end(self) -> bool:
        """Whether the server closed the connection."""
        async with asyncio.timeout(60):
            return await self._reader.read(1) == b""

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@pytest.fixture
def client_type() -> type[RawClient]:
    return RawClient


@pytest.fixture
def make_order() -> Callable[..., StartOrder]:
    return order_for
