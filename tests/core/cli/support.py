# SPDX-License-Identifier: Apache-2.0
"""What the command line's tests share: outcomes, a host in a thread, real processes."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from uuid import UUID

from watchword.core.simulator import SimulatedHost

ROLES = ("ark", "ask", "cek", "oca", "pek", "pdh")
TABLE_GUID = UUID("1e74f542-71dd-4d66-963e-ef4287ff173b")
DISK = UUID("736869e5-84f0-4973-92ec-06879ce3da0b")


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status and both streams."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON document on stdout; anything beside it fails."""
        return json.loads(self.out)

    @property
    def code(self):
        """The error's code in JSON output."""
        return self.error["code"]

    @property
    def error(self):
        """The error in JSON output, its shape checked."""
        document = self.json
        assert document["ok"] is False
        error = document["error"]
        assert list(error) == ["code", "title", "message", "remedy", "details"]
        assert error["title"]
        assert error["message"]
        assert error["remedy"]
        return error


def start(*words, **options):
    """A real process of the command line."""
    return subprocess.Popen(
        [sys.executable, "-m", "watchword.core", *map(str, words)],
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error", **options.pop("env", {})},
        **options,
    )


def finish(process):
    """The outcome of a process, which is waited for."""
    out, err = process.communicate(timeout=30)
    return Outcome(process.returncode, (out or b"").decode(), err.decode())


class HostThread:
    """A simulated host with one VM, in a thread with an event loop of its own."""

    def __init__(self, keys, order, address=None, attack=None):
        self._keys, self._order, self._address, self._attack = keys, order, address, attack
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready = threading.Event()
        self._failure = None

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(20)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *problem):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with SimulatedHost(self._keys, self._attack) as self.host:
                server = await self.host.start_vm(self._order, self._address)
                self.url, self.machine = server.url, server.machine
                self._ready.set()
                await self._stop.wait()
        except BaseException as problem:
            self._failure = problem
            raise
        finally:
            self._ready.set()

    @property
    def packets(self):
        """What the secure processor was given, accepted or not."""
        return self.host.processor.packets


def parse_table(data):
    """The secret table as a guest reads it: GUID to data. Written apart from the core."""
    assert len(data) % 16 == 0
    guid, total = struct.unpack_from("<16sI", data)
    assert UUID(bytes_le=guid) == TABLE_GUID
    assert data[total:] == bytes(len(data) - total)
    assert len(data) - total < 16
    secrets, offset = {}, 20
    while offset < total:
        guid, length = struct.unpack_from("<16sI", data, offset)
        secrets[UUID(bytes_le=guid)] = data[offset + 20 : offset + length]
        offset += length
    assert offset == total
    return secrets


def modes(folder):
    """Name and permissions of all files below a folder."""
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777
        for path in folder.rglob("*")
        if path.is_file()
    }


def spellings(secret):
    """The ways in which a leaked secret would show, as bytes to look for."""
    text = secret.decode("latin-1")
    encoded = [base64.b64encode(bytes(lead) + secret) for lead in range(3)]
    return {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        repr(secret).encode()[2:-1],
        # Without what depends on the neighbours at either end.
        *(part[4:-4] for part in encoded),
    }


def kernel_options(vectors, row):
    """--kernel, --initrd and --cmdline of a vector, as it has them."""
    options = []
    for name in ("kernel", "initrd"):
        if row[name] is not None:
            options += [f"--{name}", vectors / "inputs" / row[name]]
    if row["cmdline"] is not None:
        options.append(f"--cmdline={row['cmdline']}")
    return options
