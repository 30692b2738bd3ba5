# SPDX-License-Identifier: Apache-2.0
"""An injection without a clear answer is an open question, and is said to be one."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import HostError
from watchword.core.hosts.qmp import QmpHost

from .behaviours import (
    PATIENT,
    QUICK_INJECTION,
    Packet,
    at_injection,
    checked,
    hang_up,
    repeat,
    send,
    stay_silent,
)
from .peer import ANSWERS


def inject(host):
    return host.inject(Packet())


@pytest.mark.parametrize(
    ("then", "code"),
    [
        (stay_silent, "host-timeout"),
        (hang_up, "host-closed-connection"),
        (repeat(b'{"event":"X"}\n'), "host-flood"),
        (send(b"nonsense\n"), "host-message-garbled"),
        (send(b'{"error":{"class":"GenericError","desc":"x"}}\n'), "host-answer-unasked"),
    ],
)
def test_no_clear_answer_leaves_it_open_whether_the_packet_arrived(refused_call, then, code):
    limits = QUICK_INJECTION if then is stay_silent else PATIENT
    error = refused_call(at_injection(then), limits, inject)
    assert error.code == code
    assert error.details["packet_arrived"] == "unknown"
    assert "same packet may be sent again, another one never" in error.message


def test_hanging_up_before_the_injection_leaves_nothing_open(refused_call):
    error = refused_call(hang_up, call=inject)
    assert error.code == "host-closed-connection"
    assert "packet_arrived" not in error.details


def test_an_injection_has_a_limit_of_its_own(refused_call):
    assert "0.2 s" in refused_call(at_injection(stay_silent), QUICK_INJECTION, inject).message


def test_a_host_that_does_not_read_the_packet(run, accepting):
    # Larger than the sockets' buffers: it can't be sent, and close() must not wait for it.
    packet = Packet(ciphertext=bytes(8 * 1024 * 1024))

    async def stop_reading(peer):
        await peer.answer(await peer.command(), ANSWERS["query-sev"])
        await peer.answer(await peer.command(), ANSWERS["query-status"])
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async def main():
        connecting = accepting(stop_reading)
        async with (
            connecting as server,
            await QmpHost.connect(server.address, QUICK_INJECTION) as host,
        ):
            with pytest.raises(HostError) as caught:
                await host.inject(packet)
            return caught.value

    assert checked(run(main())).code == "host-timeout"
