# SPDX-License-Identifier: Apache-2.0
"""SEV's commands are answered by the simulation, all others by the real QEMU behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from qemu.qmp import ExecuteError, QMPClient

from watchword.core.errors import BadInput, HostError
from watchword.core.simulator import (
    GUEST_ATTACKS,
    Attack,
    Disk,
    PlatformKeys,
    QemuHost,
    QemuMachine,
    StartFailure,
    StartOrder,
    attack_named,
    build_firmware,
)
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.other_owner import make_session
from watchword.core.simulator.qemu_process import QemuProcess

POLICY = 0x2B
Talk = Callable[[QMPClient, QemuMachine], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_file_left(
    program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    del tmp_path  # made before temporary files go elsewhere
    program("qemu-system-x86_64", "qemu-system-x86")
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert list(Path(folder).iterdir()) == []


@pytest.fixture(scope="module")
def machine_keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


@pytest.fixture
def order(machine_keys: PlatformKeys) -> StartOrder:
    session = make_session(machine_keys.pdh_key.public_key(), POLICY)
    return StartOrder(build_firmware(), POLICY, session.dh_cert_file, session.session_file)


def bzimage(payload: bytes = b"\x90" * 5000) -> bytes:
    """The least that QEMU takes for a Linux kernel of boot protocol 2.12: five setup sectors."""
    setup = bytearray(5 * 512)
    setup[0x1F1] = 4
    setup[0x1FE:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    setup[0x206:0x208] = (0x20C).to_bytes(2, "little")
    setup[0x211] = 1
    setup[0x22C:0x230] = (0x7FFFFFFF).to_bytes(4, "little")
    return bytes(setup) + payload


def serve(
    order: StartOrder, keys: PlatformKeys, talk: Talk | None = None, attack: Attack | None = None
) -> None:
    """Start the VM, talk to it over QMP, and see that nothing is left."""

    async def whole() -> None:
        async with asyncio.timeout(60), QemuHost(keys, attack, ram_size=128 << 20) as host:
            server = await host.start_vm(order)
            machine = server.machine
            assert isinstance(machine, QemuMachine)
            client = QMPClient("owner")
            await client.connect(str(server.address))
            try:
                if talk is not None:
                    await talk(client, machine)
            finally:
                with contextlib.suppress(EOFError):
                    await client.disconnect()
        assert machine.qemu.pid is None
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


def test_what_is_not_sevs_is_answered_by_qemu_itself(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    async def talk(client: QMPClient, machine: QemuMachine) -> None:
        kvm = await client.execute("query-kvm")
        assert kvm["enabled"] is False  # type: ignore[index]
        version = await client.execute("query-version")
        assert "Watchword" not in str(version)
        assert client.greeting is not None
        assert dict(client.greeting.QMP.version)["qemu"] == version["qemu"]  # type: ignore[index]
        with pytest.raises(ExecuteError, match="The command nonsense has not been found"):
            await client.execute("nonsense")
        sev = await client.execute("query-sev")
        assert (sev["state"], sev["policy"]) == ("launch-secret", POLICY)  # type: ignore[index]
        measured = await client.execute("query-sev-launch-measure")
        assert measured == {"data": machine.measurement}

    serve(order, machine_keys, talk)


def test_qemus_events_reach_the_client_and_cont_closes_the_launch(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    async def follow(client: QMPClient, machine: QemuMachine) -> None:
        seen: list[str] = []
        for command in ("cont", "stop"):
            await client.execute(command)
            seen.append((await client.events.get())["event"])
        assert seen == ["RESUME", "STOP"]
        assert machine.state.name == "RUNNING"
        status = await client.execute("query-status")
        assert status["status"] == "paused"  # type: ignore[index]

    serve(order, machine_keys, follow)


def test_quit_ends_qemu(order: StartOrder, machine_keys: PlatformKeys) -> None:
    async def talk(client: QMPClient, machine: QemuMachine) -> None:
        assert await client.execute("quit") == {}
        while machine.qemu.pid is not None:  # noqa: ASYNC110 - for as long as `serve` lets it
            await asyncio.sleep(0.02)

    serve(order, machine_keys, talk)


def test_a_secret_lies_in_the_guests_memory_where_the_firmware_says(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    async def talk(_client: QMPClient, machine: QemuMachine) -> None:
        area = machine.areas.secret
        assert area is not None
        machine.memory.write(area.base, b"the table")
        qemu = machine.qemu.monitor
        seen = await qemu.execute(
            "human-monitor-command", {"command-line": f"xp /9bx {area.base:#x}"}
        )
        assert "0x74 0x68 0x65 0x20" in str(seen)

    serve(order, machine_keys, talk)


@pytest.mark.parametrize("initrd", [None, b"i" * 70_001])
def test_the_table_in_memory_is_of_the_header_that_qemu_edits_and_the_digest_is_not(
    order: StartOrder, machine_keys: PlatformKeys, initrd: bytes | None
) -> None:
    kernel = bzimage()

    async def talk(_client: QMPClient, machine: QemuMachine) -> None:
        area = machine.areas.hashes
        assert area is not None
        visible = machine.qemu.visible_kernel
        assert visible is not None
        assert visible != kernel
        assert visible[0x210] == 0xB0  # type of loader
        size = int.from_bytes(visible[0x21C:0x220], "little")
        assert size == len(initrd or b"")
        assert visible[2560:] == kernel[2560:]
        seen = machine.memory.read(area.base, 176)
        assert seen == kernel_table(visible, initrd or b"", "quiet")
        # The probe's own traces are gone.
        assert machine.memory.read(16 << 20, 1 << 16) == bytes(1 << 16)

    ordered = replace(order, kernel=kernel, initrd=initrd, command_line="quiet")
    serve(ordered, machine_keys, talk)


def test_a_swapped_kernel_is_loaded_where_the_owners_is_in_the_table(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    kernel = bzimage()

    async def talk(_client: QMPClient, machine: QemuMachine) -> None:
        area = machine.areas.hashes
        assert area is not None
        assert machine.order.swapped_kernel not in (None, kernel)
        visible = machine.qemu.visible_kernel
        assert visible is not None
        assert visible[2560:] == kernel[2560:]
        assert machine.memory.read(area.base, 176) == kernel_table(visible, b"", "")

    serve(replace(order, kernel=kernel), machine_keys, talk, attack_of_guest("swapped-kernel"))


def attack_of_guest(name: str) -> Attack:
    return attack_named(name, GUEST_ATTACKS)


def test_a_firmware_that_halts_is_seen_to_stand_still(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    async def talk(client: QMPClient, machine: QemuMachine) -> None:
        await client.execute("cont")  # the made-up firmware's reset vector is a HLT
        while not await machine.qemu.stands_still():  # for as long as `serve` lets it
            pass

    serve(order, machine_keys, talk)


def test_a_kernel_that_qemu_does_not_hand_on_as_one_is_refused(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    short = bytearray(bzimage())
    short[0x1F1] = 63  # more setup sectors than there are bytes
    with pytest.raises((BadInput, HostError)) as refused:
        serve(replace(order, kernel=bytes(short)), machine_keys)
    assert refused.value.code in ("kernel-not-bootable", "qemu-not-started")


@pytest.mark.parametrize("impatient", [False, True])
@pytest.mark.parametrize("turns", range(12))
def test_cancelling_while_qemu_is_being_started_ends_it(
    order: StartOrder, tmp_path: Path, turns: int, impatient: bool
) -> None:
    """asyncio alone would wait for ever for pipes that are not connected yet."""

    async def cancel() -> None:
        task = asyncio.create_task(QemuProcess.start(replace(order, ram_size=128 << 20), tmp_path))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if impatient:
            await asyncio.sleep(0)
            task.cancel()
        ended, _ = await asyncio.wait([task], timeout=20)
        assert ended
        assert task.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancel())
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text() == ""


def test_a_qemu_that_ends_before_it_is_looked_at_tells_why(
    order: StartOrder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "qemu"
    broken.write_text("#!/bin/sh\necho 'qemu: no accelerator found' >&2\nexit 1\n")
    broken.chmod(0o755)

    def reaped(pid: int) -> int:
        del pid
        raise ProcessLookupError

    monkeypatch.setattr("watchword.core.simulator.qemu_files.find_program", lambda name: broken)
    monkeypatch.setattr("os.pidfd_open", reaped)
    with pytest.raises(HostError) as failed:
        asyncio.run(QemuProcess.start(replace(order, ram_size=128 << 20), tmp_path))
    assert failed.value.code == "qemu-not-started"
    assert "no accelerator found" in failed.value.message


def test_the_simulations_own_refusals_come_before_qemu_is_started(
    order: StartOrder, machine_keys: PlatformKeys
) -> None:
    with pytest.raises(StartFailure):
        serve(replace(order, firmware=b"odd"), machine_keys)
    with pytest.raises(StartFailure, match="fw_error=11"):
        serve(replace(order, policy=0), machine_keys)


def test_the_owners_image_is_never_written_to(
    order: StartOrder, machine_keys: PlatformKeys, tmp_path: Path
) -> None:
    image = tmp_path / "a,b=c:d.img"
    image.write_bytes(bytes(1 << 20))
    before = image.stat()

    async def whole() -> None:
        host = QemuHost(machine_keys, disk=Disk(image), ram_size=128 << 20)
        async with asyncio.timeout(30), host:
            machine = (await host.start_vm(order)).machine
            assert isinstance(machine, QemuMachine)
            monitor = machine.qemu.monitor
            blocks = await monitor.execute("query-block")
            block = [one for one in blocks if one["device"] == "disk0"]  # type: ignore[attr-defined]
            assert block[0]["inserted"]["ro"] is False
            assert block[0]["inserted"]["backing_file"] == str(image)
            words = 'qemu-io disk0 "write -P 7 0 4096"'
            answer = await monitor.execute("human-monitor-command", {"command-line": words})
            assert answer == ""  # no complaint

    asyncio.run(whole())
    after = image.stat()
    assert image.read_bytes() == bytes(1 << 20)
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
