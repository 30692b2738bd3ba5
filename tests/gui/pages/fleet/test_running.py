# SPDX-License-Identifier: Apache-2.0
"""Fleets in the window over real sockets: launched to their secrets, stopped, resumed, retried."""

from __future__ import annotations

import base64
from pathlib import Path

from watchword.core.launch.launch_lock import claim_place
from watchword.core.launch.record import LaunchState
from watchword.gui.pages.fleet_words import Standing

from ....fleet_hosts import NEVER
from ..fleet_support import PASSPHRASE, SECRET, launches
from ..support import texts


def test_a_fleet_is_launched_until_every_guest_has_its_secrets(page, person, room):
    room.unlock()
    told = []
    page.run.happened.connect(told.append)
    with room.hosts() as hosts:
        person.open(room.manifest(3))
        assert page.model.rowCount() == 3
        assert launches(room) == ()
        person.run(page.actions_row.start)
        report = hosts.report()
    assert person.outcomes() == {"v1": "done", "v2": "done", "v3": "done"}
    assert all(one["holds"] and len(set(one["packets"])) == 1 for one in report.values())
    assert {one.state for one in launches(room)} == {LaunchState.RUNNING}
    assert page.model.count(Standing.DONE) == 3
    assert "All of the fleet is through" in texts(page.banner)
    assert not page.causes.isVisible()
    shown = repr(told) + texts(page) + page.banner.report
    for form in (SECRET.decode(), SECRET.hex(), base64.b64encode(SECRET).decode()):
        assert form not in shown


def test_failures_are_grouped_by_cause_and_stop_nobody_else(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware", v4="wrong-firmware", v5=NEVER) as hosts:
        never = '[[launch]]\nname = "v5"\nguest = "web"\nwait = 1\n'
        person.open(room.write(Path(room.manifest(4)).read_text() + never))
        person.run(page.actions_row.start)
        report = hosts.report()
    outcomes = person.outcomes()
    assert {name for name, outcome in outcomes.items() if outcome == "done"} == {"v1", "v3"}
    assert (outcomes["v2"], outcomes["v4"]) == ("failed", "failed")
    assert report["v2"]["packets"] == report["v4"]["packets"] == []
    first = page.causes.causes[0]
    assert (first.example.code, first.names) == ("measurement-mismatch", ("v2", "v4"))
    card = next(iter(page.causes.cards.values()))
    assert first.example.remedy in texts(card).replace("\n", " ")
    person.press(card.showing)
    assert [page.model.row(n).name for n in range(page.model.rowCount())] == ["v2", "v4"]
    page.table.table.selectRow(0)
    assert first.example.title in texts(page.row)
    assert page.actions_row.retry.isEnabled()


def test_the_vault_is_asked_for_first_and_without_it_nothing_begins(qtbot, page, person, room):
    with room.hosts():
        person.open(room.manifest(1))
        assert "once the vault is open" in texts(page)
        person.press(page.actions_row.start)
        person.until(lambda: page.gate.dialog is not None)
        page.gate.dialog.reject()
        assert not page.run.running
        assert launches(room) == ()
        person.press(page.actions_row.start)
        person.until(lambda: page.gate.dialog is not None)
        qtbot.keyClicks(page.gate.dialog.field.edit, PASSPHRASE.decode())
        person.run(page.gate.dialog.agreeing)
    assert person.outcomes() == {"v1": "done"}


def test_it_stops_in_order_and_resume_goes_on_with_the_same_launches(page, person, room):
    room.unlock()
    person.open(room.manifest(3))
    person.press(page.actions_row.start)
    person.until(lambda: all((room.folder / "out" / f"v{n}").exists() for n in (1, 2, 3)))
    person.press(page.actions_row.stop)
    assert not page.actions_row.stop.isEnabled()
    person.through()
    assert set(person.outcomes().values()) == {"interrupted"}
    assert "Resume" in texts(page.banner)
    begun = {one.id for one in launches(room)}
    with room.hosts() as hosts:
        person.run(page.actions_row.resume)
        report = hosts.report()
    assert set(person.outcomes().values()) == {"done"}
    assert {one.id for one in launches(room)} == begun
    assert all(len(set(one["packets"])) == 1 and one["blobs"] == 1 for one in report.values())


def test_a_dry_run_says_what_would_be_done_and_starts_nothing(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware"):
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
    before = launches(room)
    person.press(page.actions_row.dry_run)
    person.until(lambda: not page.work.busy)
    words = [page.model.index(row, 1).data() for row in range(2)]
    assert words == ["Done before", "Refused before"]
    assert page.actions_row.retry.isEnabled()
    assert launches(room) == before


def test_what_was_refused_is_tried_again_if_that_is_asked_for(page, person, room):
    room.unlock()
    with room.hosts(v2="wrong-firmware"):
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
        person.run(page.actions_row.resume)
        assert person.outcomes() == {"v1": "done-before", "v2": "failed"}
        assert page.causes.causes[0].example.code == "refused-before"
        person.run(page.actions_row.retry)
    assert person.outcomes()["v1"] == "done-before"
    assert page.causes.causes[0].example.code != "refused-before"


def test_only_those_that_are_selected_are_launched(page, person, room):
    room.unlock()
    with room.hosts() as hosts:
        person.open(room.manifest(3))
        page.actions_row.only.setChecked(True)
        person.press(page.actions_row.start)
        assert "No launch is selected" in texts(page.banner)
        page.table.table.selectRow(1)
        person.run(page.actions_row.start)
        assert set(hosts.report()) == {"v2"}
    assert person.outcomes() == {"v1": None, "v2": "done", "v3": None}


def test_what_another_batch_is_at_work_on_is_shown_as_that(page, person, room):
    room.unlock()
    host = f"qmp+unix://{room.folder}/v2.sock"
    claim = claim_place(room.home.path, "web", host, "2026-11-23T14:00:00Z")
    with room.hosts() as hosts:
        person.open(room.manifest(2))
        person.run(page.actions_row.start)
        assert set(hosts.report()) == {"v1"}
    claim.release()
    assert person.outcomes() == {"v1": "done", "v2": "elsewhere"}
    assert page.model.count(Standing.FAILED) == 0
    assert page.model.index(1, 1).data() == "Another batch has it"
    assert page.causes.causes[0].example.code == "launched-elsewhere"


def test_launches_that_were_begun_earlier_are_not_begun_a_second_time(page, person, room):
    room.unlock()
    person.open(room.manifest(2))
    person.press(page.actions_row.start)
    person.until(lambda: all((room.folder / "out" / f"v{n}").exists() for n in (1, 2)))
    page.run.stop()
    person.through()
    person.press(page.actions_row.dry_run)
    person.until(lambda: not page.work.busy)
    assert not page.actions_row.start.isEnabled()
    assert page.actions_row.resume.property("primary")
    # Another process may begin them after the check: the core refuses, and the page says how.
    person.run_by(page.start)
    assert "Code: launches-under-way" in page.banner.report
    assert len(launches(room)) == 2
