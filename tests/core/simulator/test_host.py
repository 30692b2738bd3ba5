# SPDX-License-Identifier: Apache-2.0
"""The simulated host starts and ends things, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from watchword.core.errors import UsageError
from watchword.core.simulator import (
    FirmwareVersion,
    PlatformKeys,
    SimulatedHost,
    StartFailure,
    StartOrder,
)


def test_several_machines_run_beside_each_other_and_all_end(
    keys: PlatformKeys, order: StartOrder, client_type
):
    async def run() -> None:
        async with SimulatedHost(keys) as host:
            monitor = await host.open_monitor()
            guests = [await host.start_vm(order) for _ in range(3)]
            assert [guest.machine.handle for guest in guests] == [1, 2, 3]
            for server in (monitor, *guests):
                client = await client_type.negotiated(server.address)
                enabled = (await client.ask("query-sev"))["return"]["enabled"]
                assert enabled is (server is not monitor)
                await client.close()
            places = [server.address for server in (monitor, *guests)]
            assert len(set(places)) == 4
            assert stat.S_IMODE(places[0].parent.stat().st_mode) == 0o700
        assert not places[0].parent.exists()
        assert host.processor.guest_count == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_a_guest_can_be_reached_where_it_was_asked_to_be(
    keys: PlatformKeys, order: StartOrder, folder: Path, client_type
):
    async def run() -> None:
        async with SimulatedHost(keys) as host:
            server = await host.start_vm(order, folder / "vm1.sock")
            assert server.url == f"qmp+unix://{folder}/vm1.sock"
            tcp = await host.open_monitor(("127.0.0.1", 0))
            await (await client_type.negotiated(tcp.address)).close()

    asyncio.run(run())
    assert list(folder.iterdir()) == []


def test_ending_one_guest_leaves_the_others(keys: PlatformKeys, order: StartOrder, client_type):
    async def run() -> None:
        async with SimulatedHost(keys) as host:
            first, second = [await host.start_vm(order) for _ in range(2)]
            await first.stop()
            third = await host.start_vm(order)
            assert third.address != second.address
            client = await client_type.negotiated(second.address)
            assert (await client.ask("query-sev"))["return"]["state"] == "launch-secret"
            await client.close()

    asyncio.run(run())


def test_a_start_that_fails_leaves_nothing(keys: PlatformKeys, order: StartOrder):
    async def run() -> None:
        async with SimulatedHost(keys) as host:
            host.processor.rotate_pdh()
            with pytest.raises(StartFailure, match="fw_error=11"):
                await host.start_vm(order)
            assert host.processor.guest_count == 0

    asyncio.run(run())


def test_an_address_that_can_not_be_used_ends_the_machine_again(
    keys: PlatformKeys, order: StartOrder, folder: Path
):
    async def run() -> None:
        async with SimulatedHost(keys) as host:
            with pytest.raises(Exception, match="can't be listened on"):
                await host.start_vm(order, folder / "missing" / "qmp.sock")
            assert host.processor.guest_count == 0

    asyncio.run(run())


def test_the_firmware_can_be_chosen(keys: PlatformKeys, order: StartOrder):
    async def run() -> None:
        version = FirmwareVersion(1, 49, 6)
        async with SimulatedHost(keys, version=version, es_enabled=False) as host:
            assert host.processor.version == version
            assert not host.processor.es_enabled
            await host.start_vm(order)

    asyncio.run(run())


def test_outside_its_context_it_says_so(keys: PlatformKeys):
    with pytest.raises(UsageError, match="outside its context"):
        _ = SimulatedHost(keys).processor
