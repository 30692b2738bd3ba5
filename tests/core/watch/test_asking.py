# SPDX-License-Identifier: Apache-2.0
"""Requests for launch blobs: what is answered, and once only, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from watchword.core.launch.launch_run import LaunchRun
from watchword.core.records.record_errors import not_written
from watchword.core.simulator import PlatformKeys
from watchword.core.watch import promises
from watchword.core.watch.asking import answer_request
from watchword.core.watch.events import BlobAnswer, Later, Launched, Refusal

from .engine_support import Machine, WatchOffice, asked, holds, paused, run, url_of


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    return WatchOffice(tmp_path, keys)


def test_a_vm_that_was_asked_for_gets_its_secret(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                assert isinstance(answer, BlobAnswer)
                server = await machine.operator_starts(answer)
                assert not holds(server)
                reply = await watch.take(paused(server, godh=answer.order.owner_dh_certificate))
                assert reply == Launched(answer.launch_id, "running")
                assert holds(server)
            assert len(machine.processor.packets) == 1

    run(scenario)
    assert list(office.states().values()) == ["running"]
    assert office.refusals() == []
    assert [one["by"] for one in office.told("matched")] == ["godh"]


def test_an_answer_has_what_qemu_and_libvirt_take(office, keys):
    async def scenario():
        with office.watch() as watch:
            return await watch.take(asked(keys))

    told = run(scenario).as_json()
    assert (told["answer"], told["request"], told["guest"]) == ("blob", "r1", "vm1")
    assert len(told["godh"]) == 2780
    assert len(told["session"]) == 172
    assert told["policy"] == f"{office.profile.policy.value:#x}"


def test_the_platform_can_be_asked_at_the_host(office, keys):
    async def amd_s_copy(chip_id, so_far):
        return [("AMD's copy", keys.cek)]

    async def scenario():
        async with Machine(keys) as machine:
            monitor = await machine.open_monitor()
            with office.watch(around={"more_certificates": amd_s_copy}) as watch:
                request = asked(keys, certificates=(), host=url_of(monitor))
                return await watch.take(request)

    assert isinstance(run(scenario), BlobAnswer)


def test_the_same_request_gets_the_same_blob(office, keys):
    async def scenario():
        with office.watch() as watch:
            first = await watch.take(asked(keys))
            again = await watch.take(asked(keys))
        with office.watch() as watch:
            after_a_restart = await watch.take(asked(keys))
        return first, again, after_a_restart

    answers = run(scenario)
    assert all(answer == answers[0] for answer in answers)
    assert len(office.states()) == 1
    assert [one["again"] for one in office.told("answered")] == [False, True, True]


def test_the_same_request_twice_at_once_gets_one_blob(office, keys):
    async def scenario():
        with office.watch() as watch:
            return await asyncio.gather(*(watch.take(asked(keys)) for _ in range(5)))

    answers = run(scenario)
    assert len({answer.launch_id for answer in answers}) == 1
    assert len(office.states()) == 1


def test_the_names_of_one_source_are_no_other_s(office, keys):
    async def scenario():
        with office.watch() as watch:
            return [await watch.take(asked(keys, source=name)) for name in ("a", "b")]

    one, other = run(scenario)
    assert one.launch_id != other.launch_id


def test_a_name_stands_for_one_thing(office, keys):
    other = office.other_profile("vm2")

    async def scenario():
        with office.watch(other) as watch:
            await watch.take(asked(keys))
            return await watch.take(asked(keys, guest="vm2"))

    assert refusal(run(scenario)) == "request-id-taken"
    assert len(office.states()) == 1


def test_a_request_whose_launch_was_given_up_is_over(office, keys):
    async def scenario():
        with office.watch() as watch:
            answer = await watch.take(asked(keys))
        with office.desk() as desk:
            desk.abandon(answer.launch_id, "not wanted")
        with office.watch() as watch:
            return await watch.take(asked(keys))

    assert refusal(run(scenario)) == "request-over"


def test_a_process_that_died_between_promise_and_blob_is_made_good(office, keys, monkeypatch):
    async def dies(self, until=None):
        raise KeyboardInterrupt

    async def scenario():
        with monkeypatch.context() as patch:
            patch.setattr(LaunchRun, "run", dies)
            with office.watch() as watch, pytest.raises(KeyboardInterrupt):
                await answer_request(watch._world, asked(keys))
        with office.watch() as watch:
            return await watch.take(asked(keys))

    answer = run(scenario)
    assert isinstance(answer, BlobAnswer)
    assert office.states() == {answer.launch_id: "prepared"}


def test_a_process_that_dies_before_the_promise_leaves_no_launch(office, keys, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    async def scenario():
        with office.watch() as watch:
            monkeypatch.setattr(watch._world.promises, "promise", dies)
            with pytest.raises(KeyboardInterrupt):
                await answer_request(watch._world, asked(keys))

    run(scenario)
    assert office.states() == {}


def test_a_full_disk_is_no_fault_of_the_asker_s(office, keys, monkeypatch):
    def full(*_):
        raise not_written(office.home, "the disk is full")

    async def scenario():
        with office.watch() as watch:
            with monkeypatch.context() as patch:
                patch.setattr(watch._world.promises, "promise", full)
                reply = await watch.take(asked(keys))
                assert isinstance(reply, Later), reply
                assert reply.error.code == "records-not-written"
            assert isinstance(await watch.take(asked(keys)), BlobAnswer)

    run(scenario)
    assert list(office.states().values()) == ["prepared"]
    assert office.refusals() == []


def test_certificates_that_the_owner_renews_change_no_request(office, keys):
    url = "qmp+unix:///tmp/ww-x/vm.sock"
    known = (("export", keys.full_chain),)
    renewed = (("renewed", keys.full_chain),) * 2
    request = asked(keys, certificates=(), host=url, known_certificates=known)

    async def scenario():
        with office.watch() as watch:
            first = await watch.take(request)
            again = await watch.take(replace(request, known_certificates=renewed))
            assert isinstance(first, BlobAnswer), first
            assert again == first

    run(scenario)


def refusal(reply):
    assert isinstance(reply, Refusal), reply
    return reply.error.code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"guest": "vm9"}, "guest-not-watched"),
        ({"guest": "\x1b[2J" * 100}, "guest-not-watched"),
        ({"request": "../../etc"}, "bad-request"),
        ({"request": ""}, "bad-request"),
        ({"certificates": ()}, "no-certificates"),
        ({"certificates": (("x", b"\0" * 2084),)}, None),
        ({"certificates": (("x", b"\0" * (1 << 21)),)}, "bad-request"),
        ({"host": "exchange:///tmp/x"}, "host-not-watched"),
        ({"host": "qmp+tcp://10.0.0.1:22"}, "host-not-watched"),
        ({"host": "qmp+unix:///tmp/ww-x/../../run/other.sock"}, "host-not-watched"),
        ({"host": "gopher://x"}, None),
        ({"firmware_sha256": "ab" * 32}, "firmware-not-approved"),
        ({"firmware_sha256": "zz"}, "bad-request"),
    ],
)
def test_what_is_refused_begins_no_launch_and_is_recorded(office, keys, values, code):
    async def scenario():
        with office.watch() as watch:
            return await watch.take(asked(keys, **values))

    reply = run(scenario)
    assert code in (None, refusal(reply))
    assert office.states() == {}
    assert office.refusals() == [("watch-refused", reply.error.code)]
    assert all(
        str(value).isprintable() for value in office.entries("watch-refused")[0].body.values()
    )


def test_a_stranger_is_not_told_what_the_owner_allows(office, keys, tmp_path):
    stranger = PlatformKeys.generate(2048)

    async def scenario():
        with office.watch() as watch:
            return await watch.take(asked(stranger))

    reply = run(scenario)
    assert reply.error.code == "cek-not-allowed"
    assert set(reply.as_json()) == {"answer", "code", "title", "launch"}
    assert office.ceks[0] not in str(reply.as_json())
    assert office.states() == {}


def test_another_machine_of_amd_s_is_refused_before_amd_is_asked_about_it(office, keys):
    async def nobody_is_asked(chip_id, so_far):
        raise AssertionError("AMD was asked about a stranger's chip")

    async def scenario():
        with office.watch(around={"more_certificates": nobody_is_asked}) as watch:
            return await watch.take(asked(PlatformKeys.generate(2048)))

    assert refusal(run(scenario)) == "cek-not-allowed"


@pytest.mark.parametrize("change", ["unpinned", "unwatched"])
def test_unpinned_and_unwatched_guests_are_refused(office, keys, change):
    if change == "unpinned":
        office.set_profile(ceks=[])
    else:
        office.watch_table = None
        office.set_profile()

    async def scenario():
        with office.watch() as watch:
            return await watch.take(asked(keys))

    wanted = {"unpinned": "platforms-not-pinned", "unwatched": "guest-not-watched"}[change]
    assert refusal(run(scenario)) == wanted
    assert office.states() == {}


def test_a_root_that_is_not_amd_s_is_refused(office, keys):
    office.roots = ()

    async def scenario():
        with office.watch(around={"roots": ()}) as watch:
            return await watch.take(asked(keys))

    assert isinstance(run(scenario), Refusal)
    assert office.states() == {}


def test_an_approved_file_that_changed_begins_nothing(office, keys):
    office.firmware.write_bytes(b"\0" * 65536)

    async def scenario():
        with office.watch() as watch:
            return await watch.take(asked(keys))

    assert refusal(run(scenario)) == "approved-file-changed"
    assert office.states() == {}


# -- clones without end --------------------------------------------------------------


def test_more_instances_than_allowed_need_a_person(office, keys):
    async def scenario():
        with office.watch() as watch:
            return [await watch.take(asked(keys, f"r{number}")) for number in range(5)]

    replies = run(scenario)
    assert [isinstance(one, BlobAnswer) for one in replies] == [True, True, True, False, False]
    assert refusal(replies[3]) == "too-many-instances"
    # The same refusal within the hour is one entry.
    assert office.refusals() == [("watch-refused", "too-many-instances")]


def test_launches_that_others_began_count_too(office, keys):
    async def scenario():
        with office.desk() as desk:
            for _ in range(3):
                order = office.order(host="qmp+unix:///run/vm1.sock", ask_host=False)
                launch = desk.new(order)
                await launch.run(until="session")
                launch.close()
        with office.watch() as watch:
            return await watch.take(asked(keys))

    assert refusal(run(scenario)) == "too-many-instances"


def test_the_rate_outlives_a_restart(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=100, starts_per_hour=2)

    async def scenario():
        replies = []
        for number in range(3):
            with office.watch() as watch:
                replies.append(await watch.take(asked(keys, f"r{number}")))
        return replies

    replies = run(scenario)
    assert refusal(replies[2]) == "too-many-starts"
    assert len(office.states()) == 2


def test_after_an_hour_the_rate_is_open_again(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=100, starts_per_hour=1)

    async def scenario():
        with office.watch() as watch:
            await watch.take(asked(keys, "r0"))
            assert refusal(await watch.take(asked(keys, "r1"))) == "too-many-starts"
        office.clock.time += timedelta(minutes=61)
        with office.watch() as watch:
            assert isinstance(await watch.take(asked(keys, "r2")), BlobAnswer)

    run(scenario)


def test_refusals_can_t_fill_the_disk(office, keys, monkeypatch):
    monkeypatch.setattr(promises, "MOST_REFUSALS_PER_HOUR", 5)

    async def scenario():
        with office.watch() as watch:
            for number in range(20):
                await watch.take(asked(keys, guest=f"guest{number}"))

    run(scenario)
    assert len(office.refusals()) == 5
    assert [one["recorded"] for one in office.told("refused")] == [True] * 5 + [False] * 15


def test_too_much_at_once_is_told_to_come_again(office, keys):
    async def scenario():
        with office.watch(most_waiting=0) as watch:
            return await watch.take(asked(keys))

    reply = run(scenario)
    assert isinstance(reply, Later)
    assert reply.as_json()["code"] == "watch-busy"


def test_two_watches_of_the_same_records_count_together(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=1)

    async def scenario():
        with office.watch() as one, office.desk() as other:
            claim = other.claim("vm1", "watch")
            reply = await one.take(asked(keys))
            assert isinstance(reply, Later)
            claim.release()
            assert isinstance(await one.take(asked(keys)), BlobAnswer)
        with office.watch() as another:
            assert refusal(await another.take(asked(keys, "r2"))) == "too-many-instances"

    run(scenario)
