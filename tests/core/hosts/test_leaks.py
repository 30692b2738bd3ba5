# SPDX-License-Identifier: Apache-2.0
"""Nothing of a packet gets into logs, errors or reprs, however much logging is switched on."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from dataclasses import dataclass, field

import pytest
from qemu.qmp import Message

from watchword.core.errors import HostError
from watchword.core.hosts.qmp import QmpHost

from .behaviours import QUICK_INJECTION
from .peer import ANSWERS, Refused

CANARY = b"canary-canary-canary-canary-canary-canary-canary"


@dataclass(frozen=True)
class Packet:
    header: bytes = field(default=CANARY + b"head")
    ciphertext: bytes = field(default=CANARY)


def traces(text):
    """Whether the canary is in a text, as itself, in hex or in base64."""
    forms = [CANARY.decode(), CANARY.hex(), base64.b64encode(CANARY).decode()[:40]]
    return any(form in text for form in forms)


async def hang_up(peer, command):
    pass


async def stay_silent(peer, command):
    await peer.until_hung_up()


async def echo_as_error(peer, command):
    await peer.answer(command, Refused("fw_error=11"))
    await peer.until_hung_up()


async def malformed(peer, command):
    await peer.send({"id": command["id"]})
    await peer.until_hung_up()


async def succeed(peer, command):
    await peer.answer(command, {})
    await peer.until_hung_up()


@pytest.mark.parametrize("ending", [hang_up, stay_silent, echo_as_error, malformed, succeed])
def test_no_byte_of_a_packet_is_logged_or_shown(run, accepting, caplog, capfd, ending):
    for name in ("", "qemu.qmp", "qemu.qmp.protocol", "qemu.qmp.qmp_client", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    seen = []

    async def behave(peer):
        while True:
            command = await peer.command()
            if command["execute"] == "sev-inject-launch-secret":
                seen.append(command)
                return await ending(peer, command)
            await peer.answer(command, ANSWERS[command["execute"]])

    async def main():
        shown = []
        async with (
            accepting(behave) as server,
            await QmpHost.connect(server.address, QUICK_INJECTION) as host,
        ):
            # After connecting, which pins it: a user may undo that by accident.
            logging.getLogger("qemu.qmp").setLevel(logging.DEBUG)
            try:
                await host.inject(Packet())
            except HostError as error:
                shown += [str(error), repr(error), repr(error.args), repr(error.as_json())]
                shown += traceback.format_exception(error)
                shown += [repr(error.__context__), repr(error.__cause__)]
            shown += [repr(host), repr(host._client), str(asyncio.all_tasks())]
        return shown

    shown = run(main())
    assert seen, "the packet was never sent"
    assert traces(str(seen)), "the canary can't be recognised"
    assert not traces("\n".join(shown))
    assert not [record for record in caplog.records if record.name.startswith("qemu")]
    assert not traces(caplog.text)
    printed = capfd.readouterr()
    assert not traces(printed.out + printed.err)
    assert "qemu" not in printed.err


def test_no_message_is_even_made_ready_for_a_log(run, qemu, monkeypatch):
    rendered = []
    monkeypatch.setattr(Message, "__str__", lambda self: rendered.append(self) or "")

    async def main():
        async with qemu() as server, await QmpHost.connect(server.address) as host:
            await host.inject(Packet())

    run(main())
    assert rendered == []


def test_the_library_s_logger_is_pinned_for_others(run, qemu):
    logging.getLogger("qemu.qmp").setLevel(logging.DEBUG)

    async def main():
        async with qemu() as server, await QmpHost.connect(server.address):
            return logging.getLogger("qemu.qmp.protocol").getEffectiveLevel()

    assert run(main()) == logging.WARNING


def test_the_parts_of_the_library_under_another_licence_are_not_imported():
    import subprocess
    import sys

    code = (
        "import sys, watchword.core.hosts.qmp\n"
        "bad = {'qemu.qmp.legacy', 'qemu.qmp.qmp_shell', 'qemu.qmp.qmp_tui'}\n"
        "sys.exit(bool(bad & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
