# SPDX-License-Identifier: Apache-2.0
"""Whatever a host answers: each call ends within its limit, with a clear error."""

from __future__ import annotations

import json

import pytest

from watchword.core.hosts.limits import HostLimits
from watchword.core.hosts.qmp import QmpHost

from .behaviours import (
    PATIENT,
    QUICK_COMMAND,
    Packet,
    drip,
    ended,
    hang_up,
    repeat,
    send,
    stay_silent,
)
from .peer import Refused


@pytest.mark.parametrize("where", ["unix", "127.0.0.1", "::1"])
def test_silence(refused_call, where):
    error = refused_call(stay_silent, QUICK_COMMAND, where=where)
    assert error.code == "host-timeout"
    assert "query-cpus-fast within 0.2 s" in error.message
    assert error.details["seconds"] == 0.2


def test_an_answer_that_drips(refused_call):
    assert refused_call(drip(b'{"return":'), QUICK_COMMAND).code == "host-timeout"


def test_an_answer_that_comes_too_late(refused_call):
    async def answer_too_late(peer):
        command = await peer.command()
        await peer.until_hung_up()
        await peer.answer(command, [{}])

    assert refused_call(answer_too_late, QUICK_COMMAND).code == "host-timeout"


@pytest.mark.parametrize("raw", [b"", b'{"return": {}, "id"', b'{"return": [{}]}'])
def test_hanging_up_in_the_middle_of_a_command(refused_call, raw):
    async def hang_up_then(peer):
        await peer.command()
        await peer.send_raw(raw)

    error = refused_call(hang_up_then)
    assert error.code == "host-closed-connection"
    assert "query-cpus-fast" in error.message


async def call_after_the_end(host):
    await ended(host)
    await host.vcpu_count()


def test_hanging_up_between_commands(refused_call):
    assert refused_call(hang_up, call=call_after_the_end).code == "host-closed-connection"


def test_a_flood_of_events(refused_call):
    error = refused_call(repeat(b'{"event":"RTC_CHANGE"}\n'))
    assert error.code == "host-flood"
    assert "50 messages" in error.message


def test_a_flood_of_large_events(refused_call):
    line = json.dumps({"event": "X", "data": "x" * 3000}).encode() + b"\n"
    few_bytes = HostLimits(messages_per_command=10**9, bytes_per_command=16384)
    error = refused_call(repeat(line), few_bytes)
    assert error.code == "host-flood"
    assert "16384 bytes" in error.message


def test_what_is_taken_in_is_counted_for_each_command_anew(run, accepting):
    async def answer_after_events(peer):
        while True:
            command = await peer.command()
            for _ in range(30):
                await peer.send({"event": "RTC_CHANGE"})
            await peer.answer(command, [{}])

    async def main():
        connecting = accepting(answer_after_events)
        async with connecting as server, await QmpHost.connect(server.address, PATIENT) as host:
            return [await host.vcpu_count() for _ in range(5)]

    assert run(main()) == [1] * 5


def test_a_flood_of_stray_answers(refused_call):
    assert refused_call(repeat(b'{"return":{},"id":"stray"}\n')).code == "host-flood"


def test_a_flood_between_commands(refused_call):
    flood = repeat(b'{"event":"RTC_CHANGE"}\n')
    assert refused_call(flood, call=call_after_the_end).code == "host-flood"


def test_a_flood_does_not_hold_up_the_time_limit(refused_call):
    endless = HostLimits(command_seconds=0.2, messages_per_command=10**9, bytes_per_command=10**12)
    error = refused_call(repeat(b'{"event":"RTC_CHANGE"}\n' * 1000), endless)
    assert error.code == "host-timeout"


@pytest.mark.parametrize(
    "behaviour",
    [repeat(b"{" + b" " * 1023), send(b'{"return": "' + b"x" * 100_000 + b'"}\n')],
)
def test_a_huge_answer(refused_call, behaviour):
    error = refused_call(behaviour)
    assert error.code == "host-message-too-large"
    assert "4096 bytes" in error.message


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_a_deep_answer(refused_call, bracket):
    error = refused_call(send(b'{"return":' + bracket * 500 + b"\n"))
    assert error.code == "host-message-too-deep"
    assert "32 levels" in error.message


@pytest.mark.parametrize("raw", [b"\n", b"nonsense\n", b"[]\n", b'{"return"\n', b"\x00\xff\n"])
def test_a_garbled_answer(refused_call, raw):
    assert refused_call(send(raw)).code == "host-message-garbled"


@pytest.mark.parametrize("answer_id", ["", ',"id":null', ',"id":1', ',"id":[]', ',"id":{}'])
@pytest.mark.parametrize("body", ['"return":[{}]', '"error":{"class":"GenericError","desc":"x"}'])
def test_an_answer_to_nothing(refused_call, answer_id, body):
    raw = f"{{{body}{answer_id}}}\n".encode()
    assert refused_call(send(raw)).code == "host-answer-unasked"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": None},
        {"error": "text"},
        {"error": {}},
        {"error": {"class": 1, "desc": "x"}},
        {"error": {"class": "GenericError", "desc": ["x"]}},
    ],
)
def test_an_answer_that_is_neither_result_nor_error(refused_call, body):
    async def answer(peer):
        await peer.send({**body, "id": (await peer.command())["id"]})
        await peer.until_hung_up()

    assert refused_call(answer).code == "host-answer-malformed"


@pytest.mark.parametrize("value", [None, True, 7, "text", [], [1], {"data": 1}])
@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("query-sev", lambda host: host.state()),
        ("query-status", lambda host: host.state()),
        ("query-sev-capabilities", lambda host: host.platform()),
        ("query-sev-launch-measure", lambda host: host.measurement()),
        ("query-sev-attestation-report", lambda host: host.attestation_report(bytes(16))),
        ("query-cpus-fast", lambda host: host.vcpu_count()),
    ],
)
def test_an_answer_of_the_wrong_type(error_of, command, call, value):
    error, _ = error_of(call, **{command: value})
    assert error.code == "host-answer-malformed"
    assert error.details["command"] == command


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("cont", lambda host: host.resume()),
        ("stop", lambda host: host.stop()),
        ("sev-inject-launch-secret", lambda host: host.inject(Packet())),
    ],
)
def test_a_done_that_is_no_object(error_of, command, call):
    assert error_of(call, **{command: True})[0].code == "host-answer-malformed"


def test_an_error_with_markup_and_control_characters_is_shown_harmless(error_of):
    words = "<b onclick=x>\x1b]0;x\x07\u202e\n" + "A" * 2000
    error, _ = error_of(lambda host: host.resume(), cont=Refused(words, "\x1b[31m"))
    assert error.code == "host-refused-command"
    assert "\\x1b]0;x\\x07\\u202e\\x0a" in error.message
    assert len(error.details["host_said"]) == 301
