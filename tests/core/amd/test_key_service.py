# SPDX-License-Identifier: Apache-2.0
"""The client of the key service: what it asks, what it takes, when it tries again."""

from __future__ import annotations

import asyncio
import logging

import pytest

from watchword.core.amd.chip_id import chip_id_missing
from watchword.core.amd.key_service import PRIVACY_NOTICE, KeyService
from watchword.core.amd.key_service_address import KeyServiceAddress, key_service_address
from watchword.core.amd.key_service_errors import KeyServiceError
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import ExitStatus, HostError, UsageError

from .conftest import CHIP, OTHER_CHIP
from .key_server import KeyServer, reply

FLAWS = [
    "truncated",
    "too-long",
    "web-page",
    "not-a-certificate",
    "not-a-cek",
    "other-key",
    "unsigned",
    "bad-signature",
]


def ask(client, *acts, chip_id=CHIP, same_key_as=None, **options):
    """Ask a server that acts like that; its server, and what came of it."""

    async def run():
        async with KeyServer(*acts) as server:
            try:
                outcome = await client(server, **options).cek(chip_id, same_key_as)
            except HostError as error:
                outcome = error
        return server, outcome

    return asyncio.run(run())


def refusal(client, *acts, **options):
    server, error = ask(client, *acts, **options)
    assert isinstance(error, KeyServiceError), error
    assert error.exit_status is ExitStatus.HOST
    assert error.remedy
    assert error.details["service"] == f"127.0.0.1:{server.port}"
    return server, error


def test_a_good_answer_is_a_verified_cek(client, cek, host_cek, pauses):
    server, found = ask(client, reply(200, cek), same_key_as=host_cek)
    assert (found.data, found.generation) == (cek, "made-up")
    assert server.paths == [f"/cek/id/{CHIP.hex()}"]
    assert pauses.seconds == []


def test_amds_real_naples_cek_is_taken(vectors):
    real = (vectors / "chains/naples/cek.cert").read_bytes()

    async def run():
        async with KeyServer(reply(200, real)) as server:
            service = KeyService(key_service_address(server.base), amd_roots())
            return await service.cek(CHIP)

    assert asyncio.run(run()).generation == "naples"


def test_a_chunked_answer_is_taken(client, cek):
    body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (cek[:1000], cek[1000:])) + b"0\r\n\r\n"

    async def act(server, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        await writer.drain()

    assert ask(client, act)[1].data == cek


def test_an_answer_that_ends_with_the_connection_is_taken(client, cek):
    async def act(server, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + cek)
        await writer.drain()

    assert ask(client, act)[1].data == cek


def test_the_request_tells_nothing_about_who_asks(client, cek):
    headers = ask(client, reply(200, cek))[0].visits[0].headers
    assert headers["user-agent"] == "Watchword"
    assert headers["accept-encoding"] == "identity"
    assert set(headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_neither_chip_ids_nor_retries_reach_the_logs(client, cek, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "stamina"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    ask(client, reply(500), reply(200, cek))
    assert "stamina" not in caplog.text
    assert CHIP.hex() not in caplog.text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("chip_id", [b"", bytes(63), bytes(64), b"x" * 65])
def test_an_id_that_is_none_is_not_asked_about(client, cek, chip_id):
    server, error = ask(client, reply(200, cek), chip_id=chip_id)
    assert (error.code, server.visits) == (chip_id_missing().code, [])


# -- wrong answers -----------------------------------------------------------------


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_wrong_answer_is_refused_and_named(client, wrong_bodies, host_cek, flaw, pauses):
    server, error = refusal(client, reply(200, wrong_bodies[flaw]), same_key_as=host_cek)
    assert error.code == "key-service-wrong-answer"
    assert error.details["flaw"] == flaw
    assert "neither used nor kept" in error.message
    assert (len(server.visits), pauses.seconds) == (1, [])


def test_every_kind_of_wrong_answer_is_tried(wrong_bodies):
    assert set(wrong_bodies) == set(FLAWS)


def test_without_a_key_to_compare_another_chips_cek_can_not_be_told(client, other_cek):
    assert ask(client, reply(200, other_cek))[1].data == other_cek


def test_a_redirection_is_not_followed(client, cek):
    async def run():
        async with KeyServer(reply(200, cek)) as elsewhere:
            target = f"{elsewhere.base}/cek/id/{CHIP.hex()}"
            async with KeyServer(reply(302, Location=target)) as server:
                with pytest.raises(KeyServiceError) as failure:
                    await client(server).cek(CHIP)
        return elsewhere, failure.value

    elsewhere, error = asyncio.run(run())
    assert elsewhere.visits == []
    assert (error.code, error.details["status"]) == ("key-service-wrong-answer", 302)
    assert "sends on to 127.0.0.1." in error.message


def test_of_a_redirection_only_a_plain_host_name_is_shown(client):
    _, error = refusal(client, reply(301, Location="https://a\x1b[31m<b>.example/x?secret"))
    assert "\x1b" not in error.message
    assert "example" not in error.message


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 407, 410, 418, 999])
def test_any_other_status_is_a_wrong_answer_at_once(client, cek, status, pauses):
    body = b"" if status in (204, 304) else cek
    server, error = refusal(client, reply(status, body))
    assert (error.code, error.details["status"]) == ("key-service-wrong-answer", status)
    assert f"HTTP {status}" in error.message
    assert (len(server.visits), pauses.seconds) == (1, [])


def test_an_unknown_chip_is_named_with_its_likely_causes(client, pauses):
    server, error = refusal(client, reply(404, b"no such thing"))
    assert error.code == "key-service-unknown-chip"
    assert "AMD doesn't know this chip id" in error.title
    assert "typing error" in error.message
    assert "--cek" in error.remedy
    assert (len(server.visits), pauses.seconds) == (1, [])


# -- busy and failing --------------------------------------------------------------


def test_seconds_to_wait_are_honoured(client, cek, pauses):
    server, found = ask(client, reply(429, Retry_After="7"), reply(200, cek))
    assert (found.data, pauses.seconds, len(server.visits)) == (cek, [7.0], 2)


def test_a_date_to_wait_for_is_honoured(client, cek, pauses):
    until = "Mon, 23 Nov 2026 12:00:20 GMT"
    ask(client, reply(429, Retry_After=until), reply(200, cek))
    assert pauses.seconds == [20.0]


def test_a_date_is_reckoned_by_the_services_own_clock(client, cek, pauses):
    late = reply(
        429, Date="Mon, 23 Nov 2026 18:00:00 GMT", Retry_After="Mon, 23 Nov 2026 18:00:09 GMT"
    )
    ask(client, late, reply(200, cek))
    assert pauses.seconds == [9.0]


@pytest.mark.parametrize("value", ["0", "Mon, 23 Nov 2020 12:00:00 GMT", "  0  "])
def test_a_service_that_asks_for_no_pause_gets_a_short_one(client, cek, pauses, value):
    ask(client, reply(429, Retry_After=value), reply(200, cek))
    assert pauses.seconds == [1.0]


@pytest.mark.parametrize("value", ["-5", "soon", "1e9", "5, 10", "0x10", "9.5", "NaN", ""])
def test_nonsense_leads_to_the_usual_pause(client, cek, pauses, value):
    ask(client, reply(429, Retry_After=value), reply(200, cek))
    assert pauses.seconds == [5.0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("61", "in 61 s, after 2026-11-23 12:01:01 UTC"),
        ("3600", "in 60 minutes, after 2026-11-23 13:00:00 UTC"),
        ("Mon, 23 Nov 2026 12:10:00 GMT", "in 10 minutes"),
        ("999999999", "in more than a day"),
        ("9" * 5000, "in more than a day"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "in more than a day"),
    ],
)
def test_a_pause_that_is_too_long_is_not_sat_out(client, cek, pauses, value, words):
    server, error = refusal(client, reply(429, Retry_After=value), reply(200, cek))
    assert error.code == "key-service-busy"
    assert words in error.message
    assert "No more than 60 s are sat out" in error.message
    assert f"Try again {words}" in error.remedy
    assert (len(server.visits), pauses.seconds) == (1, [])


def test_a_busy_service_is_left_after_three_tries(client, pauses):
    server, error = refusal(client, reply(429))
    assert (error.code, error.details["tries"]) == ("key-service-busy", 3)
    assert "3 times in a row" in error.message
    assert (len(server.visits), pauses.seconds) == (3, [5.0, 10.0])


def test_a_service_that_recovers_is_believed(client, cek, pauses):
    server, found = ask(client, reply(500), reply(503), reply(200, cek))
    assert (found.data, len(server.visits)) == (cek, 3)
    assert pauses.seconds == [5.0, 10.0]


def test_a_failing_service_is_left_after_three_tries(client, pauses):
    server, error = refusal(client, reply(502, b"x" * 10000))
    assert (error.code, error.details["status"]) == ("key-service-failed", 502)
    assert len(server.visits) == 3


def test_maintenance_says_when_to_come_back(client):
    _, error = refusal(client, reply(503, Retry_After="7200"))
    assert error.code == "key-service-failed"
    assert error.details["retry_after_seconds"] == 7200
    assert "after 2026-11-23 14:00:00 UTC" in error.remedy


def test_people_are_told_what_is_waited_for(client, cek):
    told = []
    ask(client, reply(429, Retry_After="7"), reply(200, cek), announce=told.append)
    assert told == ["The key service is busy: asking again in 7 s (try 2 of 3)."]


def test_requests_go_one_after_another(client, cek):
    async def run():
        async with KeyServer(reply(200, cek)) as server:
            service = client(server)
            await asyncio.gather(service.cek(CHIP), service.cek(OTHER_CHIP), service.cek(CHIP))
        return server

    server = asyncio.run(run())
    assert (len(server.visits), server.most_open) == (3, 1)


# -- files of a generation ---------------------------------------------------------


def fetch_ask_ark(body, generation, roots):
    async def run():
        async with KeyServer(body if callable(body) else reply(200, body)) as server:
            service = KeyService(key_service_address(server.base), roots)
            try:
                return server, await service.ask_ark(generation)
            except (HostError, UsageError) as error:
                return server, error

    return asyncio.run(run())


@pytest.mark.parametrize("generation", ["naples", "rome", "milan", "genoa", "turin"])
def test_ask_and_ark_of_each_generation_are_taken(vectors, generation):
    folder = vectors / "chains" / generation
    body = (folder / "ask.cert").read_bytes() + (folder / "ark.cert").read_bytes()
    server, file = fetch_ask_ark(body, generation, amd_roots())
    assert (file, server.paths) == (body, [f"/ask_ark_{generation}.cert"])


def test_the_naples_ark_may_come_without_its_signature(vectors):
    folder = vectors / "chains" / "naples"
    body = (folder / "ask.cert").read_bytes() + (folder / "ark.cert").read_bytes()[:576]
    assert fetch_ask_ark(body, "naples", amd_roots())[1] == body


def test_ask_and_ark_that_are_not_amds_are_refused(authority, forger, roots):
    good = authority.ask + authority.ark
    flipped = bytearray(good)
    flipped[len(authority.ask) - 1] ^= 1
    cases = {
        forger.ask + forger.ark: "not-amds",
        authority.ark + authority.ask: "not-amds",
        authority.ask: "not-a-certificate",
        good[:-1]: "not-a-certificate",
        good + bytes(1): "not-a-certificate",
        good + bytes(4000): "too-long",
        bytes(flipped): "bad-signature",
        b"": "not-a-certificate",
        b"  <html>": "web-page",
    }
    for body, flaw in cases.items():
        error = fetch_ask_ark(body, "made-up", roots)[1]
        assert (error.code, error.details["flaw"]) == ("key-service-wrong-answer", flaw)
    assert fetch_ask_ark(good, "made-up", roots)[1] == good


def test_an_unknown_generation_is_not_asked_for(roots):
    server, error = fetch_ask_ark(b"", "../../etc", roots)
    assert (error.code, server.visits) == ("unknown-generation", [])
    assert "made-up" in error.remedy


def test_a_missing_file_is_no_unknown_chip(roots):
    error = fetch_ask_ark(reply(404), "made-up", roots)[1]
    assert error.code == "key-service-wrong-answer"


# -- what people are told ----------------------------------------------------------


def test_the_notice_says_what_the_service_learns(roots):
    assert "chip id" in PRIVACY_NOTICE
    assert KeyService(KeyServiceAddress(), roots).privacy_notice == PRIVACY_NOTICE
    mirror = key_service_address("https://mirror.example/amd")
    assert KeyService(mirror, roots).privacy_notice.startswith("The key service mirror.example is")
