# SPDX-License-Identifier: Apache-2.0
"""QMP over TLS with a real QEMU, and with a server that does what QEMU does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
from qemu.qmp import Message

from watchword.core.errors import BadInput, ExitStatus, HostError
from watchword.core.hosts.bounded_client import BoundedClient
from watchword.core.hosts.limits import DEFAULT_LIMITS, HostLimits
from watchword.core.hosts.link import Link
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.tls_files import tls_context
from watchword.core.hosts.tls_link import TlsLink
from watchword.core.hosts.tls_url import TlsAddress

from .behaviours import Packet
from .peer import GREETING, MEASUREMENT, HungUp, Peer
from .tls_server import DAY, NOW, Authority, Qemu


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def pki(authority, tmp_path_factory):
    """A folder as QEMU and its owner have it: CA, server's and client's certificate and key."""
    return authority.folder(tmp_path_factory.mktemp("pki") / "ours", "server", "client")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """The same of another CA, which calls itself otherwise."""
    folder = tmp_path_factory.mktemp("strangers") / "theirs"
    return Authority("another").folder(folder, "server", "client")


@pytest.fixture(scope="module")
def qemu_binary(program):
    return program("qemu-system-x86_64", "qemu-system-x86")


@pytest.fixture(scope="module")
def real_qemu(qemu_binary, pki):
    with Qemu(qemu_binary, pki) as qemu:
        yield qemu


@pytest.fixture
def failure(run):
    def failure(address, limits=DEFAULT_LIMITS):
        async def main():
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, limits)
            return caught.value

        error = run(main())
        assert error.exit_status == ExitStatus.HOST
        assert error.details["host"] == address.url
        assert error.remedy
        assert error.message.isprintable()
        return error

    return failure


@pytest.fixture
def serving_tls(pki):
    """``async with serving_tls(behaviour) as address``: as QEMU, and does what it is told."""

    @contextlib.asynccontextmanager
    async def serving_tls(behaviour, folder=pki, *, accept=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        context.load_verify_locations(pki / "ca-cert.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        tasks = set()

        async def handle(reader, writer):
            tasks.add(asyncio.current_task())
            peer = Peer(reader, writer)
            with contextlib.suppress(HungUp, OSError, asyncio.CancelledError):
                if accept:
                    await peer.accept()
                await behaviour(peer)
            writer.transport.abort()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        asyncio.get_running_loop().set_exception_handler(None)  # asyncio reports bad clients
        port = server.sockets[0].getsockname()[1]
        try:
            yield TlsAddress("127.0.0.1", port, str(pki))
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return serving_tls


# -- a real QEMU -------------------------------------------------------------------


def test_a_real_qemu_answers_every_command_over_tls(run, real_qemu, pki):
    async def main():
        async with await QmpHost.connect(real_qemu.address(pki)) as host:
            for _ in range(3):
                await host.stop()
            with pytest.raises(HostError) as caught:
                await host.state()
            return caught.value

    # A machine without SEV is what it says; that it says so at once is what counts here.
    assert run(main()).code in ("sev-not-enabled", "qemu-without-sev")


def test_without_the_extra_newline_an_old_qemu_would_keep_us_waiting(
    run, real_qemu, pki, monkeypatch
):
    """If this fails, QEMU here is 8 or newer, and the test may go."""
    monkeypatch.setattr(TlsLink, "over_tls", False)

    async def main():
        with pytest.raises(HostError) as caught:
            await QmpHost.connect(real_qemu.address(pki), HostLimits(greeting_seconds=3))
        return caught.value

    assert run(main()).code == "host-timeout"


def test_single_files_and_another_server_name_do_as_well(run, real_qemu, pki):
    files = {name: str(pki / f"{kind}.pem") for name, kind in FILES.items()}

    async def main():
        address = real_qemu.address(**files, server_name="localhost")
        async with await QmpHost.connect(address) as host:
            await host.stop()

    run(main())


FILES = {"ca": "ca-cert", "cert": "client-cert", "key": "client-key"}


def test_a_certificate_for_another_name_is_refused(failure, real_qemu, pki):
    error = failure(real_qemu.address(pki, server_name="vm.example"))
    assert error.code == "tls-wrong-name"
    assert "vm.example" in error.message
    assert "server-name=" in error.remedy


def test_a_certificate_from_another_ca_is_refused(failure, real_qemu, strangers):
    error = failure(real_qemu.address(strangers))
    assert error.code == "tls-wrong-ca"
    assert str(strangers / "ca-cert.pem") in error.message


def test_a_client_without_certificate_is_told_that_qemu_wants_one(failure, real_qemu, pki):
    error = failure(real_qemu.address(ca=str(pki / "ca-cert.pem")))
    assert error.code == "tls-client-refused"
    assert "shows no certificate" in error.message


def test_a_client_of_another_ca_is_told_that_qemu_does_not_want_it(
    failure, real_qemu, pki, strangers
):
    files = {"cert": str(strangers / "client-cert.pem"), "key": str(strangers / "client-key.pem")}
    error = failure(real_qemu.address(ca=str(pki / "ca-cert.pem"), **files))
    assert error.code == "tls-client-refused"
    assert "the wrong one" in error.message


def test_an_expired_client_is_told_the_same(failure, real_qemu, authority, tmp_path):
    folder = authority.folder(tmp_path / "old", "client", until=NOW - DAY)
    assert failure(real_qemu.address(folder)).code == "tls-client-refused"


def test_a_client_that_tls_authz_does_not_name_is_told_the_same(failure, qemu_binary, pki):
    options = ("authz-simple,id=az,identity=CN=somebody else", "tls-authz=az")
    with Qemu(qemu_binary, pki, *options) as qemu:
        assert failure(qemu.address(pki)).code == "tls-client-refused"


def test_tls_before_1_2_is_refused(failure, qemu_binary, pki):
    with Qemu(qemu_binary, pki, priority="NORMAL:-VERS-ALL:+VERS-TLS1.1") as qemu:
        error = failure(qemu.address(pki))
    # QEMU closes without a word, so this is one of several reasons that are named.
    assert error.code == "tls-failed"
    assert "TLS 1.2" in error.message


def test_a_plain_qmp_port_is_named_as_such(failure, qemu_binary, pki):
    with Qemu(qemu_binary, None) as qemu:
        error = failure(qemu.address(pki))
    assert error.code == "host-not-tls"
    # And when QEMU has ended:
    assert failure(qemu.address(pki)).code == "host-refused-connection"


def test_a_second_client_is_told_that_another_holds_the_port(run, real_qemu, pki):
    async def main():
        address = real_qemu.address(pki)
        async with await QmpHost.connect(address) as first:
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, HostLimits(connect_seconds=0.5))
            await first.stop()
        async with await QmpHost.connect(address) as again:
            await again.stop()
        return caught.value

    error = run(main())
    assert error.code == "host-socket-busy"
    assert "another client" in error.message


def test_a_qemu_that_ends_in_mid_conversation(run, qemu_binary, pki):
    async def main(qemu):
        host = await QmpHost.connect(qemu.address(pki))
        qemu.kill()
        with pytest.raises(HostError) as caught:
            await host.stop()
        await host.close()
        return caught.value

    with Qemu(qemu_binary, pki) as qemu:
        error = run(main(qemu))
    assert error.code == "host-closed-connection"
    assert error.details["command"] == "stop"


# -- what QEMU does not do ---------------------------------------------------------


def test_a_whole_conversation(run, serving_tls):
    async def main():
        serving = serving_tls(lambda peer: peer.serve())
        async with serving as address, await QmpHost.connect(address) as host:
            assert await host.measurement() == MEASUREMENT
            await host.inject(Packet())
            await host.resume()

    run(main())


@pytest.mark.parametrize("days", [-1, 1])
def test_a_certificate_out_of_its_time_is_refused(run, serving_tls, authority, tmp_path, days):
    folder = authority.folder(tmp_path / "ours", "server", until=NOW + days * DAY)
    if days > 0:
        folder = authority.folder(tmp_path / "later", "server", since=NOW + DAY / 2)

    async def main():
        async with serving_tls(lambda peer: peer.serve(), folder) as address:
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address)
            return caught.value

    error = run(main())
    assert error.code == "tls-certificate-expired"
    assert ("has expired" if days < 0 else "not valid yet") in error.title


@pytest.mark.parametrize(
    ("alert", "code"), [(70, "tls-too-old"), (48, "tls-client-refused"), (80, "tls-failed")]
)
def test_a_server_that_says_why_is_understood(run, serving, pki, alert, code):
    async def refuse(peer):
        await peer.reader.read(1)
        await peer.send_raw(bytes((21, 3, 1, 0, 2, 2, alert)))
        await peer.until_hung_up()

    async def main():
        async with serving(refuse, "127.0.0.1") as server:
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(TlsAddress("127.0.0.1", server.address.port, str(pki)))
            return caught.value

    assert run(main()).code == code


def test_a_stall_before_tls_before_the_greeting_and_in_mid_command(run, serving, serving_tls, pki):
    async def silent(peer):
        await peer.until_hung_up()

    async def main():
        codes = []
        async with serving(silent, "127.0.0.1") as server:
            address = TlsAddress("127.0.0.1", server.address.port, str(pki))
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, HostLimits(connect_seconds=0.3))
            codes.append(caught.value.code)
        async with serving_tls(silent, accept=False) as address:
            with pytest.raises(HostError) as caught:
                await QmpHost.connect(address, HostLimits(greeting_seconds=0.3))
            codes.append(caught.value.code)
        async with serving_tls(silent) as address:
            async with await QmpHost.connect(address, HostLimits(command_seconds=0.3)) as host:
                with pytest.raises(HostError) as caught:
                    await host.stop()
            codes.append(caught.value.code)
        return codes

    assert run(main()) == ["host-socket-busy", "host-socket-busy", "host-timeout"]


@pytest.mark.parametrize("greets", [False, True])
def test_a_peer_that_takes_no_leave_of_tls_is_not_waited_for(run, serving_tls, greets):
    """asyncio would wait 30 seconds for it."""

    async def mute(peer):
        if greets:
            await peer.send(GREETING)
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async def main():
        hasty = HostLimits(greeting_seconds=3 if greets else 0.3)
        async with serving_tls(mute, accept=False) as address:
            async with asyncio.timeout(15):
                with pytest.raises(HostError) as caught:
                    await QmpHost.connect(address, hasty)
            patient = HostLimits(greeting_seconds=60)
            connecting = asyncio.create_task(QmpHost.connect(address, patient))
            await asyncio.sleep(0.3)  # on a busy machine it may still be shaking hands
            connecting.cancel()
            await asyncio.wait({connecting}, timeout=15)
            return caught.value.code, connecting.cancelled()

    assert run(main()) == ("host-timeout" if greets else "host-socket-busy", True)


def test_an_injection_whose_connection_drops_leaves_open_whether_it_arrived(run, serving_tls):
    async def gone(peer):
        original = peer.answer

        async def answer(command, value):
            if command["execute"] == "sev-inject-launch-secret":
                raise HungUp
            await original(command, value)

        peer.answer = answer
        await peer.serve()

    async def main():
        async with serving_tls(gone) as address, await QmpHost.connect(address) as host:
            with pytest.raises(HostError) as caught:
                await host.inject(Packet())
            return caught.value

    error = run(main())
    assert error.details["packet_arrived"] == "unknown"
    assert "another one never" in error.message


@pytest.mark.parametrize("rounds", [0, 1, 2, 5, 20])
def test_cancelling_at_any_moment_leaves_nothing_open(run, serving_tls, rounds):
    async def main():
        async with serving_tls(lambda peer: peer.until_hung_up()) as address:
            connecting = asyncio.create_task(QmpHost.connect(address))
            for _ in range(rounds):
                await asyncio.sleep(0.001)
            connecting.cancel()
            await asyncio.wait({connecting})
            if not connecting.cancelled():
                await connecting.result().close()

    run(main())


def test_the_extra_newline_is_sent_over_tls_alone():
    class Writer:
        def __init__(self):
            self.sent = []
            self.write = self.sent.append

    for kind, newlines in ((Link, 0), (TlsLink, 1)):
        link = kind.__new__(kind)
        client = BoundedClient(DEFAULT_LIMITS, link)
        client._writer = Writer()
        client._do_send(Message(b'{"execute": "stop"}'))
        assert client._writer.sent.count(b"\n") == newlines


# -- files -------------------------------------------------------------------------


def files_of(folder: Path, **changes):
    given = {name: str(folder / f"{kind}.pem") for name, kind in FILES.items()}
    return TlsAddress("127.0.0.1", 1, **{**given, **changes})


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda pki, other, locked: files_of(pki, ca="/no/such/file"), "file-missing"),
        (lambda pki, other, locked: files_of(pki, ca=str(pki)), "file-is-folder"),
        (
            lambda pki, other, locked: files_of(pki, ca=str(pki / "client-key.pem")),
            "tls-ca-unusable",
        ),
        (
            lambda pki, other, locked: files_of(pki, cert=str(pki / "client-key.pem")),
            "tls-certificate-unusable",
        ),
        (
            lambda pki, other, locked: files_of(pki, key=str(pki / "ca-cert.pem")),
            "tls-key-unusable",
        ),
        (
            lambda pki, other, locked: files_of(pki, key=str(other / "client-key.pem")),
            "tls-key-of-another",
        ),
        (lambda pki, other, locked: TlsAddress("127.0.0.1", 1, str(locked)), "tls-key-encrypted"),
        (lambda pki, other, locked: files_of(pki, key="/no/such/file"), "file-missing"),
    ],
)
def test_files_that_can_not_be_used_are_named_before_anybody_is_connected_to(
    pki, strangers, authority, tmp_path, make, code
):
    locked = authority.folder(tmp_path / "locked", "client", password=b"a passphrase")
    with pytest.raises(BadInput) as caught:
        asyncio.run(QmpHost.connect(make(pki, strangers, locked)))
    assert caught.value.code == code
    assert caught.value.exit_status == ExitStatus.BAD_INPUT
    assert caught.value.remedy


def test_a_ca_s_file_may_have_comments_in_any_language(pki, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes("# Autorité\n".encode() + (pki / "ca-cert.pem").read_bytes())
    address = TlsAddress("127.0.0.1", 1, ca=str(authority))
    assert tls_context(address).cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("data", [b"\x30\x82\xff\x00", "é".encode()], ids=["der", "text"])
def test_a_ca_s_file_of_other_bytes_is_refused_in_words(data, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        tls_context(TlsAddress("127.0.0.1", 1, ca=str(authority)))
    assert caught.value.code == "tls-ca-unusable"


def test_a_folder_with_a_certificate_and_no_key_is_not_taken_for_one_without_either(
    authority, tmp_path
):
    folder = authority.folder(tmp_path / "half", "client")
    (folder / "client-key.pem").unlink()
    with pytest.raises(BadInput) as caught:
        asyncio.run(QmpHost.connect(TlsAddress("127.0.0.1", 1, str(folder))))
    assert caught.value.code == "file-missing"
