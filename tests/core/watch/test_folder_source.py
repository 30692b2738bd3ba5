# SPDX-License-Identifier: Apache-2.0
"""Requests as files: whatever is dropped is answered once, refused in words, or left alone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os

import pytest

from watchword.core.errors import BadInput, HostError, UsageError
from watchword.core.simulator import PlatformKeys, StartOrder, build_firmware
from watchword.core.watch import folder_source
from watchword.core.watch.events import Asked, Gone, Later, Noted, Paused, Refusal
from watchword.core.watch.folder_source import FolderSource

from .engine_support import Machine, WatchOffice, holds, run, serving, until, url_of

LATER = Later(HostError("host-timeout", "No answer", "…", "…"))
ASKED = {"event": "asked", "request": "r1", "guest": "vm1", "host": "qmp+unix:///run/vm1.sock"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    return made


class Taker:
    """Notes what it is told, and answers as it is bid."""

    def __init__(self, *replies):
        self.events, self.replies = [], list(replies)

    async def __call__(self, event):
        self.events.append(event)
        await asyncio.sleep(0)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextlib.asynccontextmanager
async def watched(folder, taker, **options):
    source = FolderSource(folder, **{"poll": 0.01, "retry": 0.02, **options})
    task = asyncio.create_task(source.run(taker))
    try:
        yield source
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put(folder, name, value):
    """Write a request as it should be done: under another name, then renamed."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    (folder / ".tmp").write_bytes(data)
    (folder / ".tmp").rename(folder / f"{name}.json")


def answer(folder, name):
    path = folder / f"{name}.answer.json"
    return json.loads(path.read_text()) if path.exists() else None


def served(folder, taker, name="a", **options):
    """Wait for one request's answer."""

    async def scenario():
        async with watched(folder, taker, **options):
            await until(lambda: answer(folder, name) is not None, "the answer")
            await until(lambda: not os.path.lexists(folder / f"{name}.json"), "the end")

    run(scenario)
    return answer(folder, name)


def test_a_request_is_answered_beside_it_and_removed(folder):
    taker = Taker(Noted(("x",)))
    put(folder, "a", ASKED)
    assert served(folder, taker) == {"answer": "noted", "launches": ["x"]}
    (event,) = taker.events
    assert isinstance(event, Asked)
    assert (event.request, event.guest, event.host) == ("r1", "vm1", ASKED["host"])
    assert sorted(path.name for path in folder.iterdir()) == ["a.answer.json"]
    assert (folder / "a.answer.json").stat().st_mode & 0o777 == 0o600


def test_announcements_are_read_too(folder):
    taker = Taker(Noted())
    godh = base64.b64encode(b"g" * 2084).decode()
    host = "qmp+unix:///run/vm1.sock"
    put(folder, "a", {"event": "paused", "host": host, "dh_cert": godh})
    served(folder, taker)
    put(folder, "b", {"event": "gone", "host": host, "launch": "l1"})
    served(folder, taker, "b")
    source = f"folder {folder}"
    assert taker.events == [
        Paused(source=source, host=host, godh=b"g" * 2084),
        Gone(source=source, host=host, launch="l1"),
    ]


def test_what_can_t_be_served_yet_stays_and_is_tried_again(folder):
    taker = Taker(LATER, LATER, Noted())
    put(folder, "a", ASKED)
    assert served(folder, taker)["answer"] == "noted"
    assert len(taker.events) == 3


def test_nobody_is_answered_twice(folder):
    taker = Taker(Noted())
    (folder / "a.answer.json").write_text('{"answer": "of before"}')
    put(folder, "a", ASKED)
    assert served(folder, taker) == {"answer": "of before"}
    assert taker.events == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe", "bad-request"),
        (b"[" * 100, "json-too-deep"),
        (b'{"event": "asked"}', "bad-request"),
        (b'{"event": "please"}', "bad-request"),
        (b'["asked"]', "bad-request"),
        (json.dumps({**ASKED, "waiver": "yes"}).encode(), "bad-request"),
        (json.dumps({**ASKED, "trusted_roots": ["x"]}).encode(), "bad-request"),
        (json.dumps({**ASKED, "source": "owner"}).encode(), "bad-request"),
        (json.dumps({**ASKED, "guest": 7}).encode(), "bad-request"),
        (json.dumps({**ASKED, "guest": "x" * 5000}).encode(), "bad-request"),
        (json.dumps({**ASKED, "certificates": []}).encode(), "bad-request"),
        (json.dumps({**ASKED, "certificates": ["x"]}).encode(), "bad-request"),
        (
            json.dumps({**ASKED, "certificates": [{"name": "x", "data": "?"}]}).encode(),
            "base64-junk",
        ),
        (b'{"event": "paused", "host": "x", "dh_cert": "AAAA"}', "bad-request"),
        (b'{"event": "paused", "host": "x", "dh_cert": 7}', "bad-request"),
        (b" " * ((1 << 20) + 1), "file-too-large"),
    ],
)
def test_what_is_no_request_is_refused_in_words(folder, data, code):
    taker = Taker(Noted())
    put(folder, "a", data)
    told = served(folder, taker)
    assert (told["answer"], told["code"], taker.events) == ("refused", code, [])


def test_a_file_that_is_still_written_is_waited_for(folder):
    taker = Taker(Noted())
    text = json.dumps(ASKED).encode()

    async def scenario():
        async with watched(folder, taker):
            path = folder / "a.json"
            path.write_bytes(text[:20])
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert answer(folder, "a") is None
            path.write_bytes(text)
            await until(lambda: answer(folder, "a"), "the answer")

    run(scenario)
    assert len(taker.events) == 1


def test_what_stays_half_written_is_refused_in_the_end(folder, monkeypatch):
    monkeypatch.setattr(folder_source, "_WRITING_SECONDS", 0.1)
    put(folder, "a", b'{"event": ')
    assert served(folder, Taker(Noted()))["code"] == "bad-json"


def test_links_pipes_and_second_looks_lead_nowhere(folder, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(ASKED))
    (folder / "link.json").symlink_to(secret)
    os.mkfifo(folder / "pipe.json")
    (folder / "dir.json").mkdir()
    taker = Taker(Noted())

    async def scenario():
        async with watched(folder, taker):
            for name in ("link", "pipe"):
                await until(lambda name=name: answer(folder, name), name)

    run(scenario)
    assert taker.events == []
    assert answer(folder, "link")["answer"] == "refused"
    assert secret.exists()
    assert (folder / "dir.json").is_dir()


def test_an_answer_is_never_written_through_a_link(folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    taker = Taker(Noted())
    (folder / "a.answer.json").symlink_to(victim)
    put(folder, "a", ASKED)

    async def scenario():
        async with watched(folder, taker):
            await until(lambda: not (folder / "a.json").exists(), "the end")

    run(scenario)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["a.txt", ".a.json", "a b.json", "x" * 120 + ".json", "a.answer.json"]
)
def test_other_names_are_left_alone(folder, name):
    taker = Taker(Noted())
    (folder / name).write_text(json.dumps(ASKED))
    put(folder, "z", ASKED)
    served(folder, taker, "z")
    assert len(taker.events) == 1
    assert (folder / name).exists()


def test_a_slow_request_keeps_no_other_waiting(folder):
    async def scenario():
        gate = asyncio.Event()

        async def take(event):
            if event.request == "slow":
                await gate.wait()
            return Noted()

        put(folder, "a", {**ASKED, "request": "slow"})
        put(folder, "b", {**ASKED, "request": "quick"})
        async with watched(folder, take):
            await until(lambda: answer(folder, "b"), "the quick one")
            assert answer(folder, "a") is None
            gate.set()
            await until(lambda: answer(folder, "a"), "the slow one")

    run(scenario)


def test_a_flood_is_worked_on_piece_by_piece(folder):
    async def scenario():
        busy = [0, 0]

        async def take(event):
            busy[0] += 1
            busy[1] = max(busy)
            await asyncio.sleep(0.001)
            busy[0] -= 1
            return Noted()

        for number in range(40):
            put(folder, f"a{number}", ASKED)
        async with watched(folder, take, at_once=4):
            await until(lambda: len(list(folder.glob("*.answer.json"))) == 40, "all")
        return busy[1]

    assert run(scenario) <= 4


@pytest.mark.parametrize(
    ("stalled", "places"),
    [
        # One host in many forms of its URL, and many hosts of one machine.
        (lambda number: f"qmp+unix:{'/' * (1 if number % 2 else 3)}run/stalled.qmp", 16),
        (lambda number: f"qmp+tcp://198.51.100.1:{1000 + number}", 8),
    ],
)
def test_hosts_that_stall_leave_places_for_others(folder, stalled, places):
    async def scenario():
        gate, at_work, busiest = asyncio.Event(), [0], []

        async def take(event):
            if event.request != "honest":
                at_work[0] += 1
                busiest.append(at_work[0])
                await gate.wait()
                at_work[0] -= 1
            return Noted()

        for number in range(40):
            put(folder, f"a{number}", {**ASKED, "host": stalled(number)})
        async with watched(folder, take, at_once=places):
            await until(lambda: at_work[0] == 4, "the crowd")
            put(folder, "z", {**ASKED, "request": "honest", "host": "qmp+tcp://203.0.113.7:9"})
            await until(lambda: answer(folder, "z"), "the answer")
            gate.set()
            # Nobody of the crowd is forgotten.
            await until(lambda: len(list(folder.glob("*.answer.json"))) == 41, "all")
        return max(busiest)

    assert run(scenario) == 4


def test_requests_that_bring_certificates_wait_for_no_host(folder):
    chain = {"name": "x", "data": base64.b64encode(b"x").decode()}

    async def scenario():
        gate, at_work = asyncio.Event(), [0]

        async def take(event):
            at_work[0] += 1
            await gate.wait()
            return Noted()

        for number in range(8):
            put(folder, f"a{number}", {**ASKED, "certificates": [chain]})
        async with watched(folder, take, at_once=8):
            await until(lambda: at_work[0] == 8, "all of them")
            gate.set()

    run(scenario)


def test_whoever_waits_longest_comes_first_whatever_the_others_are_called(folder):
    async def scenario():
        order = []

        async def take(event):
            order.append(event.request)
            if len(order) < 20:  # two new ones, with earlier names, for each that is taken
                for letter in "ab":
                    put(folder, f"{letter}{len(order)}", ASKED)
            return Noted()

        put(folder, "z", {**ASKED, "request": "honest"})
        for number in range(3):
            put(folder, f"m{number}", ASKED)
        async with watched(folder, take, at_once=1):
            await until(lambda: answer(folder, "z"), "the answer")
        return order

    assert run(scenario).index("honest") < 5


def test_a_folder_that_is_removed_is_told_and_looked_for_anew(folder):
    async def scenario():
        source = FolderSource(folder, poll=0.01)
        task = asyncio.create_task(source.run(Taker(Noted())))
        put(folder, "a", ASKED)
        await until(lambda: answer(folder, "a"), "the answer")
        (folder / "a.answer.json").unlink()
        folder.rmdir()
        with pytest.raises(BadInput) as caught:
            await task
        assert caught.value.code == "bad-folder"
        assert "removed" in caught.value.message
        folder.mkdir()
        put(folder, "b", ASKED)

    run(scenario)
    assert served(folder, Taker(Noted()), "b")["answer"] == "noted"


def test_answers_that_nobody_takes_away_keep_no_request_out(folder, monkeypatch):
    monkeypatch.setattr(folder_source, "_MOST_REQUESTS", 3)
    for number in range(30):
        (folder / f"old{number}.answer.json").touch()
    put(folder, "a", ASKED)
    assert served(folder, Taker(Noted()))["answer"] == "noted"


def test_a_folder_that_is_filled_up_is_told(folder, monkeypatch):
    monkeypatch.setattr(folder_source, "_MOST_ENTRIES", 3)
    for number in range(4):
        (folder / f"junk{number}").touch()
    with pytest.raises(BadInput) as caught:
        asyncio.run(asyncio.wait_for(FolderSource(folder).run(Taker(Noted())), 60))
    assert caught.value.code == "folder-too-full"


def test_refusals_are_answers(folder):
    error = UsageError("x", "A title", "with the owner's words", "…")
    put(folder, "a", ASKED)
    told = served(folder, Taker(Refusal(error)))
    assert told == {"answer": "refused", "code": "x", "title": "A title", "launch": None}


def test_a_folder_that_is_not_there_is_told(tmp_path):
    async def scenario():
        with pytest.raises(BadInput) as caught:
            await FolderSource(tmp_path / "nowhere").run(Taker(Noted()))
        assert caught.value.code == "bad-folder"

    run(scenario)


def test_from_a_dropped_file_to_a_running_guest(tmp_path, folder):
    keys = PlatformKeys.generate(2048)
    home = tmp_path / "home"
    home.mkdir()
    office = WatchOffice(home, keys)
    chain = {"name": "export", "data": base64.b64encode(keys.full_chain).decode()}

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch, FolderSource(folder, poll=0.01)):
                    put(folder, "a", {**ASKED, "host": None, "certificates": [chain]})
                    await until(lambda: answer(folder, "a"), "the blob")
                    given = answer(folder, "a")
                    assert given["answer"] == "blob"
                    server = await start(machine, given)
                    told = {"event": "paused", "host": url_of(server), "dh_cert": given["godh"]}
                    put(folder, "b", told)
                    await until(lambda: answer(folder, "b"), "the launch")
                    assert answer(folder, "b")["answer"] == "launched"
                    assert holds(server)

    run(scenario)


async def start(machine, given):
    """A VM from the JSON of an answer."""
    order = StartOrder(
        firmware=build_firmware(),
        policy=int(given["policy"], 16),
        dh_cert=given["godh"].encode(),
        session=given["session"].encode(),
    )
    return await machine.start_vm(order)
