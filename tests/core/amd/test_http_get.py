# SPDX-License-Identifier: Apache-2.0
"""The bounds of one request: time, size, cancellation, name servers, TLS and proxies."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.amd.key_service import KeyService
from watchword.core.amd.key_service_address import KeyServiceAddress
from watchword.core.amd.key_service_errors import KeyServiceError
from watchword.core.amd.key_service_limits import KeyServiceLimits

from .conftest import CHIP, SHORT
from .key_server import KeyServer, for_ever, raw, reply, silence, silence_after

OK = b"HTTP/1.1 200 OK\r\n"
DRIPPING = KeyServiceLimits(silence_seconds=5, total_seconds=0.1, tries=1)


def refusal(client, *acts, limits=SHORT):
    """The error that a server leads to that acts like that; it must have been hung up on."""

    async def run():
        async with KeyServer(*acts) as server:
            with pytest.raises(KeyServiceError) as failure:
                await client(server, limits).cek(CHIP)
            for visit in server.visits:
                await asyncio.wait_for(visit.gone.wait(), 10)
        return server, failure.value

    return asyncio.run(run())


# -- time --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        silence,
        silence_after(b"HTT"),
        silence_after(OK),
        silence_after(OK + b"Content-Length: 2084\r\n\r\n"),
        silence_after(OK + b"Content-Length: 2084\r\n\r\n" + bytes(2083)),
        silence_after(OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_a_silent_service_is_left_and_the_limits_are_named(client, act, pauses):
    server, error = refusal(client, act)
    assert error.code == "key-service-stalled"
    assert "borne for 0.02 s" in error.message
    assert "5 s in all" in error.message
    assert "2 times in a row" in error.message
    assert (len(server.visits), pauses.seconds) == (2, [5.0])


@pytest.mark.parametrize(
    "act",
    [
        for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        for_ever(OK, b"X", 0.01),
        for_ever(OK + b"Content-Length: 2084\r\n\r\n", b"\0", 0.01),
        for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\0\r\n", 0.01),
    ],
    ids=["continue", "headers", "body", "chunks"],
)
def test_a_service_that_drips_is_left_after_the_time_in_all(client, act):
    _, error = refusal(client, act, limits=DRIPPING)
    assert error.code == "key-service-stalled"
    assert "0.1 s in all" in error.message


def test_a_service_that_wakes_up_is_believed(client, cek):
    # Many tries, because on a busy machine even a good answer may come too late for this limit.
    limits = KeyServiceLimits(silence_seconds=0.02, tries=500)

    async def run():
        async with KeyServer(silence, reply(200, cek)) as server:
            return await client(server, limits).cek(CHIP)

    assert asyncio.run(run()).data == cek


# -- size --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        OK + b"\r\n",
        OK + b"Content-Length: 99999999999\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\n\r\n",
    ],
)
def test_a_flood_is_cut_off(client, head):
    server, error = refusal(client, for_ever(head, bytes(4096)), limits=KeyServiceLimits())
    assert (error.code, error.details["flaw"]) == ("key-service-wrong-answer", "too-long")
    # What the sockets' buffers of both sides swallow, and no more.
    assert server.pieces * 4096 < 64 << 20


def test_a_flood_of_headers_is_cut_off(client):
    line = b"X-Flood: " + b"y" * 4000 + b"\r\n"
    _, error = refusal(client, for_ever(OK, line), limits=KeyServiceLimits())
    assert error.code == "key-service-wrong-answer"


def test_the_body_of_an_error_is_not_read(client):
    head = b"HTTP/1.1 404 Not Found\r\n\r\n"
    _, error = refusal(client, for_ever(head, bytes(4096)), limits=KeyServiceLimits())
    assert error.code == "key-service-unknown-chip"


# -- ends before its end -----------------------------------------------------------


@pytest.mark.parametrize("claimed", [2085, 5000])
def test_an_answer_that_is_cut_off_is_no_answer(client, cek, claimed):
    server, error = refusal(client, reply(200, cek, length=claimed), limits=KeyServiceLimits())
    assert (error.code, error.details["flaw"]) == ("key-service-wrong-answer", "truncated")
    assert "after 2084 bytes" in error.message
    assert len(server.visits) == 1


@pytest.mark.parametrize(
    "act", [raw(b""), raw(b"SSH-2.0-OpenSSH_9.2\r\n"), raw(b"\0" * 50), raw(OK), raw(b"<html>")]
)
def test_whoever_speaks_no_http_is_named_so(client, act):
    server, error = refusal(client, act, limits=KeyServiceLimits())
    assert (error.code, error.details["cause"]) == ("key-service-wrong-answer", "hung-up")
    assert len(server.visits) == 1


# -- cancellation ------------------------------------------------------------------


@pytest.mark.parametrize("act", [silence, silence_after(OK + b"Content-Length: 2084\r\n\r\n\1")])
def test_cancelling_closes_the_socket(client, act):
    async def run():
        async with KeyServer(act) as server:
            task = asyncio.create_task(client(server).cek(CHIP))
            await server.arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.visits[0].gone.wait(), 10)

    asyncio.run(run())


def test_cancelling_ends_a_pause(client):
    async def run():
        pausing = asyncio.Event()

        async def pause(seconds):
            pausing.set()
            await asyncio.Event().wait()

        async with KeyServer(reply(500)) as server:
            task = asyncio.create_task(client(server, pause=pause).cek(CHIP))
            await pausing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return len(server.visits)

    assert asyncio.run(run()) == 1


# -- reaching it -------------------------------------------------------------------


def unreachable(service):
    """The error of a service that can't be reached."""
    with pytest.raises(KeyServiceError) as failure:
        asyncio.run(service.cek(CHIP))
    assert failure.value.code == "key-service-unreachable"
    assert CHIP.hex() not in failure.value.message
    return failure.value


def test_a_closed_port_is_named_so(client, pauses):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        error = unreachable(client(f"http://127.0.0.1:{port}"))
    assert error.details["cause"] == "refused"
    assert f"127.0.0.1:{port} refuses" in error.message
    assert pauses.seconds == []


def test_an_unknown_name_is_named_so(client, monkeypatch):
    def getaddrinfo(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = unreachable(client("https://mirror.example"))
    assert error.details["cause"] == "name-unknown"


def test_a_dead_name_server_holds_up_neither_the_request_nor_the_end(client, monkeypatch):
    asked, release, threads = threading.Event(), threading.Event(), []

    def getaddrinfo(*args, **options):
        threads.append(threading.current_thread())
        asked.set()
        release.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    limits = KeyServiceLimits(connect_seconds=0.05, tries=1)
    try:
        error = unreachable(client("https://mirror.example:8443", limits))
        assert asked.wait(60)
        still_waiting = [thread.is_alive() for thread in threads]
    finally:
        release.set()
        for thread in threads:
            thread.join()
    assert still_waiting == [True]
    assert error.details["cause"] == "connect-timeout"
    assert "within 0.05 s" in error.message


# -- TLS ---------------------------------------------------------------------------


class Authorities:
    """A made-up CA for web servers, and certificates under it."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Corporate CA")])
        self.file = folder / "ca.pem"
        ca = self._sign(self.name, self.key.public_key(), (x509.BasicConstraints(True, None),))
        self.file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, key, extensions):
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - day).not_valid_after(now + day)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        own = x509.SubjectKeyIdentifier.from_public_key(key)
        return builder.add_extension(own, critical=False).sign(self.key, hashes.SHA256())

    def context_for(self, *names):
        """A server's context with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        certificate = self._sign(
            subject, key.public_key(), (x509.SubjectAlternativeName(list(names)),)
        )
        path = self.folder / "server.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


LOOPBACK_NAME = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


class TlsServer(KeyServer):
    """A key service that speaks TLS."""

    def __init__(self, context, *acts):
        super().__init__(*acts)
        self.context = context

    def tls(self):
        return self.context

    @property
    def base(self):
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture
def authorities(tmp_path):
    return Authorities(tmp_path)


def over_tls(client, context, body):
    async def run():
        async with TlsServer(context, reply(200, body)) as server:
            try:
                return server, await client(server).cek(CHIP)
            except KeyServiceError as error:
                return server, error

    return asyncio.run(run())


def test_a_corporate_ca_in_the_systems_list_is_trusted(client, authorities, cek, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities.file))
    assert over_tls(client, authorities.context_for(LOOPBACK_NAME), cek)[1].data == cek


def test_an_unknown_ca_is_refused_and_explained(client, authorities, cek):
    server, error = over_tls(client, authorities.context_for(LOOPBACK_NAME), cek)
    assert (error.code, error.details["cause"]) == ("key-service-unreachable", "tls-untrusted")
    assert "CA" in error.remedy
    assert server.visits == []


def test_a_certificate_for_another_name_is_refused(client, authorities, cek, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities.file))
    server, error = over_tls(client, authorities.context_for(x509.DNSName("other.example")), cek)
    assert (error.details["cause"], server.visits) == ("tls-untrusted", [])


def test_whoever_speaks_no_tls_is_named_so(client):
    async def run():
        async with PlainServer() as server:
            with pytest.raises(KeyServiceError) as failure:
                await client(f"https://127.0.0.1:{server.port}").cek(CHIP)
        return failure.value

    error = asyncio.run(run())
    assert (error.code, error.details["cause"]) == ("key-service-unreachable", "tls")


class PlainServer(KeyServer):
    """Answers whatever it is sent with something that is no TLS."""

    async def _visit(self, reader):
        await reader.read(100)
        self.visits.append(None)

    def __init__(self):
        super().__init__(raw(b"SSH-2.0-OpenSSH_9.2\r\n"))


# -- proxies -----------------------------------------------------------------------


def through(server):
    """An act of a proxy that leads every CONNECT to one server."""

    async def act(proxy, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
        finally:
            inner_writer.close()
            with contextlib.suppress(OSError):
                await inner_writer.wait_closed()

    return act


async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


def test_a_proxy_of_the_environment_is_used_and_learns_only_where_to(
    roots, authorities, cek, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities.file))

    async def run():
        context = authorities.context_for(x509.DNSName("kdsintf.amd.com"))
        async with TlsServer(context, reply(200, cek)) as server:
            async with KeyServer(through(server)) as proxy:
                monkeypatch.setenv("HTTPS_PROXY", proxy.base)
                found = await KeyService(KeyServiceAddress(), roots).cek(CHIP)
            return server, proxy, found

    server, proxy, found = asyncio.run(run())
    assert found.data == cek
    assert [visit.line for visit in proxy.visits] == ["CONNECT kdsintf.amd.com:443 HTTP/1.1"]
    assert server.paths == [f"/cek/id/{CHIP.hex()}"]


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_named_as_the_cause(roots, monkeypatch, status):
    async def run():
        async with KeyServer(reply(status)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
            with pytest.raises(KeyServiceError) as failure:
                await KeyService(KeyServiceAddress(), roots).cek(CHIP)
        return failure.value

    error = asyncio.run(run())
    assert (error.code, error.details["cause"]) == ("key-service-unreachable", "proxy")
    assert "HTTPS_PROXY" in error.remedy
    assert "hunter2" not in f"{error.as_json()}"


@pytest.mark.parametrize("setting", ["socks5://me:hunter2@127.0.0.1:1", "gopher://x", "http://[::"])
def test_a_proxy_setting_that_can_not_be_used_is_named_so(roots, monkeypatch, setting):
    monkeypatch.setenv("ALL_PROXY", setting)
    error = unreachable(KeyService(KeyServiceAddress(), roots))
    assert error.details["cause"] == "proxy-setting"
    assert "hunter2" not in f"{error.as_json()}"


def test_a_dead_proxy_is_not_taken_for_a_dead_service(roots, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        error = unreachable(KeyService(KeyServiceAddress(), roots))
    assert "A proxy is set" in error.message


def test_plain_http_to_this_machine_never_goes_to_a_proxy(client, cek, monkeypatch):
    async def run():
        async with KeyServer(reply(200, cek)) as server, KeyServer(reply(500)) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.base)
            monkeypatch.setenv("ALL_PROXY", proxy.base)
            await client(server).cek(CHIP)
            return proxy.visits

    assert asyncio.run(run()) == []
