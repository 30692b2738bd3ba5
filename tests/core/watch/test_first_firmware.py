# SPDX-License-Identifier: Apache-2.0
"""Approved firmware that no launch has verified before: it waits for a person, or is refused."""

from __future__ import annotations

import json
import os

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.simulator import FirmwareRecipe, PlatformKeys, build_firmware
from watchword.core.watch.approvals import (
    all_decided,
    approval_id,
    decide,
    decision_of,
    pending_approvals,
    request_approval,
)
from watchword.core.watch.events import Later, Launched, Refusal

from .engine_support import Machine, WatchOffice, asked, holds, paused, run, serving, until

SHA = "ab" * 32


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys):
    return WatchOffice(tmp_path, keys, first_firmware="ask")


def godh(answer):
    return {"godh": answer.order.owner_dh_certificate}


async def waiting_vm(watch, machine, keys, request="r1"):
    answer = await watch.take(asked(keys, request))
    server = await machine.operator_starts(answer)
    return server, await watch.take(paused(server, **godh(answer)))


def test_a_vm_waits_verified_until_a_person_allows_its_firmware(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch):
                    server, reply = await waiting_vm(watch, machine, keys)
                    assert isinstance(reply, Later)
                    assert reply.as_json()["code"] == "first-firmware"
                    assert list(office.states().values()) == ["verified"]
                    assert machine.processor.packets == ()
                    (question,) = pending_approvals(office.approvals)
                    assert question.guest == "vm1"
                    assert question.firmware_sha256 == office.profile.firmware[0].sha256
                    decide(office.approvals, question.id, allow=True)
                    await until(lambda: holds(server), "the secret")
                    # Known by now: nobody is asked again.
                    _, reply = await waiting_vm(watch, machine, keys, "r2")
                    assert isinstance(reply, Launched)
            assert len(machine.processor.packets) == 2

    run(scenario)
    assert pending_approvals(office.approvals) == ()
    assert len(pending_approvals(office.approvals, decided=True)) == 1


def test_what_a_person_refuses_gets_nothing(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch):
                    await waiting_vm(watch, machine, keys)
                    (question,) = pending_approvals(office.approvals)
                    decide(office.approvals, question.id, allow=False)
                    await until(lambda: office.told("refused"), "the refusal")
            assert machine.processor.packets == ()

    run(scenario)
    assert office.told("refused")[0]["code"] == "first-firmware-refused"


def test_a_restart_forgets_neither_the_vm_nor_the_question(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                server, _ = await waiting_vm(watch, machine, keys)
            with office.watch() as watch:
                async with serving(watch):
                    await until(lambda: len(office.told("waiting")) > 1, "waiting again")
                    (question,) = pending_approvals(office.approvals)
                    assert machine.processor.packets == ()
                    decide(office.approvals, question.id, allow=True)
                    await until(lambda: holds(server), "the secret")
            assert len(machine.processor.packets) == 1

    run(scenario)


@pytest.mark.parametrize("how", ["refuse", "nobody"])
def test_where_nobody_is_to_be_asked_it_is_refused(tmp_path, keys, how):
    choice = "refuse" if how == "refuse" else "ask"
    office = WatchOffice(tmp_path, keys, first_firmware=choice)
    office.approvals = None if how == "nobody" else office.approvals

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                _, reply = await waiting_vm(watch, machine, keys)
            assert machine.processor.packets == ()
            return reply

    reply = run(scenario)
    assert isinstance(reply, Refusal)
    assert reply.error.code == "first-firmware-refused"


def test_one_image_that_was_verified_says_nothing_of_another(office, keys):
    other = office.home / "OVMF-2.fd"
    other.write_bytes(build_firmware(FirmwareRecipe(seed="next")))
    office.profile = office.other_profile(
        "vm1", firmware=[{"path": str(office.firmware)}, {"path": str(other)}]
    )

    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch):
                    server, _ = await waiting_vm(watch, machine, keys)
                    (question,) = pending_approvals(office.approvals)
                    decide(office.approvals, question.id, allow=True)
                    await until(lambda: office.told("launched"), "the launch")
                    answer = await watch.take(asked(keys, "r2"))
                    server = await machine.operator_starts(answer, other.read_bytes())
                    reply = await watch.take(paused(server, **godh(answer)))
                    assert isinstance(reply, Later)
                    (question,) = pending_approvals(office.approvals)
                    assert question.firmware_sha256 == office.profile.firmware[1].sha256
                    assert not holds(server)

    run(scenario)


def test_new_rules_are_looked_at_for_vms_that_wait(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch):
                    server, _ = await waiting_vm(watch, machine, keys)
                    office.watch_table = {**office.watch_table, "first_firmware": "allow"}
                    office.set_profile()
                    watch.reload(office.rules())
                    await until(lambda: holds(server), "the secret")

    run(scenario)


# -- the folder ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "approvals"
    request_approval(made, "vm1", SHA, launch_id="l", host="h", asked="2026-11-23T14:00:00Z")
    return made


def test_a_question_is_asked_once_and_is_private(folder):
    again = request_approval(folder, "vm1", SHA, launch_id="x", host="y", asked="later")
    (question,) = pending_approvals(folder)
    assert (question.id, question.launch_id) == (again, "l")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def decision_file(folder):
    return folder / f"{approval_id('vm1', SHA)}.decision.json"


@pytest.mark.parametrize("allow", [True, False])
def test_a_decision_may_be_changed(folder, allow):
    name = approval_id("vm1", SHA)
    decide(folder, name, allow=not allow)
    decide(folder, name, allow=allow)
    assert decision_of(folder, "vm1", SHA) is allow
    assert decision_of(folder, "vm2", SHA) is None
    assert decision_of(folder, "vm1", "cd" * 32) is None


def spoil_mode(folder):
    decision_file(folder).chmod(0o640)


def spoil_link(folder):
    path = decision_file(folder)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def spoil_second_name(folder):
    os.link(decision_file(folder), folder.parent / "second")


def spoil_content(folder):
    name = approval_id("vm2", SHA)
    decision_file(folder).write_text(json.dumps({"format": 1, "id": name, "allow": True}))


def spoil_word(folder):
    name = approval_id("vm1", SHA)
    decision_file(folder).write_text(json.dumps({"format": 1, "id": name, "allow": "yes"}))


def spoil_folder(folder):
    folder.chmod(0o777)


@pytest.mark.parametrize(
    "spoil",
    [spoil_mode, spoil_link, spoil_second_name, spoil_content, spoil_word, spoil_folder],
)
def test_decisions_that_others_could_have_made_count_for_nothing(folder, spoil):
    decide(folder, approval_id("vm1", SHA), allow=True)
    spoil(folder)
    with pytest.raises(UsageError) as caught:
        decision_of(folder, "vm1", SHA)
    assert caught.value.code == "approvals-not-private"
    folder.chmod(0o700)


def test_a_decision_that_can_t_be_relied_on_keeps_the_vm_waiting(office, keys):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                await waiting_vm(watch, machine, keys)
                (question,) = pending_approvals(office.approvals)
                decide(office.approvals, question.id, allow=True)
                office.approvals.chmod(0o770)
                server, reply = await waiting_vm(watch, machine, keys, "r2")
                assert isinstance(reply, Later)
                assert reply.error.code == "approvals-not-private"
                assert not holds(server)
            assert machine.processor.packets == ()

    run(scenario)


@pytest.mark.parametrize("where", ["x" * 300, "a-file/approvals"])
def test_a_folder_out_of_reach_is_told_in_words(tmp_path, where):
    (tmp_path / "a-file").touch()
    folder = tmp_path / where
    told = []
    for ask in (
        lambda: pending_approvals(folder),
        lambda: decision_of(folder, "vm1", SHA),
        lambda: decide(folder, approval_id("vm1", SHA), allow=True),
        lambda: request_approval(folder, "vm1", SHA, launch_id="l", host="h", asked="t"),
    ):
        try:
            ask()
        except (BadInput, UsageError) as error:
            told.append(error.code)
    assert set(told) <= {"approvals-not-private", "bad-folder"}
    assert len(told) >= 2
    assert all_decided(tmp_path / ("x" * 300), ["ab" * 16])


def test_what_waits_for_a_folder_out_of_reach_does_not_end_the_watch(office, keys, tmp_path):
    async def scenario():
        async with Machine(keys) as machine:
            with office.watch() as watch:
                async with serving(watch):
                    _, reply = await waiting_vm(watch, machine, keys)
                    assert reply.as_json()["code"] == "first-firmware"
                    watch.reload(office.rules(approvals=tmp_path / ("x" * 300)))
                    await until(lambda: len(office.told("matched")) >= 2, "the next look")
                    watch.reload(office.rules())
                    (question,) = pending_approvals(office.approvals)
                    decide(office.approvals, question.id, allow=True)
                    await until(lambda: office.told("launched"), "the launch")

    run(scenario)
    assert office.told("upkeep-failed") == []


@pytest.mark.parametrize("name", ["../../x", "", "ab" * 16, "x" * 32])
def test_only_what_was_asked_can_be_decided(folder, name):
    with pytest.raises(BadInput) as caught:
        decide(folder, name, allow=True)
    assert caught.value.code == "no-such-approval"


def test_what_is_no_question_is_left_out(folder):
    (folder / f"{'0' * 32}.json").write_text("{}")
    (folder / f"{'1' * 32}.json").write_text("nonsense")
    (folder / f"{'2' * 32}.json").symlink_to("/etc/passwd")
    assert len(pending_approvals(folder)) == 1
    assert pending_approvals(folder.parent / "nowhere") == ()
