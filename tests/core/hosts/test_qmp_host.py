# SPDX-License-Identifier: Apache-2.0
"""QmpHost against a QEMU that behaves: over unix sockets and TCP, and what it explains."""

from __future__ import annotations

import base64
import socket

import pytest

from watchword.core.errors import UsageError
from watchword.core.hosts.protocol import SevState
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import TcpAddress

from .behaviours import Packet


@pytest.fixture
def ask(run, qemu):
    """Connect to a QEMU with changed answers, make one call, return result and server."""

    def ask(call, **changes):
        async def main():
            async with qemu(**changes) as server, await QmpHost.connect(server.address) as host:
                return await call(host), server

        return run(main())

    return ask


def test_the_platform_is_read(ask):
    answer, _ = ask(lambda host: host.platform())
    assert (len(answer.pdh), len(answer.cert_chain)) == (2084, 6252)
    assert answer.cpu_id == bytes(range(64))


def test_the_state_is_read(ask):
    state, _ = ask(lambda host: host.state())
    assert state.state is SevState.LAUNCH_SECRET
    assert state.paused


def test_measurement_report_and_vcpus_are_read(ask):
    assert ask(lambda host: host.measurement())[0] == bytes(range(48))
    assert ask(lambda host: host.attestation_report(bytes(16)))[0] == bytes(range(208))
    assert ask(lambda host: host.vcpu_count())[0] == 2


def test_the_packet_is_sent_as_it_is(ask):
    _, server = ask(lambda host: host.inject(Packet()))
    sent = server.peers[0].commands[-1]
    assert sent["execute"] == "sev-inject-launch-secret"
    assert base64.b64decode(sent["arguments"]["packet-header"]) == Packet().header
    assert base64.b64decode(sent["arguments"]["secret"]) == Packet().ciphertext
    assert set(sent["arguments"]) == {"packet-header", "secret"}


def test_resume_and_stop_say_cont_and_stop(ask):
    async def both(host):
        await host.stop()
        await host.resume()

    _, server = ask(both)
    assert server.commands[-2:] == ["stop", "cont"]


def test_a_nonce_of_the_wrong_length_is_not_sent(run, qemu):
    async def main():
        async with qemu() as server:
            async with await QmpHost.connect(server.address) as host:
                with pytest.raises(UsageError):
                    await host.attestation_report(bytes(15))
            assert server.commands == ["qmp_capabilities"]

    run(main())


@pytest.mark.parametrize("where", ["127.0.0.1", "::1"])
def test_tcp_works_with_both_kinds_of_address(run, qemu, where):
    async def main():
        async with qemu(where) as server, await QmpHost.connect(server.address) as host:
            assert host.url.startswith("qmp+tcp://")
            return await host.vcpu_count()

    assert run(main()) == 2


@pytest.mark.parametrize("where", ["127.0.0.1", "::1"])
def test_each_address_of_a_name_is_tried(run, qemu, monkeypatch, where):
    resolve = socket.getaddrinfo

    def both(host, port, **options):
        if host != "vm.example":
            return resolve(host, port, **options)
        return resolve("::1", port, **options) + resolve("127.0.0.1", port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", both)

    async def main():
        async with qemu(where) as server:
            address = TcpAddress("vm.example", server.address.port)
            async with await QmpHost.connect(address) as host:
                return await host.vcpu_count()

    assert run(main()) == 2


def test_events_between_answers_are_passed_over(run, accepting):
    async def with_events(peer):
        for _ in range(100):
            await peer.send({"event": "RTC_CHANGE", "data": {"offset": 1}})
        await peer.answer(await peer.command(), [{}])

    async def main():
        async with accepting(with_events) as server, await QmpHost.connect(server.address) as host:
            return await host.vcpu_count()

    assert run(main()) == 1


def test_answers_to_unknown_commands_are_passed_over(run, accepting):
    async def with_strays(peer):
        command = await peer.command()
        await peer.send({"return": [{}, {}, {}], "id": "stray"})
        await peer.send({"error": {"class": "GenericError", "desc": "x"}, "id": "stray"})
        await peer.answer(command, [{}])
        await peer.answer(command, [{}, {}])

    async def main():
        async with accepting(with_strays) as server, await QmpHost.connect(server.address) as host:
            return await host.vcpu_count()

    assert run(main()) == 1
