# SPDX-License-Identifier: Apache-2.0
"""Many launches at once over a desk that plays: limits, refused machines, taking up again."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace

import pytest

from watchword.core.batch.intent import BatchOrder, Phase
from watchword.core.batch.results import Outcome
from watchword.core.batch.runner import run_batch
from watchword.core.errors import ExitStatus, HostError, VerificationRefused
from watchword.core.launch.record import LaunchState
from watchword.core.launch.sev_plan import nobody_else_knows

from .support import FakeHost

REFUSAL = VerificationRefused("chain-refused", "Not AMD's", "message", "remedy")


class Crowd:
    """Runs manifests, and counts how many launches are at a step at once."""

    def __init__(self, fleet, desk):
        self.fleet, self.desk, self.events = fleet, desk, []
        self.now, self.most = {}, {}

    def text(self, *machines, limit=""):
        text = ""
        for name, count in machines:
            text += f'[hosts.{name}]\nurl = "qmp+unix:///run/{{name}}"\n{limit}'
            text += f'[[launch]]\nname = "{name}{{1..{count}}}"\nguest = "web"\non = "{name}"\n'
        return text

    def busy(self, machine, count):
        """Each launch of a machine stays a while at its first step."""

        async def stay():
            self.now[machine] = self.now.get(machine, 0) + 1
            self.most[machine] = max(self.most.get(machine, 0), self.now[machine])
            for _ in range(300):
                await asyncio.sleep(0)
            self.now[machine] -= 1

        for number in range(1, count + 1):
            self.desk.trouble[f"qmp+unix:///run/{machine}{number}", "guest"] = stay

    def __call__(self, text, **order):
        order = BatchOrder(
            **{"phase": Phase.ALL, "folder": self.fleet.path, "environment": {}, **order}
        )
        around = SimpleNamespace(connect=self.connect, more_certificates=nobody_else_knows)
        fleet = self.fleet.check(text)
        return asyncio.run(
            run_batch(fleet, self.desk, around, order=order, report=self.events.append)
        )

    async def connect(self, url, launch_id):
        return FakeHost()


@pytest.fixture
def crowd(fleet, desk):
    return Crowd(fleet, desk)


def outcomes(summary):
    return {result.name: result.outcome.value for result in summary.results}


def test_as_many_as_are_allowed_are_under_way_and_no_more(crowd):
    crowd.busy("a", 30)
    assert crowd(crowd.text(("a", 30)), jobs=10).count(Outcome.DONE) == 30
    assert crowd.most == {"a": 10}


def test_each_machine_has_its_own_limit(crowd):
    crowd.busy("a", 20)
    crowd.busy("b", 20)
    text = crowd.text(("a", 20), limit="limit = 3\n") + crowd.text(("b", 20))
    assert crowd(text, jobs=30, per_host=5).count(Outcome.DONE) == 40
    assert crowd.most == {"a": 3, "b": 5}


def test_a_machine_whose_chain_was_refused_is_left_alone_and_said_so(crowd, desk):
    desk.trouble["qmp+unix:///run/bad2", "platform"] = REFUSAL
    summary = crowd(crowd.text(("bad", 5), ("good", 5)), jobs=1)
    found = outcomes(summary)
    assert [found[f"bad{i}"] for i in (1, 2, 3, 4, 5)] == [
        *("done", "failed"),
        *("not-tried",) * 3,
    ]
    assert {found[f"good{i}"] for i in range(1, 6)} == {"done"}
    assert summary.exit_status is ExitStatus.BATCH_PARTLY_FAILED
    told = summary.as_json()
    assert {one["name"] for one in told["failed"]} == {"bad2", "bad3", "bad4", "bad5"}
    assert told["causes"][0] == {
        "outcome": "not-tried",
        "code": "machine-refused",
        "title": "Not tried: its machine was refused",
        "count": 3,
        "names": ["bad3", "bad4", "bad5"],
    }
    assert "bad2" in str(summary.results[2].error.message)


def test_nothing_of_a_launch_that_failed_stays_in_memory_with_its_error(crowd, desk):
    class Held:
        """What a launch holds."""

    gone = []

    async def fail():
        held = Held()
        gone.append(weakref.ref(held))
        raise HostError("host-lost", "Lost", "message", "remedy")

    for number in (1, 2):
        desk.trouble[f"qmp+unix:///run/a{number}", "guest"] = fail
    gc.collect()
    gc.disable()
    try:
        summary = crowd(crowd.text(("a", 2)))
        assert [result.error.code for result in summary.results] == ["host-lost"] * 2
        assert [held() for held in gone] == [None, None]
    finally:
        gc.enable()


def test_where_a_result_can_not_be_reported_the_others_end_before_the_batch_does(crowd, desk):
    under_way, ended = asyncio.Event(), []

    async def work():
        under_way.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    def report(event):
        if event["event"] == "result" and event["name"] == "a2":
            raise OSError("the disk is full")

    desk.trouble["qmp+unix:///run/a1", "guest"] = work
    desk.trouble["qmp+unix:///run/a2", "guest"] = under_way.wait

    async def main():
        where = {"folder": crowd.fleet.path, "environment": {}}
        order = BatchOrder(phase=Phase.ALL, jobs=2, per_host=2, **where)
        around = SimpleNamespace(connect=crowd.connect, more_certificates=nobody_else_knows)
        fleet = crowd.fleet.check(crowd.text(("a", 2)))
        with pytest.raises(OSError, match="disk is full"):
            await run_batch(fleet, desk, around, order=order, report=report)
        return list(ended)

    assert asyncio.run(main()) == [True]


def test_what_another_profile_pins_is_still_tried_there(crowd, desk, fleet):
    fleet.profile("other", ceks=["cd" * 32])
    desk.trouble["qmp+unix:///run/a1", "platform"] = REFUSAL
    text = crowd.text(("a", 2)) + (
        '[[launch]]\nname = "b"\nguest = "other"\non = "a"\n'  # the same machine, other pins
    )
    assert outcomes(crowd(text)) == {"a1": "failed", "a2": "not-tried", "b": "done"}


@pytest.mark.parametrize(
    ("state", "words", "outcome", "opened"),
    [
        (LaunchState.PREPARING, {}, "done", True),
        (LaunchState.PREPARED, {}, "done", True),
        (LaunchState.SEALED, {}, "done", True),
        (LaunchState.RUNNING, {}, "done-before", False),
        (LaunchState.REFUSED, {}, "failed", False),
        (LaunchState.REFUSED, {"retry_failed": True}, "done", True),
        (None, {}, "done", False),
    ],
)
def test_resuming_goes_by_what_the_records_say(crowd, desk, fleet, state, words, outcome, opened):
    if state is not None:
        desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a1", state)
    assert outcomes(crowd(crowd.text(("a", 1)), resume=True, **words)) == {"a1": outcome}
    assert desk.opened == (["x"] if opened else [])
    assert len(desk.orders) == (state is None)


def test_what_another_batch_is_at_is_left_to_it(crowd, desk):
    desk.claimed.add(("web", "qmp+unix:///run/a1"))
    summary = crowd(crowd.text(("a", 2)))
    assert outcomes(summary) == {"a1": "elsewhere", "a2": "done"}
    assert summary.exit_status is ExitStatus.WAITING


def test_what_another_batch_has_begun_since_is_not_begun_again(crowd, desk, fleet):
    profile, began = fleet.store.load("web").profile, desk.new

    def new(order, observe):
        # While the first is launched, another process launches the second.
        if not desk.known:
            desk.knows("theirs", profile, "qmp+unix:///run/a2", LaunchState.RUNNING)
            desk.others_wrote += 1
        return began(order, observe)

    desk.new = new
    assert outcomes(crowd(crowd.text(("a", 2)))) == {"a1": "done", "a2": "elsewhere"}
    assert len(desk.orders) == 1


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (LaunchState.PREPARING, LaunchState.PREPARED),
        (LaunchState.REFUSED, LaunchState.SEALED),
    ],
)
def test_what_another_batch_has_taken_further_since_is_not_begun_again(
    crowd, desk, fleet, before, now
):
    profile, began = fleet.store.load("web").profile, desk.new
    desk.knows("theirs", profile, "qmp+unix:///run/a2", before)

    def new(order, observe):
        # While the first is launched, another process goes on with the second.
        desk.known[0] = desk.known[0]._replace(state=now)
        desk.others_wrote += 1
        return began(order, observe)

    desk.new = new
    assert outcomes(crowd(crowd.text(("a", 2)))) == {"a1": "done", "a2": "elsewhere"}
    assert len(desk.orders) == 1


def test_what_is_ended_may_end_in_order(crowd, desk, monkeypatch):
    main, cut_off, earlier = [], [], desk.list

    def noted(**words):
        main.append(asyncio.current_task())
        return earlier(**words)

    async def work():
        try:
            await asyncio.sleep(60)
        finally:
            try:
                await asyncio.sleep(0.01)  # a connection is closed, a command is ended
            except asyncio.CancelledError:
                cut_off.append(True)

    async def interrupt():
        main[0].cancel()
        await asyncio.sleep(60)

    monkeypatch.setattr(desk, "list", noted)
    steps = {"a1": work, "a2": interrupt}
    desk.trouble = {(f"qmp+unix:///run/{n}", "measurement"): step for n, step in steps.items()}
    summary = crowd(crowd.text(("a", 2)), jobs=2)
    assert outcomes(summary) == {"a1": "interrupted", "a2": "interrupted"}
    assert cut_off == []
