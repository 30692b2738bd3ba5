# SPDX-License-Identifier: Apache-2.0
"""The page of launches: what stands how, and what is done about it from there."""

from __future__ import annotations

import asyncio
import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from watchword.core.launch.record import LaunchState
from watchword.core.launch.store import LaunchSummary
from watchword.gui.evidence_documents import EvidenceForm
from watchword.gui.pages.launches_model import Column, LaunchesModel
from watchword.gui.pages.launches_page import LaunchesPage

from ...core.launch.support import Stage, cek_of, prepared, state_of
from ..widgets.looks import cut_off, nameless

MANY = 10_000


def summary(number, state="running", **more):
    words = {
        "id": f"vm{number}-20261123-{number:06x}",
        "guest": f"vm{number}",
        "technology": "sev",
        "simulated": 0,
        "state": state,
        "host": f"qmp+unix:///run/vm{number}.sock",
        "waits_for": "",
        "created": "2026-11-23T14:00:00Z",
        "changed": "2026-11-23T14:00:00Z",
    }
    return LaunchSummary(**{**words, **more})


@pytest.fixture
def launches(office, keys):
    """One launch that runs, one that waits for its VM."""

    async def scenario(stage_done):
        async with Stage(keys) as stage:
            waiting = await prepared(office, stage, start=False, accept_platform=cek_of(keys))
            running = await prepared(office, stage, accept_platform=cek_of(keys))
            with office.desk(stage) as desk:
                await desk.open(running).run()
            stage_done.update(waiting=waiting, running=running)

    ids = {}
    asyncio.run(scenario(ids))
    return ids


@pytest.fixture
def page(qtbot, bridge, theme, service):
    made = LaunchesPage(bridge, service)
    qtbot.addWidget(made)
    made.resize(960, 700)
    with qtbot.waitExposed(made):
        made.show()
    with qtbot.waitSignal(made.loaded):
        made.refresh()
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def choose(page, launch_id):
    page.table.setCurrentIndex(page.model.index(page.model.row_of(launch_id), 0))


def idle(qtbot, page):
    qtbot.waitUntil(lambda: page.actions_row._job is None)


def test_each_launch_is_a_row_with_its_state_in_words(launches, page):
    rows = {page.model.summary(row).id: row for row in range(page.model.rowCount())}
    assert rows.keys() == {launches["waiting"], launches["running"]}
    words = page.model.index(rows[launches["waiting"]], Column.STATE).data()
    assert words == "Waits for the VM"
    assert page.guests.currentText() == "vm1"


@pytest.mark.usefixtures("launches")
def test_enter_on_a_launch_with_something_left_to_do_resumes_it(qtbot, launches, page):
    choose(page, launches["waiting"])
    with qtbot.waitSignal(page.resumed) as caught:
        qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert caught.args[0].id == launches["waiting"]
    choose(page, launches["running"])
    with qtbot.assertNotEmitted(page.resumed):
        qtbot.keyClick(page.table, Qt.Key.Key_Return)


def test_only_what_can_be_done_is_offered(launches, page):
    row = page.actions_row
    choose(page, launches["waiting"])
    assert [one.isVisible() for one in (row.resume, row.abandon, row.status, row.stop)] == [
        True,
        True,
        False,
        False,
    ]
    choose(page, launches["running"])
    assert [one.isVisible() for one in (row.resume, row.abandon, row.status, row.stop)] == [
        False,
        False,
        True,
        True,
    ]


def test_a_launch_is_abandoned_with_a_typed_reason_alone(qtbot, office, launches, page):
    choose(page, launches["waiting"])
    qtbot.mouseClick(page.actions_row.abandon, Qt.MouseButton.LeftButton)
    dialog = page.actions_row.dialog
    assert not dialog.agreeing.isEnabled()
    qtbot.keyClicks(dialog.reason, "the host was reinstalled")
    qtbot.mouseClick(dialog.agreeing, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: state_of(office, launches["waiting"]) is LaunchState.ABANDONED)
    idle(qtbot, page)
    qtbot.waitUntil(page.banner.isVisible)
    assert office.vault_entries().isdisjoint({f"launch/{launches['waiting']}/tek"})


def test_a_host_that_is_gone_is_told_as_an_error(qtbot, launches, page):
    choose(page, launches["running"])
    qtbot.mouseClick(page.actions_row.status, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.banner.isVisible)
    assert "Code: host-" in page.banner.report
    idle(qtbot, page)


@pytest.mark.parametrize("form", list(EvidenceForm))
def test_evidence_is_kept_in_each_form(qtbot, launches, page, tmp_path, form):
    choose(page, launches["running"])
    path = tmp_path / f"kept{form.ending}"
    page.actions_row.keep_evidence(launches["running"], form, str(path))
    qtbot.waitUntil(page.banner.isVisible)
    start = {EvidenceForm.JSON: b"{", EvidenceForm.HTML: b"<!DOCTYPE", EvidenceForm.PDF: b"%PDF"}
    assert path.read_bytes().startswith(start[form])
    assert path.stat().st_mode & 0o777 == 0o600
    if form is EvidenceForm.JSON:
        assert json.loads(path.read_text())["payloadType"]


def test_a_filter_leaves_what_has_all_its_words(qtbot, launches, page):
    qtbot.keyClicks(page.search, "vm1 waits")
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)
    assert page.selected.id == launches["waiting"]
    qtbot.keyClicks(page.search, " nothing like that")
    qtbot.waitUntil(page.empty.isVisible)
    assert not page.actions_row.isVisible()


def test_ten_thousand_launches_are_listed_and_filtered(qtbot, page):
    many = [summary(n, "running" if n % 2 else "prepared") for n in range(MANY)]
    page._show((many, ("vm1",), ""))
    QApplication.processEvents()
    assert page.model.rowCount() == MANY
    page.only_open.setChecked(True)
    assert page.model.rowCount() == MANY // 2
    page.search.setText("vm9998")
    qtbot.waitUntil(lambda: page.model.rowCount() == 1)


def test_only_the_rows_that_are_seen_are_asked_for(qtbot, page, monkeypatch):
    asked = set()
    real = LaunchesModel.data

    def data(model, index, role=Qt.ItemDataRole.DisplayRole):
        asked.add(index.row())
        return real(model, index, role)

    monkeypatch.setattr(LaunchesModel, "data", data)
    page._show(([summary(n) for n in range(MANY)], ("vm1",), ""))
    QApplication.processEvents()
    page.table.grab()
    assert 0 < len(asked) < 200


def test_what_is_simulated_says_so_in_its_row(page):
    page._show(([summary(1, simulated=1)], (), ""))
    assert "SIMULATED" in page.model.index(0, Column.STATE).data()
    assert "SIMULATED" in page.model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)


def test_words_of_the_records_file_are_shown_and_never_obeyed(page):
    page._show(([summary(1, state="<b>\x1b[31m", host="a\u202eb\x00")], (), ""))
    words = [page.model.index(0, column).data() for column in Column]
    assert all(word.isprintable() for word in words)


def test_whatever_can_have_the_focus_has_a_name_and_its_room(qtbot, launches, page):
    page.resize(760, 448)
    for launch_id in launches.values():
        choose(page, launch_id)
        QApplication.processEvents()
        assert nameless(page) == []
        assert cut_off(page) == []


def test_that_it_is_simulated_has_its_room_in_every_row(page):
    states = [state.value for state in LaunchState]
    page.resize(731, 512)
    page._show(([summary(n, state, simulated=1) for n, state in enumerate(states)], (), ""))
    room = page.table.columnWidth(Column.STATE)
    for row in range(page.model.rowCount()):
        words = page.model.index(row, Column.STATE).data()
        assert page.fontMetrics().horizontalAdvance(words) + 30 <= room, words


def test_without_launches_it_says_how_to_begin_and_not_that_none_fits(page):
    page._show(([], (), ""))
    assert page.none.isVisible()
    assert not page.empty.isVisible()
    assert not page.search.isEnabled()
    page._show(([summary(1)], ("vm1",), ""))
    assert not page.none.isVisible()
    assert page.search.isEnabled()
