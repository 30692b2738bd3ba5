# SPDX-License-Identifier: Apache-2.0
"""Paused VMs: each finds its launch, verifies anew, and gets one packet at most, or nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from watchword.core.errors import HostError
from watchword.core.launch import recording
from watchword.core.launch.surroundings import connector
from watchword.core.simulator import FirmwareRecipe, PlatformKeys, attack_named, build_firmware
from watchword.core.watch import launching
from watchword.core.watch.events import Later, Launched, Noted, Paused, Refusal

from .engine_support import (
    Machine,
    WatchOffice,
    asked,
    gone,
    holds,
    paused,
    run,
    serving,
    until,
    url_of,
)


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    return WatchOffice(tmp_path, keys)


def refusal(reply):
    assert isinstance(reply, Refusal), reply
    return reply.error.code


def godh(answer):
    return {"godh": answer.order.owner_dh_certificate}


def distinct_packets(machine):
    return len({packet.packet_sha256 for packet in machine.processor.packets})


# -- finding the launch --------------------------------------------------------------


@pytest.mark.parametrize("by", ["godh", "id", "measurement"])
def test_a_vm_is_matched_by_any_of_three_marks(office, keys, by):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answers = [await watch.take(asked(keys, f"r{number}")) for number in range(3)]
                server = await machine.operator_starts(answers[1])
                marks = {"godh": godh(answers[1]), "id": {"launch": answers[1].launch_id}}
                reply = await watch.take(paused(server, **marks.get(by, {})))
                assert reply == Launched(answers[1].launch_id, "running")
                assert holds(server)
            assert len(machine.processor.packets) == 1

    run(scenario)
    assert [one["by"] for one in office.told("matched")] == [by]


def test_a_vm_that_nobody_asked_for_is_refused_and_recorded(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                with office_of_another(office, keys) as other:
                    stranger = await other.take(asked(keys))
                server = await machine.operator_starts(stranger)
                replies = [
                    await watch.take(paused(server)),
                    await watch.take(paused(server, **godh(stranger))),
                    await watch.take(paused(server, godh=b"x" * 2084)),
                    await watch.take(paused(server, godh=b"")),
                    await watch.take(paused(server, launch=stranger.launch_id)),
                ]
                assert [refusal(reply) for reply in replies] == ["unknown-vm"] * 5
            assert machine.processor.packets == ()
            return answer.launch_id

    launch_id = run(scenario)
    assert office.states() == {launch_id: "prepared"}
    assert office.refusals() == [("watch-unknown-vm", "unknown-vm")]


def office_of_another(office, keys):
    """Somebody else's watch, with a home of his own."""
    home = office.home / "other"
    home.mkdir()
    return WatchOffice(home, keys).watch()


def test_a_vm_with_another_s_godh_gets_nothing_and_the_other_is_served_later(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                mine, his = [await watch.take(asked(keys, name)) for name in ("a", "b")]
                liar = await machine.operator_starts(his)
                reply = await watch.take(paused(liar, **godh(mine)))
                assert refusal(reply) == "measurement-of-another-launch"
                assert machine.processor.packets == ()
                server = await machine.operator_starts(mine)
                assert isinstance(await watch.take(paused(server, **godh(mine))), Launched)
                assert holds(server)
                assert not holds(liar)
                assert len(machine.processor.packets) == 1

    run(scenario)


def test_other_firmware_is_refused_with_evidence_and_not_for_ever(office, keys, monkeypatch):
    monkeypatch.setattr(launching, "MOST_REFUSALS", 2)

    async def scenario():
        async with Machine(keys, attack_named("wrong-firmware")) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                codes = [refusal(await watch.take(paused(server, **godh(answer)))) for _ in "123"]
            assert machine.processor.packets == ()
            return codes

    assert run(scenario) == ["measurement-mismatch"] * 2 + ["refused-too-often"]
    kinds = [entry.kind.value for entry in office.entries()]
    assert kinds.count("launch-refused") == 2
    assert office.refusals() == [("watch-refused", "refused-too-often")]


def test_two_vms_from_one_blob_get_one_packet(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                first = await machine.operator_starts(answer)
                clone = await machine.operator_starts(answer)
                assert isinstance(await watch.take(paused(first, **godh(answer))), Launched)
                for marks in (godh(answer), {"launch": answer.launch_id}, {}):
                    assert isinstance(await watch.take(paused(clone, **marks)), Refusal)
            assert distinct_packets(machine) == 1
            assert not holds(clone)

    run(scenario)
    assert "launch-refused" not in [entry.kind.value for entry in office.entries()]
    assert list(office.states().values()) == ["running"]


def test_two_vms_from_one_blob_at_once_get_one_packet(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                servers = [await machine.operator_starts(answer) for _ in range(3)]
                told = (watch.take(paused(server, **godh(answer))) for server in servers)
                replies = await asyncio.gather(*told)
            assert sum(isinstance(reply, Launched) for reply in replies) == 1
            assert len(machine.processor.packets) == 1
            assert sum(holds(server) for server in servers) == 1

    run(scenario)


def test_the_same_vm_told_twice_at_once_is_one_launch(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                told = paused(server, **godh(answer))
                replies = await asyncio.gather(*(watch.take(told) for _ in range(4)))
            assert replies == [Launched(answer.launch_id, "running")] * 4
            assert len(machine.processor.packets) == 1

    run(scenario)
    assert office.refusals() == []


def test_hosts_that_the_settings_do_not_name_are_never_connected_to(office, keys):
    async def nobody(url, launch_id):
        raise AssertionError("nobody may be asked here")

    async def scenario():
        with office.watch(around={"connect": nobody}) as watch:
            answer = await watch.take(asked(keys))
            host = "qmp+unix:///run/other.sock"
            told = Paused(source="test", host=host, launch=answer.launch_id)
            return await watch.take(told)

    assert refusal(run(scenario)) == "host-not-watched"


def test_a_host_that_is_away_is_no_refusal(office, keys):
    async def scenario():
        with office.watch() as watch:
            answer = await watch.take(asked(keys))
            host = "qmp+unix:///tmp/ww-nowhere/x.sock"
            reply = await watch.take(Paused(source="test", host=host, launch=answer.launch_id))
            assert isinstance(reply, Later)
            return reply.as_json()

    assert run(scenario)["code"] == "host-socket-missing"
    assert list(office.states().values()) == ["prepared"]


# -- what is not for a watch ---------------------------------------------------------


@pytest.mark.parametrize("order", [{"require_pinned": False}, {"platform_waiver": "trust me"}])
def test_launches_that_a_person_began_are_left_to_him(office, keys, order):
    async def scenario():
        async with Machine(keys) as machine:
            with office.desk() as desk:
                run_ = desk.new(
                    office.order(
                        host="qmp+unix:///run/vm1.sock",
                        ask_host=False,
                        trusted_roots=(),
                        **{"require_pinned": True, **order},
                    )
                )
                await run_.run(until="session")
                start = run_.start_order
                launch_id = run_.id
                run_.close()
            server = await machine.operator_starts(type("Answer", (), {"order": start}))
            with office.watch() as watch:
                replies = [
                    await watch.take(paused(server, launch=launch_id)),
                    await watch.take(paused(server, godh=start.owner_dh_certificate)),
                    await watch.take(paused(server)),
                ]
                # Not even where the ledger has a promise of it.
                watch._world.promises.promise(asked(keys, "r9"), launch_id, "content")
                replies.append(await watch.take(paused(server, launch=launch_id)))
            assert machine.processor.packets == ()
            return [refusal(reply) for reply in replies]

    assert run(scenario) == ["unknown-vm"] * 3 + ["waived-in-watch"]


def test_a_profile_that_changed_since_the_blob_is_not_launched(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                office.set_profile(ceks=["ab" * 32])
                watch.reload(office.rules())
                reply = await watch.take(paused(server, **godh(answer)))
                assert refusal(reply) == "prepared-otherwise"
                assert machine.processor.packets == ()
                office.watch_table = {"instances_at_most": 7}
                office.ceks = office.ceks[:1]
                office.set_profile(description="of no matter")
                watch.reload(office.rules())
                assert isinstance(await watch.take(paused(server, **godh(answer))), Launched)

    run(scenario)


def test_a_guest_that_is_served_no_more_is_not_launched(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                watch.reload(office.rules(guests={}))
                assert refusal(await watch.take(paused(server, **godh(answer))))
                assert machine.processor.packets == ()

    run(scenario)


# -- after a crash, and a reload -----------------------------------------------------


def test_a_new_process_takes_up_what_was_announced_and_what_was_not(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answers = [await watch.take(asked(keys, name)) for name in ("a", "b")]
            servers = [await machine.operator_starts(answer) for answer in answers]
            with office.desk() as desk:  # an earlier process was told of it, and died
                desk.open(answers[0].launch_id, host=url_of(servers[0])).close()
            with office.watch() as watch:
                async with serving(watch):
                    await until(lambda: holds(servers[0]), "the VM that was announced")
                    assert isinstance(
                        await watch.take(paused(servers[1], **godh(answers[1]))), Launched
                    )
            assert len(machine.processor.packets) == 2

    run(scenario)
    assert office.refusals() == []


@pytest.mark.parametrize("point", ["measurement-verified", "packet-in-vault", "packet-stored"])
def test_a_process_that_died_in_a_launch_is_made_good_by_the_next_one(
    office, keys, monkeypatch, point
):
    real = recording.fault_point

    def dies(name):
        real(name)
        if name == point:
            raise SystemExit(9)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
            server = await machine.operator_starts(answer)
            told = paused(server, **godh(answer))
            with monkeypatch.context() as patch:
                patch.setattr(recording, "fault_point", dies)
                with office.watch() as watch, pytest.raises(SystemExit):
                    await launching.launch_paused(watch._world, told)
            with office.watch() as watch:
                async with serving(watch):
                    await until(lambda: holds(server), "the secret")
                    await until(lambda: office.told("launched"), "the end")
            assert distinct_packets(machine) == 1

    run(scenario)
    assert list(office.states().values()) == ["running"]


def test_a_reload_loses_no_launch_under_way(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answers = [await watch.take(asked(keys, name)) for name in ("a", "b", "c")]
                servers = [await machine.operator_starts(answer) for answer in answers]
                tasks = [
                    asyncio.create_task(watch.take(paused(server, **godh(answer))))
                    for server, answer in zip(servers, answers, strict=True)
                ]
                while not all(task.done() for task in tasks):
                    watch.reload(office.rules(jobs=1))
                    await asyncio.sleep(0.01)
                assert all(isinstance(task.result(), Launched) for task in tasks)

    run(scenario)


# -- the end of VMs ------------------------------------------------------------------


def test_the_end_of_a_vm_makes_room_for_another(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=1)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys, "a"))
                server = await machine.operator_starts(answer)
                await watch.take(paused(server, **godh(answer)))
                assert refusal(await watch.take(asked(keys, "b"))) == "too-many-instances"
                other = await machine.open_monitor()
                assert await watch.take(gone(other)) == Noted()
                assert await watch.take(gone(server)) == Noted()  # it is still there
                assert await watch.take(gone(server, seen=True)) == Noted((answer.launch_id,))
                assert not isinstance(await watch.take(asked(keys, "b")), Refusal)
            with office.watch() as watch:  # a restart forgets nothing of it
                assert refusal(await watch.take(asked(keys, "c"))) == "too-many-instances"

    run(scenario)


def test_vms_that_are_not_there_any_more_are_noticed_by_looking(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=1)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys, "a"))
                server = await machine.operator_starts(answer)
                await watch.take(paused(server, **godh(answer)))
                assert refusal(await watch.take(asked(keys, "b"))) == "too-many-instances"
                await server.stop()
                assert not isinstance(await watch.take(asked(keys, "b")), Refusal)

    run(scenario)


@pytest.mark.parametrize("by", ["godh", "nothing"])
def test_a_vm_that_was_served_is_known_to_the_next_process_too(office, keys, by):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                marks = godh(answer) if by == "godh" else {}
                await watch.take(paused(server, **marks))
            with office.watch() as watch:
                reply = await watch.take(paused(server, **marks))
                assert reply == Launched(answer.launch_id, "running")
            with office.desk(connect=connector()) as desk:
                await desk.stop(answer.launch_id)
            with office.watch() as watch:
                reply = await watch.take(paused(server, **marks))
                assert reply == Launched(answer.launch_id, "stopped")
            assert len(machine.processor.packets) == 1

    run(scenario)
    assert office.refusals() == []


def test_what_was_refused_is_counted_while_it_is_tried_again(tmp_path, keys):
    office = WatchOffice(tmp_path, keys, instances_at_most=1)
    honest, gate = connector(), asyncio.Event()

    async def connect(url, launch_id):
        if gate.is_set() and launch_id == first:
            gate.clear()
            await held.wait()
        return await honest(url, launch_id)

    async def scenario():
        nonlocal first
        async with Machine(keys) as machine:
            with office.watch(around={"connect": connect}) as watch:
                answers = []
                for name in ("a", "b"):
                    answer = await watch.take(asked(keys, name))
                    liar = await machine.operator_starts(
                        answer, build_firmware(FirmwareRecipe(seed="another"))
                    )
                    told = paused(liar, **godh(answer))
                    assert refusal(await watch.take(told)) == "measurement-mismatch"
                    answers.append(answer)
                servers = [await machine.operator_starts(answer) for answer in answers]
                first = answers[0].launch_id
                gate.set()
                told = [
                    paused(server, **godh(answer))
                    for server, answer in zip(servers, answers, strict=True)
                ]
                slow = asyncio.create_task(watch.take(told[0]))
                await until(lambda: not gate.is_set(), "the first one")
                assert refusal(await watch.take(told[1])) == "too-many-instances"
                assert refusal(await watch.take(asked(keys, "c"))) == "too-many-instances"
                held.set()
                assert isinstance(await slow, Launched)
            assert len(machine.processor.packets) == 1

    first, held = "", asyncio.Event()
    run(scenario)


def test_a_domain_that_is_shut_off_is_not_started_by_an_announcement(office, keys):
    url = "libvirt+qemu:///system?domain=web1"
    office.hosts = (*office.hosts, "libvirt+qemu:///system?domain=*")
    host = ShutOff()

    async def connect(url, launch_id):
        del url, launch_id
        return host

    async def scenario():
        with office.watch(around={"connect": connect}) as watch:
            answer = await watch.take(asked(keys))
            reply = await watch.take(Paused(source="test", host=url, **godh(answer)))
            assert isinstance(reply, Later), reply
            assert reply.error.code == "libvirt-domain-not-running"
            return answer.launch_id

    launch_id = run(scenario)
    assert office.states() == {launch_id: "prepared"}
    assert host.started == 0


class ShutOff:
    """A libvirt whose domain nobody has started."""

    started = 0

    async def measurement(self):
        raise HostError("libvirt-domain-not-running", "It is shut off", "…", "…")

    async def start(self, order):
        self.started += 1
        raise HostError("libvirt-domain-not-running", "It would have been started", "…", "…")

    async def close(self):
        pass

    state = platform = attestation_report = inject = resume = stop = measurement
    url = "libvirt+qemu:///system?domain=web1"


def test_the_end_of_another_vm_releases_nothing(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                await watch.take(paused(server, **godh(answer)))
                monitor = await machine.open_monitor()
                told = [
                    gone(monitor, **godh(answer)),
                    gone(monitor, launch=answer.launch_id),
                    gone(server),
                    gone(server, godh=b"x" * 2084, seen=True),
                    gone(server, launch="another", seen=True),
                ]
                return [await watch.take(event) for event in told]

    assert run(scenario) == [Noted()] * 5


def test_an_end_that_anybody_tells_counts_where_the_vm_is_missed(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                await watch.take(paused(server, **godh(answer)))
                await server.stop()
                assert await watch.take(gone(server)) == Noted((answer.launch_id,))

    run(scenario)


def test_a_blob_that_nobody_starts_expires(office, keys):
    office.expire_seconds = 30

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                office.clock.time += timedelta(seconds=31)
                async with serving(watch):
                    await until(lambda: office.told("expired"), "expiry")
                server = await machine.operator_starts(answer)
                with office.watch() as later:
                    reply = await later.take(paused(server, **godh(answer)))
            assert refusal(reply) == "unknown-vm"
            assert machine.processor.packets == ()

    run(scenario)
    assert not any(name.startswith("launch/") for name in office.vault_entries())


def test_once_the_packet_is_sealed_a_clone_changes_nothing_for_the_first_vm(
    office, keys, monkeypatch
):
    real = recording.fault_point

    def dies(name):
        real(name)
        if name == "packet-stored":
            raise SystemExit(9)

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
            first, clone = [await machine.operator_starts(answer) for _ in "12"]
            with monkeypatch.context() as patch:
                patch.setattr(recording, "fault_point", dies)
                with office.watch() as watch, pytest.raises(SystemExit):
                    await launching.launch_paused(watch._world, paused(first, **godh(answer)))
            with office.watch() as watch:
                told = paused(clone, **godh(answer))
                assert refusal(await watch.take(told)) == "sealed-for-another-vm"
                assert list(office.states().values()) == ["sealed"]
                assert isinstance(await watch.take(paused(first)), Launched)
            assert holds(first)
            assert not holds(clone)
            assert distinct_packets(machine) == 1

    run(scenario)
    assert office.refusals() == [("watch-unknown-vm", "sealed-for-another-vm")]


@pytest.mark.parametrize("by", ["godh", "id", "nothing"])
def test_a_vm_that_is_started_again_from_its_blob_gets_nothing(office, keys, by):
    async def scenario():
        async with Machine(keys) as machine:
            place = office.home / "vm.sock"
            office.hosts = (f"qmp+unix://{place}",)
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                first = await machine.operator_starts(answer, address=place)
                assert isinstance(await watch.take(paused(first, **godh(answer))), Launched)
                await first.stop()
                again = await machine.operator_starts(answer, address=place)
                assert url_of(again) == url_of(first)
                marks = {"godh": godh(answer), "id": {"launch": answer.launch_id}}
                code = refusal(await watch.take(paused(again, **marks.get(by, {}))))
                assert code in ("launch-over", "unknown-vm")
            assert not holds(again)
            assert distinct_packets(machine) == 1

    run(scenario)
    assert list(office.states().values()) == ["running"]
    assert "launch-refused" not in [entry.kind.value for entry in office.entries()]


def test_a_vm_that_was_served_and_is_told_again_is_sent_nothing(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                answer = await watch.take(asked(keys))
                server = await machine.operator_starts(answer)
                told = paused(server, **godh(answer))
                replies = [await watch.take(told) for _ in "12"]
                assert replies == [Launched(answer.launch_id, "running")] * 2
            assert len(machine.processor.packets) == 1

    run(scenario)
    assert office.refusals() == []
    assert len(office.told("launched")) == 1
