# SPDX-License-Identifier: Apache-2.0
"""The queue on a real PostgreSQL: what is put is found once, and no loss of it is for ever."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess

import pytest

from watchword.core.errors import HostError
from watchword.core.workers.job_queue import LARGEST_ANSWER, LARGEST_FILE, LARGEST_JOB
from watchword.core.workers.procrastinate_queue import ProcrastinateQueue
from watchword.core.workers.queue_address import queue_parameters
from watchword.core.workers.queue_schema import apply_schema

LONGEST = 300


@pytest.fixture
def url(database):
    """The URL of a database that is ready for a queue."""
    apply_schema(queue_parameters(database))
    return database


def play(url, scene):
    """Run ``scene(queue)`` with an open queue; a pool may need half a minute for a loss."""

    async def run():
        queue = await ProcrastinateQueue.open(queue_parameters(url))
        try:
            return await asyncio.wait_for(scene(queue), LONGEST)
        finally:
            await queue.close()

    return asyncio.run(run())


def test_making_the_queue_again_changes_nothing(database):
    assert apply_schema(queue_parameters(database)) is True
    assert apply_schema(queue_parameters(database)) is False


def test_a_database_without_a_queue_is_named_with_its_remedy(database):
    with pytest.raises(HostError) as caught:
        play(database, lambda queue: queue.take("w"))
    assert caught.value.code == "queue-not-made"
    assert "watchword queue init" in caught.value.remedy


def test_no_server_is_an_error_at_first(tmp_path):
    with pytest.raises(HostError) as caught:
        play(f"postgresql:///x?host={tmp_path}", lambda queue: queue.take("w"))
    assert caught.value.code == "queue-unreachable"


def test_a_worker_finds_its_own_jobs_once_and_in_order(url):
    async def scene(queue):
        await queue.begin("w")
        for number in range(3):
            await queue.put("w", f"job{number}", b"\0\xff%d" % number)
        await queue.put("other", "job9", b"9")
        taken = [await queue.take("w") for _ in range(4)]
        for one in taken[:3]:
            await queue.finish(one)
        return [one and one.body for one in taken]

    assert play(url, scene) == [b"\0\xff0", b"\0\xff1", b"\0\xff2", None]


def test_what_waits_is_not_put_a_second_time_and_can_be_withdrawn(url, cluster):
    async def scene(queue):
        await queue.begin("w")
        await queue.put("w", "a", b"a")
        await queue.put("w", "a", b"a")
        await queue.put("w", "b", b"b")
        await queue.withdraw("w", ["a", "never-put"])
        return [(await queue.take("w")).body, await queue.take("w")]

    assert play(url, scene) == [b"b", None]


def test_a_worker_that_begins_again_is_given_what_it_had(url):
    async def dies(queue):
        await queue.begin("w")
        await queue.put("w", "a", b"a")
        assert (await queue.take("w")).body == b"a"

    async def lives(queue):
        await queue.begin("w")
        return (await queue.take("w")).body

    play(url, dies)
    assert play(url, lives) == b"a"


def test_answers_stay_until_they_are_removed(url):
    async def scene(queue):
        await queue.answer("owner", "a", b"one")
        await queue.answer("owner", "b", b"two")
        await queue.answer("owner", "c", b"three")
        found = await queue.answers({"a", "b"})
        await queue.remove_answers(found[:1])
        return [one.body for one in found], [one.body for one in await queue.answers({"a", "b"})]

    assert play(url, scene) == ([b"one", b"two"], [b"two"])


def test_a_file_is_what_its_hash_says_or_none(url, cluster):
    digest = hashlib.sha256(b"chain").hexdigest()

    async def scene(queue):
        await queue.put_file(digest, b"chain")
        before = await queue.file(digest)
        cluster.psql("UPDATE watchword_files SET content = 'forged'", url)
        return before, await queue.file(digest), await queue.file("0" * 64)

    assert play(url, scene) == (b"chain", None, None)


def test_a_new_job_and_a_new_answer_wake_whoever_waits(url):
    async def scene(queue):
        await queue.new_job("w", 0.2)
        await queue.new_answer("owner", 0.2)
        waiting = [
            asyncio.create_task(queue.new_job("w", 1000)),
            asyncio.create_task(queue.new_answer("owner", 1000)),
        ]
        for number in range(500):  # whoever does not listen yet hears the next one
            await queue.put("w", f"a{number}", b"a")
            await queue.answer("owner", f"a{number}", b"a")
            await asyncio.wait(waiting, timeout=0.2)
            if all(one.done() for one in waiting):
                break
        await asyncio.gather(*waiting)

    play(url, scene)


def test_it_is_known_when_a_worker_was_last_heard_of(url):
    async def scene(queue):
        before = await queue.silent_for("w")
        await queue.begin("w")
        for _ in range(1000):
            if (found := await queue.silent_for("w")) is not None:
                return before, found
            await asyncio.sleep(0.05)
        return before, None

    before, found = play(url, scene)
    assert before is None
    assert 0 <= found < LONGEST


def test_postgres_killed_and_started_again_loses_nothing(url, cluster):
    async def scene(queue):
        await queue.begin("w")
        await queue.put("w", "a", b"a")
        await queue.put("w", "b", b"b")
        first = await queue.take("w")
        cluster.kill()
        waiting = asyncio.create_task(queue.finish(first))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        cluster.start()
        await waiting
        await queue.finish(first)  # its answer was lost, and it is finished once more
        found = await queue.take("w")
        return found.body, await queue.take("w")

    assert play(url, scene) == (b"b", None)


UNBOUNDED = "ALTER TABLE procrastinate_jobs DROP CONSTRAINT watchword_jobs_bounded"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE procrastinate_jobs SET args = '[1, 2]'",
        "UPDATE procrastinate_jobs SET args = '{\"job\": 7}'",
        'UPDATE procrastinate_jobs SET args = \'{"job": "%%%"}\'',
        "UPDATE procrastinate_jobs SET args = json_build_object('job', repeat('A', 4000000))",
    ],
)
def test_what_is_no_job_is_told_as_such(url, cluster, change):
    async def scene(queue):
        await queue.begin("w")
        await queue.put("w", "a", b"a")
        cluster.psql(f"{UNBOUNDED}; {change}", url)
        return (await queue.take("w")).body

    assert play(url, scene) is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE procrastinate_jobs SET args = json_build_object('job', repeat('A', 600000))",
        "INSERT INTO watchword_answers (job, body) VALUES ('a', repeat('A', 262145)::bytea)",
        "INSERT INTO watchword_answers (job, body) VALUES (repeat('a', 65), '')",
        "INSERT INTO watchword_files (sha256, content) VALUES ('a', repeat('A', 1048577)::bytea)",
        "INSERT INTO watchword_workers (worker) VALUES (repeat('a', 65))",
    ],
)
def test_whoever_may_only_write_rows_writes_none_that_are_too_large(url, cluster, statement):
    play(url, lambda queue: queue.put("w", "a" * 64, b"a"))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        cluster.psql(statement, url)
    assert b"violates check constraint" in caught.value.stderr


def test_the_largest_of_each_kind_has_room(url):
    async def scene(queue):
        await queue.begin("w")
        await queue.put("w", "a" * 64, bytes(LARGEST_JOB))
        await queue.answer("owner", "a" * 64, bytes(LARGEST_ANSWER))
        content = bytes(LARGEST_FILE)
        digest = hashlib.sha256(content).hexdigest()
        await queue.put_file(digest, content)
        found = (await queue.take("w")).body, (await queue.answers({"a" * 64}))[0].body
        return [len(one) for one in (*found, await queue.file(digest))]

    assert play(url, scene) == [LARGEST_JOB, LARGEST_ANSWER, LARGEST_FILE]


def test_tables_that_are_not_the_queues_end_it_with_a_word(url, cluster):
    async def scene(queue):
        cluster.psql("ALTER TABLE watchword_answers RENAME COLUMN body TO text", url)
        await queue.answers({"a"})

    with pytest.raises(HostError) as caught:
        play(url, scene)
    assert caught.value.code == "queue-refused"


@pytest.mark.parametrize("row", [{}, {"number": 1}, {"number": 1, "job": ["a"]}, {"job": "a"}])
def test_rows_without_what_was_asked_for_tell_nothing(row):
    """A database names the columns of its answers itself."""

    class Strange:
        async def rows(self, statement, **values):
            return [row]

    queue = ProcrastinateQueue(Strange())

    async def scene():
        return [await queue.answers({"a"}), await queue.file("0" * 64), await queue.silent_for("w")]

    assert asyncio.run(scene()) == [[], None, None]
