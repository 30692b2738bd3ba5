# SPDX-License-Identifier: Apache-2.0
"""The server speaks QMP as QEMU does, to QEMU's own client and to clumsy ones."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from qemu.qmp import ConnectError, ExecuteError, QMPClient

from watchword.core.errors import BadInput
from watchword.core.simulator import (
    HostView,
    PlatformKeys,
    QmpServer,
    SecureProcessor,
    StartOrder,
    VirtualMachine,
)
from watchword.core.simulator.listener import listen
from watchword.core.simulator.other_owner import OwnerSession, seal

SECRET = b"passphrase of the disk".ljust(32, b"\0")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def machine(order: StartOrder, keys: PlatformKeys) -> VirtualMachine:
    return VirtualMachine(order, SecureProcessor(keys))


@pytest.fixture
def plain(firmware: bytes, keys: PlatformKeys) -> VirtualMachine:
    return VirtualMachine(StartOrder(firmware), SecureProcessor(keys))


def serve(
    machine: VirtualMachine,
    talk: Callable[[QmpServer], Awaitable[None]],
    address: Path | tuple[str, int],
    view: HostView | None = None,
) -> None:
    """Run a server and one conversation; nothing may be left behind."""

    async def run() -> None:
        async with QmpServer(machine, address, view=view) as server:
            await talk(server)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    asyncio.run(run())
    if isinstance(address, Path):
        assert not address.exists()


async def official(server: QmpServer) -> QMPClient:
    client = QMPClient("test")
    client.logger.setLevel("WARNING")
    address = server.address
    await client.connect(str(address) if isinstance(address, Path) else address)
    return client


def ipv6_works() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class TestWithQemusOwnClient:
    def test_a_whole_launch(
        self, machine: VirtualMachine, session: OwnerSession, keys: PlatformKeys, folder: Path
    ):
        async def talk(server: QmpServer) -> None:
            client = await official(server)
            capabilities = await client.execute("query-sev-capabilities")
            assert capabilities == {
                "pdh": b64(keys.pdh),
                "cert-chain": b64(keys.pek + keys.oca + keys.cek_unsigned),
                "cpu0-id": b64(keys.chip_id),
                "cbitpos": 51,
                "reduced-phys-bits": 1,
            }
            assert await client.execute("query-sev") == {
                "enabled": True,
                "api-major": 1,
                "api-minor": 55,
                "build-id": 24,
                "state": "launch-secret",
                "sev-type": "sev",
                "policy": machine.order.policy,
                "handle": 1,
            }
            status = await client.execute("query-status")
            assert status == {"status": "prelaunch", "running": False}
            reported = base64.b64decode((await client.execute("query-sev-launch-measure"))["data"])
            header, data = seal(session.keys, reported[:32], SECRET)
            packet = {"packet-header": b64(header), "secret": b64(data)}
            assert await client.execute("sev-inject-launch-secret", packet) == {}
            assert machine.memory.read(0x810000, len(SECRET)) == SECRET
            assert await client.execute("cont") == {}
            assert (await client.events.get())["event"] == "RESUME"
            assert (await client.execute("query-sev"))["state"] == "running"
            report = await client.execute(
                "query-sev-attestation-report", {"mnonce": b64(bytes(16))}
            )
            assert len(base64.b64decode(report["data"])) == 208
            with pytest.raises(ExecuteError) as refused:
                await client.execute("sev-inject-launch-secret", packet)
            assert str(refused.value) == "SEV: Not in correct state. (LSECRET) 3"
            assert await client.execute("stop") == {}
            assert (await client.events.get())["event"] == "STOP"
            assert await client.execute("query-status") == {"status": "paused", "running": False}
            await client.disconnect()

        serve(machine, talk, folder / "qmp.sock")

    @pytest.mark.parametrize("host", ["127.0.0.1", *(["::1"] if ipv6_works() else [])])
    def test_over_tcp(self, machine: VirtualMachine, host: str):
        async def talk(server: QmpServer) -> None:
            client = await official(server)
            assert (await client.execute("query-sev"))["enabled"] is True
            await client.disconnect()
            shown = "[::1]" if ":" in host else host
            assert server.url == f"qmp+tcp://{shown}:{server.address[1]}"

        serve(machine, talk, (host, 0))

    def test_a_host_without_sev_guest(self, plain: VirtualMachine, folder: Path):
        async def talk(server: QmpServer) -> None:
            client = await official(server)
            answer = await client.execute("query-sev")
            assert answer == {
                "enabled": False,
                "state": "uninit",
                "api-major": 0,
                "api-minor": 0,
                "build-id": 0,
                "sev-type": "sev",
                "policy": 0,
                "handle": 0,
            }
            assert "pdh" in await client.execute("query-sev-capabilities")
            nothing = {"packet-header": "", "secret": ""}
            for command, arguments, words in (
                ("query-sev-launch-measure", None, "SEV launch measurement is not available"),
                ("sev-inject-launch-secret", nothing, "SEV not enabled for guest"),
                ("query-sev-attestation-report", {"mnonce": ""}, "SEV is not enabled"),
            ):
                with pytest.raises(ExecuteError) as refused:
                    await client.execute(command, arguments)
                assert refused.value.error_class == "GenericError"
                assert str(refused.value) == words
            await client.disconnect()

        serve(plain, talk, folder / "qmp.sock")

    def test_quit_ends_it(self, machine: VirtualMachine, folder: Path):
        address = folder / "qmp.sock"

        async def talk(server: QmpServer) -> None:
            client = await official(server)
            assert await client.execute("quit") == {}
            event = await client.events.get()
            assert event["event"] == "SHUTDOWN"
            assert event["data"] == {"guest": False, "reason": "host-qmp-quit"}
            await server.wait_for_quit()
            with contextlib.suppress(EOFError):  # which of the two hangs up first is open
                await client.disconnect()
            assert not address.exists()
            with pytest.raises(ConnectError):
                await official(server)

        serve(machine, talk, address)

    def test_other_questions(self, machine: VirtualMachine, folder: Path, make_order, session):
        async def talk(server: QmpServer) -> None:
            client = await official(server)
            greeting = client.greeting.QMP
            assert greeting.version == await client.execute("query-version")
            assert greeting.version["qemu"] == {"major": 9, "minor": 2, "micro": 0}
            assert list(greeting.capabilities) == ["oob"]
            assert await client.execute("query-kvm") == {"enabled": True, "present": True}
            assert await client.execute("query-name") == {"name": "vm1"}
            processors = await client.execute("query-cpus-fast")
            assert [processor["cpu-index"] for processor in processors] == [0, 1, 2]
            commands = {entry["name"] for entry in await client.execute("query-commands")}
            assert {"query-sev", "cont", "quit", "sev-inject-launch-secret"} <= commands
            await client.disconnect()

        order = make_order(session, machine.order.firmware, vcpus=3, name="vm1")
        serve(VirtualMachine(order, machine.processor), talk, folder / "qmp.sock")


class TestWords:
    def asked(self, machine, client_type, folder, *messages: bytes, negotiate: bool = True):
        """What the server answers to these bytes, one line each."""
        answers = []

        async def talk(server: QmpServer) -> None:
            connect = client_type.negotiated if negotiate else client_type.connect
            client = await connect(server.address)
            if not negotiate:
                await client.line()
            for message in messages:
                await client.send(message)
                answers.append(await client.line())
            await client.close()

        serve(machine, talk, folder / "qmp.sock")
        return answers

    def test_nothing_works_before_the_negotiation(self, machine, client_type, folder):
        [answer] = self.asked(
            machine, client_type, folder, b'{"execute": "query-sev", "id": 1}', negotiate=False
        )
        assert answer == {
            "error": {
                "class": "CommandNotFound",
                "desc": "Expecting capabilities negotiation with 'qmp_capabilities'",
            },
            "id": 1,
        }

    def test_negotiating_twice_is_refused(self, machine, client_type, folder):
        [answer] = self.asked(machine, client_type, folder, b'{"execute": "qmp_capabilities"}')
        assert answer["error"] == {
            "class": "CommandNotFound",
            "desc": "Capabilities negotiation is already complete, command ignored",
        }

    @pytest.mark.parametrize("name", ["system_reset", "no-such-command", ""])
    def test_unknown_commands_are_named(self, machine, client_type, folder, name):
        message = json.dumps({"execute": name}).encode()
        [answer] = self.asked(machine, client_type, folder, message)
        assert answer["error"] == {
            "class": "CommandNotFound",
            "desc": f"The command {name} has not been found",
        }

    @pytest.mark.parametrize("identity", [1, "a", None, {"b": [2]}, [], False, 1.5])
    def test_the_id_comes_back_as_it_was(self, machine, client_type, folder, identity):
        message = json.dumps({"execute": "query-kvm", "id": identity}).encode()
        [answer] = self.asked(machine, client_type, folder, message)
        assert answer["id"] == identity
        assert list(answer) == ["return", "id"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({}, "Parameter 'packet-header' is missing"),
            ({"x": 1}, "Parameter 'packet-header' is missing"),
            ({"packet-header": ""}, "Parameter 'secret' is missing"),
            (
                {"packet-header": 1, "secret": ""},
                "Invalid parameter type for 'packet-header', expected: string",
            ),
            (
                {"packet-header": "", "secret": None},
                "Invalid parameter type for 'secret', expected: string",
            ),
            (
                {"packet-header": "", "secret": "", "gpa": "0x1"},
                "Parameter 'gpa' expects uint64",
            ),
            ({"packet-header": "", "secret": "", "gpa": True}, "Parameter 'gpa' expects uint64"),
            ({"packet-header": "", "secret": "", "gpa": 1.5}, "Parameter 'gpa' expects uint64"),
            (
                {"packet-header": "", "secret": "", "gpa": 2**64},
                "Parameter 'gpa' expects uint64",
            ),
            ({"packet-header": "", "secret": "", "x": 1}, "Parameter 'x' is unexpected"),
        ],
    )
    def test_arguments_are_checked(self, machine, client_type, folder, arguments, words):
        message = {"execute": "sev-inject-launch-secret", "arguments": arguments}
        [answer] = self.asked(machine, client_type, folder, json.dumps(message).encode())
        assert answer == {"error": {"class": "GenericError", "desc": words}}

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (b"[1]", "QMP input must be a JSON object"),
            (b"7 ", "QMP input must be a JSON object"),
            (b"{}", "QMP input lacks member 'execute'"),
            (b'{"execute": 1}', "QMP input member 'execute' must be a string"),
            (b'{"execute": "cont", "x": 1}', "QMP input member 'x' is unexpected"),
            (
                b'{"execute": "cont", "arguments": []}',
                "QMP input member 'arguments' must be an object",
            ),
            (b'{"exec-oob": "cont"}', "QMP input member 'exec-oob' is unexpected"),
            (b"{nonsense}", "JSON parse error, expecting value"),
            (b'{"execute": "query-kvm", "arguments": {"a": 1}}', "Parameter 'a' is unexpected"),
        ],
    )
    def test_odd_requests_are_answered_and_the_next_one_works(
        self, machine, client_type, folder, message, words
    ):
        answers = self.asked(machine, client_type, folder, message, b'{"execute": "query-kvm"}')
        assert answers[0] == {"error": {"class": "GenericError", "desc": words}}
        assert answers[1]["return"]["enabled"] is True

    def test_out_of_band_is_negotiated_and_used_by_no_command(self, machine, client_type, folder):
        answers = self.asked(
            machine,
            client_type,
            folder,
            b'{"execute": "qmp_capabilities", "arguments": {"enable": ["zip"]}}',
            b'{"execute": "qmp_capabilities", "arguments": {"enable": [1]}}',
            b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}',
            b'{"exec-oob": "cont"}',
            b'{"exec-oob": "cont", "execute": "cont"}',
            negotiate=False,
        )
        words = [answer["error"]["desc"] if "error" in answer else answer for answer in answers]
        assert words == [
            "Parameter 'enable[0]' does not accept value 'zip'",
            "Invalid parameter type for 'enable[0]', expected: string",
            {"return": {}},
            "The command cont does not support OOB",
            "QMP input member 'execute' clashes with 'exec-oob'",
        ]


class TestStream:
    def test_no_newline_is_needed_and_lines_end_with_one(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            client = await client_type.connect(server.address)
            greeting = await client.raw_line()
            assert greeting.endswith(b"\r\n")
            assert json.loads(greeting)["QMP"]["version"]["package"] == "simulated by Watchword"
            await client.send(b'{"execute": "qmp_capabilities"}')
            assert await client.raw_line() == b'{"return": {}}\r\n'
            await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_split_and_joined_messages_are_answered_in_order(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            client = await client_type.connect(server.address)
            await client.line()
            stream = b'{"execute": "qmp_capabilities", "id": 0}' + b"".join(
                json.dumps({"execute": "query-status", "id": number}).encode()
                for number in range(1, 100)
            )
            for at in range(0, len(stream), 37):
                await client.send(stream[at : at + 37])
            answers = [await client.line() for _ in range(100)]
            assert [answer["id"] for answer in answers] == list(range(100))
            await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_the_event_comes_before_the_reply_with_a_time(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            client = await client_type.negotiated(server.address)
            await client.send(b'{"execute": "cont"}{"execute": "cont"}')
            event = await client.line()
            assert event["event"] == "RESUME"
            assert 0 <= event["timestamp"]["microseconds"] < 1_000_000
            assert event["timestamp"]["seconds"] > 1_700_000_000
            assert [await client.line(), await client.line()] == [{"return": {}}] * 2
            await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_a_client_that_closes_its_side_still_gets_its_answers(
        self, machine, client_type, folder
    ):
        async def talk(server: QmpServer) -> None:
            client = await client_type.negotiated(server.address)
            await client.send(b'{"execute": "query-status"}')
            client._writer.write_eof()
            assert "return" in await client.line()
            assert await client.at_end()
            await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_every_byte_is_kept_for_the_record(self, machine, client_type, folder):
        view = HostView()

        async def talk(server: QmpServer) -> None:
            client = await client_type.negotiated(server.address)
            await client.send(b'{"execute": "marker-1"} garbage-2 {"x": "\xff3"}')
            for _ in range(3):
                await client.line()
            await client.close()

        serve(machine, talk, folder / "qmp.sock", view)
        assert view.data.endswith(b'{"execute": "marker-1"} garbage-2 {"x": "\xff3"}')
        assert view.total == len(view.data)
        assert "marker" not in repr(view)


class TestClients:
    def test_a_second_client_is_greeted_when_the_first_leaves(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            first = await client_type.negotiated(server.address)
            second = await client_type.connect(server.address)
            waiting = asyncio.create_task(second.raw_line())
            for _ in range(3):  # the first is served as long as it stays
                assert "return" in await first.ask("query-status")
            assert not waiting.done()
            await first.close()
            assert "QMP" in json.loads(await waiting)
            assert await second.ask("qmp_capabilities") == {"return": {}}
            await second.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_each_client_negotiates_anew(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            await (await client_type.negotiated(server.address)).close()
            client = await client_type.connect(server.address)
            await client.line()
            assert (await client.ask("query-sev"))["error"]["class"] == "CommandNotFound"
            await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_too_many_waiting_clients_are_sent_away(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            first = await client_type.negotiated(server.address)
            waiting = [await client_type.connect(server.address) for _ in range(16)]
            assert await waiting[-1].at_end()
            for client in (first, *waiting):
                await client.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_stopping_closes_clients_that_talk_wait_or_do_not_read(
        self, machine, client_type, folder
    ):
        async def run() -> None:
            server = QmpServer(machine, folder / "qmp.sock")
            await server.start()
            deaf = await client_type.negotiated(server.address)
            await deaf.send(b'{"execute": "query-commands"}' * 500)
            waiting = await client_type.connect(server.address)
            await server.stop()
            await server.stop()
            assert await waiting.at_end()
            await deaf.close()
            await waiting.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(run())
        assert list(folder.iterdir()) == []
        assert machine.run_state == "shutdown"

    def test_quit_lets_waiting_clients_go(self, machine, client_type, folder):
        async def talk(server: QmpServer) -> None:
            first = await client_type.negotiated(server.address)
            waiting = await client_type.connect(server.address)
            assert await first.ask("quit") == {"return": {}}
            assert (await first.line())["event"] == "SHUTDOWN"
            assert await waiting.at_end()
            assert await first.at_end()
            await first.close()
            await waiting.close()

        serve(machine, talk, folder / "qmp.sock")

    def test_the_record_of_what_was_seen_is_bounded(self):
        view = HostView()
        for _ in range(5):
            view.add(b"x" * (1 << 20))
        assert len(view.data) == 4 << 20
        assert view.total == 5 << 20


class TestAddresses:
    def test_the_socket_file_is_the_owners_alone(self, machine, folder):
        address = folder / "qmp.sock"

        async def talk(server: QmpServer) -> None:
            assert stat.S_IMODE(address.stat().st_mode) == 0o600
            assert server.url == f"qmp+unix://{address}"

        serve(machine, talk, address)

    def test_a_dead_socket_file_is_replaced(self, machine, client_type, folder):
        address = folder / "qmp.sock"
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(str(address))

        async def talk(server: QmpServer) -> None:
            await (await client_type.negotiated(server.address)).close()

        serve(machine, talk, address)

    def test_addresses_in_use_or_impossible_are_refused_in_words(self, machine, folder):
        (folder / "file").write_bytes(b"precious")

        async def talk(server: QmpServer) -> None:
            taken = server.address
            for address in (
                taken,
                folder / "file",
                folder / "missing" / "qmp.sock",
                folder / ("n" * 108),
                ("127.0.0.1", 70000),
                ("192.0.2.1", 0),
            ):
                with pytest.raises(BadInput) as refused:
                    await QmpServer(machine, address).start()
                assert refused.value.code == "simulator-address"

        serve(machine, talk, folder / "qmp.sock")
        assert (folder / "file").read_bytes() == b"precious"


def test_sockets_that_open_side_by_side_leave_the_process_its_umask(tmp_path):
    """Each of two threads that set a mask and put the old one back may put back the other's."""
    before = os.umask(0o022)
    try:
        with ThreadPoolExecutor(8) as pool:
            for turn in range(40):
                names = [tmp_path / f"{turn}-{number}" for number in range(8)]
                for server in pool.map(listen, names):
                    server.close()
        probe = tmp_path / "probe"
        probe.touch()
        assert stat.S_IMODE(probe.stat().st_mode) == 0o644
    finally:
        os.umask(before)
