# SPDX-License-Identifier: Apache-2.0
"""Servers that do what a test tells them to, well-behaved or hostile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import tempfile
from pathlib import Path

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import TcpAddress, UnixAddress

from .behaviours import PATIENT, checked
from .peer import HungUp, Peer, Server


@pytest.fixture
def socket_folder():
    # pytest's own temporary folders may be too long for a unix socket.
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def serving(socket_folder):
    """``async with serving(behaviour) as server``: each connection is given to ``behaviour``."""

    @contextlib.asynccontextmanager
    async def serving(behaviour, where="unix"):
        tasks = set()
        server = Server(None)

        async def handle(reader, writer):
            tasks.add(asyncio.current_task())
            peer = Peer(reader, writer)
            server.peers.append(peer)
            with contextlib.suppress(HungUp, ConnectionError, asyncio.CancelledError):
                await behaviour(peer)
            writer.transport.abort()

        if where == "unix":
            path = str(socket_folder / "qmp.sock")
            listener = await asyncio.start_unix_server(handle, path)
            server.address = UnixAddress(path)
        else:
            listener = await asyncio.start_server(handle, where, 0)
            server.address = TcpAddress(where, listener.sockets[0].getsockname()[1])
        try:
            yield server
        finally:
            listener.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return serving


@pytest.fixture
def accepting(serving):
    """``async with accepting(behaviour)``: as ``serving``, after greeting and negotiation."""

    def accepting(behaviour, where="unix"):
        async def accept_first(peer):
            await peer.accept()
            await behaviour(peer)

        return serving(accept_first, where)

    return accepting


@pytest.fixture
def qemu(accepting):
    """``async with qemu(query_sev=…)``: a QEMU with some answers changed."""

    def qemu(where="unix", **changes):
        return accepting(lambda peer: peer.serve(**changes), where)

    return qemu


@pytest.fixture
def run():
    """Run a coroutine; whatever it does, it ends, leaves no task, and asyncio has no complaint."""

    def run(coroutine):
        async def guarded():
            complaints = []
            gc.freeze()  # so that collecting afterwards looks at this run's objects alone
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            # For what hangs: a busy machine takes its time.
            async with asyncio.timeout(30):
                result = await coroutine
            for _ in range(3):  # closed transports say so in the next rounds of the loop
                await asyncio.sleep(0)
            gc.collect()
            gc.unfreeze()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert complaints == []
            return result

        return asyncio.run(guarded())

    return run


@pytest.fixture
def refused_connect(run, serving):
    """The error of connecting to a server that behaves so."""

    def refused_connect(behaviour, limits=PATIENT, where="unix"):
        async def main():
            async with serving(behaviour, where) as server:
                with pytest.raises(HostError) as caught:
                    await QmpHost.connect(server.address, limits)
                return caught.value

        return checked(run(main()))

    return refused_connect


@pytest.fixture
def refused_call(run, accepting):
    """The error of one call, after which the connection is done with: later calls fail alike."""

    def refused_call(behaviour, limits=PATIENT, call=lambda host: host.vcpu_count(), where="unix"):
        async def main():
            connecting = accepting(behaviour, where)
            async with connecting as server, await QmpHost.connect(server.address, limits) as host:
                with pytest.raises(HostError) as caught:
                    await call(host)
                sent = len(server.commands)
                for again in (host.state, host.resume, host.platform):
                    with pytest.raises(HostError) as later:
                        await again()
                    assert later.value.code == caught.value.code
                assert len(server.commands) == sent
                return caught.value

        return checked(run(main()))

    return refused_call


@pytest.fixture
def error_of(run, qemu):
    """The error of one call to a QEMU with changed answers, and the server.

    Afterwards the connection still works: such an error is no reason to give it up.
    """

    def error_of(call, **changes):
        async def main():
            async with qemu(**changes) as server, await QmpHost.connect(server.address) as host:
                with pytest.raises(HostError) as caught:
                    await call(host)
                if "query-cpus-fast" not in changes:
                    assert await host.vcpu_count() == 2
                return caught.value, server

        error, server = run(main())
        return checked(error), server

    return error_of
