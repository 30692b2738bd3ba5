# SPDX-License-Identifier: Apache-2.0
"""Whatever a host does while connecting: it ends within the limit, with a clear error."""

from __future__ import annotations

import json

import pytest

from watchword.core.hosts.limits import HostLimits

from .behaviours import QUICK_GREETING, SMALL, drip, repeat, send, stay_silent
from .peer import GREETING, Refused

GREETING_LINE = json.dumps(GREETING).encode() + b"\n"


@pytest.mark.parametrize("where", ["unix", "127.0.0.1", "::1"])
def test_silence_names_the_other_client(refused_connect, where):
    error = refused_connect(stay_silent, QUICK_GREETING, where)
    assert error.code == "host-socket-busy"
    assert "another client (libvirt?) holds this socket" in error.message
    assert "0.2 s" in error.message


def test_a_greeting_that_drips(refused_connect):
    assert refused_connect(drip(b'{"QMP":'), QUICK_GREETING).code == "host-socket-busy"


def test_a_greeting_and_then_silence(refused_connect):
    # Long enough for the greeting to come on a busy machine.
    error = refused_connect(send(GREETING_LINE), HostLimits(greeting_seconds=2.5, **SMALL))
    assert error.code == "host-timeout"
    assert "2.5 s" in error.message


@pytest.mark.parametrize(
    "raw",
    [
        b"(qemu) \r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"QMP":1}\n',
        b'{"QMP":{}}\n',
        b'{"QMP":{"version":{},"capabilities":1}}\n',
        b'{"event":"STOP"}\n',
        b'{"return":{},"id":"__qmp#00000"}\n',
        b"\xff\xfe\n",
        b'{"a":' + b"9" * 4000 + b"}\n",
    ],
)
def test_a_greeting_that_is_none(refused_connect, raw):
    assert refused_connect(send(raw)).code == "host-not-qmp"


def test_a_negotiation_that_is_refused(refused_connect):
    async def refuse(peer):
        await peer.send(GREETING)
        await peer.answer(await peer.command(), Refused("no"))
        await peer.until_hung_up()

    assert refused_connect(refuse).code == "host-not-qmp"


def test_a_negotiation_with_another_answer(refused_connect):
    assert refused_connect(send(GREETING_LINE + b'{"event":"STOP"}\n')).code == "host-not-qmp"


@pytest.mark.parametrize("raw", [b"", b'{"QMP"', GREETING_LINE, GREETING_LINE + b'{"return"'])
def test_hanging_up_before_the_connection_is_set_up(refused_connect, raw):
    async def hang_up(peer):
        await peer.send_raw(raw)

    assert refused_connect(hang_up).code == "host-closed-connection"


def test_a_greeting_without_end(refused_connect):
    error = refused_connect(repeat(b"x" * 1024))
    assert error.code == "host-message-too-large"
    assert "4096 bytes" in error.message


def test_a_greeting_nested_without_end(refused_connect):
    assert refused_connect(send(b'{"QMP":' * 500 + b"\n")).code == "host-message-too-deep"
