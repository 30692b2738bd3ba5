# SPDX-License-Identifier: Apache-2.0
"""Running a fleet over a desk that plays: order, phases, failures, waiting, interruption."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import pytest

from watchword.core.batch.results import Outcome
from watchword.core.batch.runner import BatchOrder, Phase, run_batch
from watchword.core.errors import (
    AnswerPending,
    BadInput,
    ExitStatus,
    HostError,
    VerificationRefused,
)
from watchword.core.launch.record import LaunchState
from watchword.core.launch.sev_plan import nobody_else_knows
from watchword.core.vault.launch_keys import record_changed

from .support import FakeHost, launches

REFUSAL = VerificationRefused("chain-refused", "Not AMD's", "message", "remedy")
PENDING = AnswerPending("answer-pending", "Waiting for the host", "message", "remedy")


class Batch:
    """Runs manifests over the playing desk, and keeps what was reported."""

    def __init__(self, fleet, desk):
        self.fleet, self.desk, self.events = fleet, desk, []
        self.absent = set()

    def __call__(self, text, phase=Phase.ALL, **words):
        return asyncio.run(self.run(text, phase, **words))

    async def run(self, text, phase=Phase.ALL, **words):
        order = BatchOrder(
            phase=phase, folder=self.fleet.path, environment={"PATH": "/usr/bin"}, **words
        )
        around = SimpleNamespace(connect=self.connect, more_certificates=nobody_else_knows)
        fleet = self.fleet.check(text)
        return await run_batch(fleet, self.desk, around, order=order, report=self.events.append)

    async def connect(self, url, launch_id):
        assert launch_id == self.desk.runs[-1].id
        if url in self.absent and not (self.fleet.path / "started").exists():
            raise HostError("host-socket-missing", "title", "message", "remedy")
        return FakeHost()

    def named(self, kind):
        return [event for event in self.events if event["event"] == kind]


@pytest.fixture
def batch(fleet, desk):
    return Batch(fleet, desk)


def untouched(desk):
    """Whether the one launch that was opened was closed again without a step."""
    [run] = desk.runs
    return run.closed and not run.launch.facts


def outcomes(summary):
    return {result.name: result.outcome.value for result in summary.results}


def test_launches_are_taken_in_order_and_to_their_end(batch, desk):
    summary = batch(launches("c", "a", "b"))
    assert outcomes(summary) == {"c": "done", "a": "done", "b": "done"}
    assert [order.host for order in desk.orders] == [f"qmp+unix:///run/{n}" for n in "cab"]
    assert summary.exit_status is ExitStatus.OK
    assert all(run.launch.complete and run.closed for run in desk.runs)
    assert [event["name"] for event in batch.named("result")] == ["c", "a", "b"]
    steps = [event["step"] for event in batch.named("step") if event["name"] == "a"]
    assert steps == ["guest", "platform", "session", "start", "measurement", "secret", "run"]


def test_a_batch_orders_pinned_platforms_and_waives_nothing(batch, desk):
    batch(launches("a"))
    [order] = desk.orders
    assert order.require_pinned
    assert order.ask_host
    assert (order.platform_waiver, order.policy_waiver, order.accept_platform) == (None, None, None)
    assert (order.trusted_roots, order.simulated) == ((), False)


def test_what_is_in_the_way_of_one_never_stops_the_others(batch, desk):
    desk.trouble = {
        ("qmp+unix:///run/b", "measurement"): REFUSAL,
        ("qmp+unix:///run/c", "platform"): PENDING,
        ("qmp+unix:///run/d", "secret"): KeyError("a fault of ours"),
    }
    summary = batch(launches("a", "b", "c", "d", "e"))
    assert outcomes(summary) == {
        "a": "done",
        "b": "failed",
        "c": "waiting",
        "d": "failed",
        "e": "done",
    }
    assert summary.exit_status is ExitStatus.BATCH_PARTLY_FAILED
    told = summary.as_json()
    assert told["outcomes"] == {"done": 2, "waiting": 1, "failed": 2}
    assert [(one["name"], one["code"]) for one in told["failed"]] == [
        ("b", "chain-refused"),
        ("d", "unexpected"),
    ]
    assert told["failed"][0]["title"] == "Not AMD's"
    assert told["waiting"][0]["launch"] == "launch-3"
    assert "KeyError" not in str(batch.events)
    assert all(run.closed for run in desk.runs)


def test_a_wrong_manifest_starts_nothing(batch, desk):
    with pytest.raises(BadInput):
        batch(launches("a") + "[[launch]]\n")
    assert (desk.orders, batch.events) == ([], [])


def test_waiting_alone_is_exit_9(batch, desk):
    desk.trouble = {("qmp+unix:///run/b", "start"): PENDING}
    assert batch(launches("a", "b")).exit_status is ExitStatus.WAITING


def test_without_injecting_a_launch_ends_verified(batch, desk):
    summary = batch(launches("a", more="inject = false\n"))
    assert outcomes(summary) == {"a": "verified"}
    assert "secret" not in desk.runs[0].launch.facts
    assert summary.exit_status is ExitStatus.OK


def test_preparing_writes_what_the_host_needs_and_goes_no_further(batch, desk, fleet):
    batch.absent.add("qmp+unix:///run/a")
    summary = batch(launches("a", more='out = "give"\n'), Phase.PREPARE)
    assert outcomes(summary) == {"a": "prepared"}
    assert "start" not in desk.runs[0].launch.facts
    [result] = batch.named("result")
    folder = fleet.path / "give" / "a"
    assert result["files"] == str(folder)
    assert (folder / "godh.b64").read_text() == "R09ESA=="
    assert (folder / "session.b64").read_text() == "QkxPQg=="
    assert "policy=0x1100002f" in (folder / "qemu-options.txt").read_text()
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_vm_that_is_not_started_yet_is_waited_for_by_a_later_run(batch, desk, fleet):
    batch.absent.add("qmp+unix:///run/a")
    summary = batch(launches("a"))
    assert outcomes(summary) == {"a": "waiting"}
    assert summary.results[0].error.code == "vm-not-started"
    assert (fleet.path / "out" / "a" / "godh.b64").exists()
    desk.knows("launch-1", fleet.store.load("web").profile, "qmp+unix:///run/a")
    batch.absent.clear()
    assert outcomes(batch(launches("a"), Phase.COMPLETE)) == {"a": "done"}
    assert (len(desk.orders), desk.opened) == (1, ["launch-1"])


def test_a_dead_socket_fails_its_launch_alone(batch, desk):
    async def dead():
        raise HostError("host-refused-connection", "Nobody there", "message", "remedy")

    desk.trouble = {("qmp+unix:///run/a", "platform"): dead}
    assert outcomes(batch(launches("a", "b"))) == {"a": "failed", "b": "done"}


def test_launches_by_hand_are_given_nothing_in_files(batch, desk, fleet):
    text = '[[launch]]\nname = "a"\nguest = "web"\nhost = "exchange:///media/usb"\n'
    desk.trouble = {("exchange:///media/usb", "start"): PENDING}
    assert outcomes(batch(text, Phase.PREPARE)) == {"a": "waiting"}
    assert not (fleet.path / "out").exists()


# -- completing --------------------------------------------------------------------


def test_completing_takes_up_the_newest_launch_of_guest_and_host(batch, desk, fleet):
    web = fleet.store.load("web").profile
    desk.knows("old", web, "qmp+unix:///run/a")
    desk.knows("new", web, "/run/a")
    desk.knows("given-up", web, "qmp+unix:///run/a", LaunchState.ABANDONED)
    desk.knows("other-host", web, "qmp+unix:///run/z")
    assert outcomes(batch(launches("a"), Phase.COMPLETE)) == {"a": "done"}
    assert (desk.opened, desk.orders) == (["new"], [])


def test_a_launch_that_somebody_works_on_by_hand_is_no_failure(batch, desk, fleet):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a")
    desk.busy["x"] = BadInput("launch-busy", "launch x", "process 1", "remedy")
    summary = batch(launches("a", "b"), resume=True)
    assert outcomes(summary) == {"a": "elsewhere", "b": "done"}
    [held] = [one for one in summary.results if one.name == "a"]
    assert "works on it, as x" in held.error.message


def test_a_lock_that_can_t_be_taken_is_a_failure(batch, desk, fleet):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a")
    desk.busy["x"] = BadInput("lock-not-taken", "launch x", "a reason", "remedy")
    assert outcomes(batch(launches("a"), resume=True)) == {"a": "failed"}


@pytest.mark.parametrize(
    "state",
    [
        LaunchState.PREPARED,
        LaunchState.VERIFIED,
        LaunchState.SEALED,
        LaunchState.HANDED_OVER,
        LaunchState.REFUSED,
    ],
)
def test_what_is_not_over_is_taken_further(batch, desk, fleet, state):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a", state)
    batch(launches("a"), Phase.COMPLETE)
    assert desk.opened == ["x"]


@pytest.mark.parametrize("state", [LaunchState.RUNNING, LaunchState.STOPPED])
def test_what_is_done_is_not_done_again(batch, desk, fleet, state):
    web = fleet.store.load("web").profile
    desk.knows("forgotten", web, "qmp+unix:///run/a")
    desk.knows("done", web, "qmp+unix:///run/a", state)
    summary = batch(launches("a"), Phase.COMPLETE)
    assert outcomes(summary) == {"a": "done-before"}
    assert summary.results[0].launch_id == "done"
    assert (desk.opened, desk.orders, summary.exit_status) == ([], [], ExitStatus.OK)


@pytest.mark.parametrize("change", [{"running": None}, {"is_abandoned": True}])
def test_what_only_the_list_calls_done_is_looked_into(batch, desk, fleet, change):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a", LaunchState.STOPPED)
    vars(desk.records["x"]).update(change)
    batch(launches("a"), Phase.COMPLETE)
    assert desk.opened == ["x"]


def refuses_changed_records(launch_id):
    raise record_changed(launch_id)


def test_what_the_vault_does_not_vouch_for_is_no_success(batch, desk, fleet):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a", LaunchState.RUNNING)
    desk.checked = refuses_changed_records
    summary = batch(launches("a"), Phase.COMPLETE)
    assert summary.results[0].error.code == "launch-record-changed"
    assert (desk.opened, summary.exit_status) == ([], ExitStatus.BATCH_PARTLY_FAILED)


@pytest.mark.parametrize("first", ["nowhere", "prepared"])
def test_of_two_launches_in_one_second_the_one_that_is_under_way_is_taken(
    batch, desk, fleet, first
):
    web = fleet.store.load("web").profile
    states = {"nowhere": LaunchState.PREPARING, "prepared": LaunchState.PREPARED}
    for name in sorted(states, key=first.__ne__):
        desk.knows(name, web, "qmp+unix:///run/a", states[name], at=7)
    batch(launches("a"), Phase.COMPLETE)
    assert desk.opened == ["prepared"]


def test_what_was_never_prepared_can_t_be_completed(batch, desk):
    summary = batch(launches("a"), Phase.COMPLETE)
    assert summary.results[0].error.code == "nothing-prepared"
    assert (desk.orders, summary.exit_status) == ([], ExitStatus.BATCH_PARTLY_FAILED)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"platform_waiver": "trust me"}, "waived-in-batch"),
        ({"policy_waiver": "trust me"}, "waived-in-batch"),
        ({"firmware_waiver": "trust me"}, "waived-in-batch"),
        ({"trusted_roots": (b"ark",)}, "waived-in-batch"),
    ],
)
def test_what_was_waived_by_hand_is_not_completed_in_a_batch(batch, desk, fleet, order, code):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a", **order)
    summary = batch(launches("a"), Phase.COMPLETE)
    assert summary.results[0].error.code == code
    assert untouched(desk)


def test_a_launch_of_another_state_of_the_profile_is_not_completed(batch, desk, fleet):
    unpinned = fleet.store.load("web").profile.model_copy(update={"ceks": ()})
    desk.knows("x", unpinned, "qmp+unix:///run/a")
    summary = batch(launches("a"), Phase.COMPLETE)
    assert summary.results[0].error.code == "prepared-otherwise"
    assert untouched(desk)


@pytest.mark.parametrize("phase", [Phase.ALL, Phase.PREPARE])
def test_nothing_is_begun_twice(batch, desk, fleet, phase):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/b")
    with pytest.raises(BadInput) as caught:
        batch(launches("a", "b"), phase)
    assert caught.value.code == "launches-under-way"
    assert caught.value.details["launches"] == [{"name": "b", "launch": "x", "state": "prepared"}]
    assert (desk.orders, batch.events) == ([], [])


@pytest.mark.parametrize(
    "state",
    [
        LaunchState.PREPARING,
        LaunchState.REFUSED,
        LaunchState.RUNNING,
        LaunchState.STOPPED,
        LaunchState.ABANDONED,
    ],
)
def test_a_launch_that_is_over_or_refused_may_be_followed_by_another(batch, desk, fleet, state):
    desk.knows("x", fleet.store.load("web").profile, "qmp+unix:///run/a", state)
    assert outcomes(batch(launches("a"))) == {"a": "done"}


def test_a_folder_that_is_carried_by_hand_belongs_to_one_launch(batch, desk, fleet):
    url = "exchange:///media/usb"
    text = f'[[launch]]\nname = "a"\nguest = "web"\nhost = "{url}"\n'
    desk.knows("x", fleet.store.load("web").profile, url, LaunchState.PREPARING)
    with pytest.raises(BadInput):
        batch(text)
    batch(text, Phase.COMPLETE)
    assert (desk.orders, desk.opened) == ([], ["x"])


# -- start commands ----------------------------------------------------------------


def starting(script, more=""):
    words = [sys.executable, "-c", script, "{name}", "{godh}"]
    return launches("a", more=f"start = {words!r}\n{more}")


def test_a_start_command_gets_what_was_written(batch, fleet):
    script = (
        "import sys; open('seen', 'w').write(' '.join(sys.argv[1:]) + open(sys.argv[2]).read())"
    )
    assert outcomes(batch(starting(script))) == {"a": "done"}
    path = fleet.path / "out" / "a" / "godh.b64"
    assert (fleet.path / "seen").read_text() == f"a {path}R09ESA=="


def test_a_start_command_that_fails_fails_its_launch(batch, desk):
    summary = batch(starting("raise SystemExit(3)"))
    assert summary.results[0].error.code == "start-command-failed"
    assert "start" not in desk.runs[0].launch.facts


def test_a_vm_is_started_once_only(batch, desk, fleet):
    script = "open('started', 'a').write('x')"
    for phase in (Phase.PREPARE, Phase.COMPLETE):
        batch(starting(script), phase)
        desk.knows("launch-1", fleet.store.load("web").profile, "qmp+unix:///run/a")
    assert not (fleet.path / "started").exists()


@pytest.mark.parametrize(
    ("state", "there", "words", "started"),
    [
        (LaunchState.PREPARED, False, {"resume": True}, True),
        (LaunchState.PREPARED, True, {"resume": True}, False),
        (LaunchState.PREPARED, False, {"phase": Phase.COMPLETE}, False),
        (LaunchState.REFUSED, False, {"resume": True, "retry_failed": True}, False),
        (LaunchState.SEALED, False, {"resume": True}, False),
    ],
)
def test_a_vm_that_no_command_has_started_yet_is_started_by_resuming(
    batch, desk, fleet, state, there, words, started
):
    desk.knows("launch-1", fleet.store.load("web").profile, "qmp+unix:///run/a", state)
    batch.absent = set() if there else {"qmp+unix:///run/a"}
    summary = batch(starting("open('started', 'x')", "wait = 0\n"), **words)
    assert (fleet.path / "started").exists() is started
    assert outcomes(summary) == {"a": "done" if started or there else "waiting"}
    assert (desk.opened, desk.orders) == (["launch-1"], [])


# -- interruption ------------------------------------------------------------------


def test_an_interrupted_batch_says_what_was_done(batch, desk):
    async def interrupt():
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    desk.trouble = {("qmp+unix:///run/b", "measurement"): interrupt}
    summary = batch(launches("a", "b", "c"))
    assert outcomes(summary) == {"a": "done", "b": "interrupted", "c": "not-begun"}
    assert (summary.interrupted, summary.exit_status) == (True, ExitStatus.INTERRUPTED)
    assert summary.results[1].launch_id == "launch-2"
    assert len(desk.orders) == 2
    assert all(run.closed for run in desk.runs)
    assert [event["outcome"] for event in batch.named("result")] == [
        Outcome.DONE,
        Outcome.INTERRUPTED,
        Outcome.NOT_BEGUN,
    ]
