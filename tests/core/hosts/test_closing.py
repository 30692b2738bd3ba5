# SPDX-License-Identifier: Apache-2.0
"""Cancelling and closing end at once, close the socket, and leave nothing behind."""

from __future__ import annotations

import asyncio

import pytest
from qemu.qmp import Runstate

from watchword.core.errors import HostError
from watchword.core.hosts.bounded_client import BoundedClient
from watchword.core.hosts.qmp import QmpHost

from .behaviours import ended, hang_up, stay_silent


@pytest.mark.parametrize("connected", [False, True])
def test_cancelling_closes_the_socket(run, serving, connected):
    async def main():
        reached = asyncio.Event()
        hung_up = asyncio.Event()

        async def behave(peer):
            if connected:
                await peer.accept()
                await peer.command()
            reached.set()
            await peer.until_hung_up()
            hung_up.set()

        async def call(server):
            host = await QmpHost.connect(server.address)
            await host.vcpu_count()

        async with serving(behave) as server:
            calling = asyncio.create_task(call(server))
            await reached.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            await hung_up.wait()

    run(main())


def test_cancelling_at_any_moment_of_connecting_leaves_no_socket_open(run, accepting):
    # An open socket, a task or an exception that nobody looked at would fail the test.
    async def main():
        async with accepting(stay_silent) as server:
            for rounds in range(20):
                connecting = asyncio.create_task(QmpHost.connect(server.address))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                connecting.cancel()
                done, _ = await asyncio.wait({connecting})
                if not done.pop().cancelled():
                    await connecting.result().close()

    run(main())


def test_cancelling_a_close_leaves_nothing_either(run, accepting):
    async def main():
        async with accepting(stay_silent) as server:
            host = await QmpHost.connect(server.address)
            closing = asyncio.create_task(host.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            await ended(host)
            while host._client.runstate is not Runstate.IDLE:
                await host._client.runstate_changed()

    run(main())


def test_a_cancelled_call_is_the_connection_s_last(run, accepting):
    async def main():
        async with accepting(stay_silent) as server:
            host = await QmpHost.connect(server.address)
            calling = asyncio.create_task(host.vcpu_count())
            await asyncio.sleep(0)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            with pytest.raises(HostError) as caught:
                await host.state()
            return caught.value.code

    assert run(main()) == "host-call-cancelled"


def test_closing_while_a_call_waits_ends_the_call(run, accepting):
    async def main():
        async with accepting(stay_silent) as server:
            host = await QmpHost.connect(server.address)
            calling = asyncio.create_task(host.vcpu_count())
            await asyncio.sleep(0)
            await host.close()
            with pytest.raises(HostError):
                await calling

    run(main())


def test_closing_after_the_host_hung_up_raises_nothing(run, accepting):
    async def main():
        async with accepting(hang_up) as server:
            host = await QmpHost.connect(server.address)
            await ended(host)
            await host.close()
            await host.close()

    run(main())


def test_a_call_after_close_is_an_error(run, qemu):
    async def main():
        async with qemu() as server:
            host = await QmpHost.connect(server.address)
            await host.close()
            await host.close()
            with pytest.raises(HostError) as caught:
                await host.state()
            return caught.value.code

    assert run(main()) == "host-connection-closed"


def test_an_error_in_the_block_closes_the_connection_and_passes_on(run, accepting):
    async def main():
        hung_up = asyncio.Event()

        async def wait(peer):
            await peer.until_hung_up()
            hung_up.set()

        async with accepting(wait) as server:
            with pytest.raises(ZeroDivisionError):
                async with await QmpHost.connect(server.address):
                    raise ZeroDivisionError
            await hung_up.wait()

    run(main())


def test_a_new_connection_is_possible_after_close(run, qemu):
    async def main():
        async with qemu() as server:
            for _ in range(3):
                async with await QmpHost.connect(server.address) as host:
                    await host.vcpu_count()
            return len(server.peers)

    assert run(main()) == 3


def test_a_close_that_takes_too_long_is_given_up_quietly(run, accepting, monkeypatch):
    # An exception that nobody looked at would fail the test.
    async def never(client, error_pathway):
        await asyncio.Event().wait()

    async def main():
        async with accepting(hang_up) as server:
            host = await QmpHost.connect(server.address)
            with monkeypatch.context() as stuck:
                stuck.setattr(BoundedClient, "_bh_close_stream", never)
                await ended(host)
                await host._client.drop(0.01)
            while host._client.runstate is not Runstate.IDLE:
                await host._client.runstate_changed()

    run(main())
