# SPDX-License-Identifier: Apache-2.0
"""What systemd is told, over a real datagram socket as its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import time

import pytest

from watchword.core.watch.notify import ServiceManager

from .service_support import short_folder, until


@pytest.fixture(params=["file", "abstract"])
def manager_socket(request):
    """The address, as NOTIFY_SOCKET has it, and the bound socket."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        name = str(folder / "notify") if request.param == "file" else f"@ww-{secrets.token_hex(8)}"
        bound.bind("\0" + name[1:] if name.startswith("@") else name)
        bound.settimeout(10)
        yield name, bound


def said(bound):
    return bound.recv(4096).decode().split("\n")


def test_systemd_is_told_of_each_state(manager_socket):
    name, bound = manager_socket
    manager = ServiceManager.of_this_process({"NOTIFY_SOCKET": name})
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert manager.ready("serving 2 guests")
    assert said(bound) == ["READY=1", "STATUS=serving 2 guests"]
    assert manager.reloading()
    reloading, moment = said(bound)
    assert reloading == "RELOADING=1"
    key, _, microseconds = moment.partition("=")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert key == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= after
    assert manager.stopping("over")
    assert said(bound) == ["STOPPING=1", "STATUS=over"]
    assert manager.alive()
    assert said(bound) == ["WATCHDOG=1"]


def test_a_status_can_bring_no_message_of_its_own(manager_socket):
    name, bound = manager_socket
    manager = ServiceManager(name)
    manager.status("refused a\nREADY=1\rMAINPID=1 " + "x" * 1000)
    [line] = said(bound)
    assert line.startswith("STATUS=refused a�READY=1�MAINPID=1 xxx")
    assert len(line) < 300


def test_what_systemd_says_is_taken_out_of_the_environment():
    environment = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "HOME": "/"}
    environment["WATCHDOG_PID"] = str(os.getpid())
    manager = ServiceManager.of_this_process(environment)
    assert environment == {"HOME": "/"}
    assert manager.watchdog_seconds == 3.0


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/a\0b"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "never"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "9" * 400},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_signs_of_life_are_given_only_where_they_are_wanted_of_us(environment):
    manager = ServiceManager.of_this_process(dict(environment))
    assert manager.watchdog_seconds is None
    asyncio.run(asyncio.wait_for(manager.keep_alive(lambda: True), 10))  # ends by itself


@pytest.mark.parametrize("address", [None, "/nowhere/at/all", "@" + "x" * 500])
def test_that_nobody_listens_is_no_reason_to_stop(address):
    assert not ServiceManager(address).ready()


def test_signs_of_life_stop_when_the_work_stands_still(manager_socket):
    name, bound = manager_socket
    bound.setblocking(False)
    works = [True]

    def heard():
        count = 0
        while True:
            try:
                assert bound.recv(100) == b"WATCHDOG=1"
            except BlockingIOError:
                return count
            count += 1

    async def scenario():
        manager = ServiceManager(name, 0.02)
        task = asyncio.create_task(manager.keep_alive(lambda: works[0]))
        told = 0
        async with asyncio.timeout(20):
            while told < 3:
                await asyncio.sleep(0.01)
                told += heard()
        works[0] = False
        heard()
        await asyncio.sleep(0.1)
        assert heard() == 0
        works[0] = True
        await until(heard)
        # A loop that is blocked gives none either.
        time.sleep(0.1)  # noqa: ASYNC251 - that is what is tested
        assert heard() == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_systemds_own_program_says_the_same(program, manager_socket):
    tool = program("systemd-notify", "systemd")
    name, bound = manager_socket
    environment = {**os.environ, "NOTIFY_SOCKET": name}
    words = (tool, "--no-block", "--ready", "--status=as ours")
    subprocess.run(words, env=environment, check=True, timeout=60)
    theirs = said(bound)
    ServiceManager(name).ready("as ours")
    ours = said(bound)
    assert {line for line in theirs if not line.startswith("MAINPID=")} == set(ours)
