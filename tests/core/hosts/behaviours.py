# SPDX-License-Identifier: Apache-2.0
"""What hostile hosts do, the limits under which they do it, and what their errors must be like."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from qemu.qmp import Runstate

from watchword.core.errors import ExitStatus
from watchword.core.hosts.limits import HostLimits

from .peer import ANSWERS

SMALL = {"message_bytes": 4096, "bytes_per_command": 16384, "messages_per_command": 50}
PATIENT = HostLimits(**SMALL)
# Each shortens one wait only: on a busy machine the others must not end first.
QUICK_GREETING = HostLimits(greeting_seconds=0.2, **SMALL)
QUICK_COMMAND = HostLimits(command_seconds=0.2, **SMALL)
QUICK_INJECTION = HostLimits(inject_seconds=0.2, **SMALL)


@dataclass(frozen=True)
class Packet:
    """What a sealed packet looks like to a host."""

    header: bytes = bytes(52)
    ciphertext: bytes = bytes(range(64))


async def hang_up(peer):
    pass


async def stay_silent(peer):
    await peer.until_hung_up()


def drip(raw):
    """Send a beginning and then one byte after the other, for ever, never ending the line."""

    async def behave(peer):
        await peer.send_raw(raw)
        while True:
            await peer.send_raw(b" ")
            await asyncio.sleep(0.01)

    return behave


def repeat(raw):
    """Send the same bytes for ever."""

    async def behave(peer):
        while True:
            await peer.send_raw(raw)

    return behave


def send(raw):
    """Send these bytes, then nothing."""

    async def behave(peer):
        await peer.send_raw(raw)
        await peer.until_hung_up()

    return behave


def at_injection(then):
    """Answer as QEMU would until the injection comes, then do something else."""

    async def behave(peer):
        await peer.answer(await peer.command(), ANSWERS["query-sev"])
        await peer.answer(await peer.command(), ANSWERS["query-status"])
        assert (await peer.command())["execute"] == "sev-inject-launch-secret"
        await then(peer)

    return behave


async def ended(host):
    """Wait until this side has seen that the connection is over."""
    while host._client.runstate is Runstate.RUNNING:
        await host._client.runstate_changed()


def checked(error):
    """The error, which is fit to be shown, fit for JSON, and leads to no foreign exception."""
    assert error.exit_status == ExitStatus.HOST
    assert error.title
    assert error.remedy
    assert error.message.isprintable()
    assert len(error.message) < 1000
    assert error.__context__ is None
    assert error.__cause__ is None
    assert json.loads(json.dumps(error.as_json()))["code"] == error.code
    return error
