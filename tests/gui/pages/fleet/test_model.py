# SPDX-License-Identifier: Apache-2.0
"""The fleet's table: events by the thousand, filter and order, and nothing foreign obeyed."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QPushButton

from watchword.core.batch.intent import Intent
from watchword.core.batch.results import Outcome
from watchword.gui.fleet_service import PlannedLaunch
from watchword.gui.pages.fleet_causes import FleetCauses, causes_of
from watchword.gui.pages.fleet_model import Column, FleetModel
from watchword.gui.pages.fleet_table import FleetTable
from watchword.gui.pages.fleet_words import (
    Standing,
    by_buttons,
    intent_look,
    outcome_look,
    standing_of,
)

from ..fleet_support import plan, result, step

MANY = 2_000
MOST = 10_000


@pytest.fixture
def model(qapp):
    made = FleetModel()
    # Whatever is wrong with what it tells a view is a warning of Qt's, which fails the test.
    mode = QAbstractItemModelTester.FailureReportingMode.Warning
    tester = QAbstractItemModelTester(made, mode)
    made.show_planned(plan(30))
    yield made
    tester.deleteLater()
    made.deleteLater()


@pytest.fixture
def resets(model):
    found = []
    model.modelReset.connect(lambda: found.append(1))
    return found


def names(model):
    return [model.row(row).name for row in range(model.rowCount())]


def cell(model, row, column):
    return model.index(row, column).data()


def test_events_change_their_rows_and_nothing_is_reset(model, resets):
    changed, counted = [], []
    model.dataChanged.connect(lambda first, last, _: changed.append((first.row(), last.row())))
    model.counted.connect(lambda: counted.append(1))
    model.apply([step(3), step(5, "platform"), result(4, "failed", "chain-refused")])
    assert changed == [(3, 5)]
    assert counted == [1]
    assert cell(model, 3, Column.STATE).endswith(": done")
    assert cell(model, 4, Column.WHY) == "Because of chain-refused"
    assert cell(model, 4, Column.LAUNCH) == "web-4"
    assert model.count(Standing.FAILED) == 1
    assert model.count(Standing.AT_WORK) == 2
    assert model.count(Standing.TO_COME) == 27
    assert resets == []


def test_two_thousand_launches_take_all_their_events_without_a_reset(qtbot, theme, qapp):
    model = FleetModel()
    table = FleetTable(model)
    qtbot.addWidget(table)
    table.show()
    model.show_planned(plan(MANY))
    table.fit(400)
    resets = []
    model.modelReset.connect(lambda: resets.append(1))
    steps = ("guest", "platform", "session", "start", "measurement", "secret")
    events = [step(n, one) for n in range(MANY) for one in steps]
    events += [
        result(n, "failed", f"cause-{n % 3}") if n % 10 == 0 else result(n) for n in range(MANY)
    ]
    for start in range(0, len(events), 500):
        model.apply(events[start : start + 500])
        QApplication.processEvents()
    assert model.count(Standing.DONE) == MANY - MANY // 10
    assert model.count(Standing.FAILED) == MANY // 10
    assert sum(len(one.names) for one in causes_of(model.rows)) == MANY // 10
    assert len(causes_of(model.rows)) == 3
    assert resets == []
    model.deleteLater()


def test_of_ten_thousand_rows_only_those_that_are_seen_are_asked_for(qtbot, theme, monkeypatch):
    model = FleetModel()
    table = FleetTable(model)
    qtbot.addWidget(table)
    model.show_planned(plan(MOST))
    table.fit(400)
    table.show()
    asked = set()
    real = FleetModel.data

    def data(one, index, role=Qt.ItemDataRole.DisplayRole):
        asked.add(index.row())
        return real(one, index, role)

    monkeypatch.setattr(FleetModel, "data", data)
    model.apply([result(n) for n in range(MOST)])
    QApplication.processEvents()
    table.grab()
    assert 0 < len(asked) < 200
    model.deleteLater()


def test_what_comes_to_fit_the_filter_joins_and_what_no_longer_does_leaves(model, resets):
    model.set_filter("", Standing.AT_WORK)
    resets.clear()
    assert names(model) == []
    model.apply([step(n) for n in (7, 2, 20)])
    assert names(model) == ["v2", "v7", "v20"]
    model.apply([result(7), step(4)])
    assert names(model) == ["v2", "v4", "v20"]
    assert resets == []


def test_the_words_of_a_filter_look_into_names_hosts_states_and_causes(model):
    model.apply([result(3, "failed", "chain-refused"), result(4, "failed", "host-timeout")])
    for words, found in (
        ("v29", ["v29"]),
        ("chain-refused", ["v3"]),
        ("FAILED timeout", ["v4"]),
        ("/run/v11", ["v11"]),
        ("web-3", ["v3"]),
        ("nothing like it", []),
    ):
        model.set_filter(words, None)
        assert names(model) == found


def test_numbers_in_names_are_sorted_as_numbers_and_the_order_is_kept_up(model, resets):
    model.sort(Column.NAME, Qt.SortOrder.DescendingOrder)
    assert names(model)[:3] == ["v29", "v28", "v27"]
    model.sort(Column.STATE, Qt.SortOrder.AscendingOrder)
    model.apply([result(5, "failed", "chain-refused"), result(9)])
    states = [cell(model, row, Column.STATE) for row in range(model.rowCount())]
    assert states == sorted(states)
    model.sort(-1)
    assert names(model) == [f"v{n}" for n in range(30)]
    assert resets == []


def test_what_is_selected_stays_so_while_rows_move_and_others_leave(qtbot, theme, model):
    table = FleetTable(model)
    qtbot.addWidget(table)
    table.show()
    table.table.selectRow(6)
    assert table.selected == {"v6"}
    table.order.setCurrentIndex(table.order.findData(int(Column.STATE)))
    model.apply([result(n, "failed", "x") for n in (6, 1, 12)] + [result(20)])
    assert table.selected == {"v6"}
    assert table.current.name == "v6"


def test_a_click_on_a_title_sorts_and_a_third_one_gives_the_manifests_order(qtbot, theme, model):
    table = FleetTable(model)
    qtbot.addWidget(table)
    table.show()
    header = table.table.horizontalHeader()
    place = header.sectionViewportPosition(Column.NAME) + 5
    for first, data in (("v0", Column.NAME), ("v29", Column.NAME), ("v0", -1)):
        point = header.rect().topLeft()
        point.setX(place)
        point.setY(header.height() // 2)
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=point)
        assert names(model)[0] == first
        assert table.order.currentData() == int(data)


def test_launches_that_are_run_again_begin_anew(model):
    model.apply([result(3, "failed", "chain-refused"), result(4)])
    model.restart(["v3"])
    assert model.count(Standing.FAILED) == 0
    assert model.rows[3].trouble is None
    assert model.rows[4].outcome is Outcome.DONE


def test_events_of_launches_that_nobody_knows_change_nothing(model):
    model.apply([result(77), {"event": "records", "rollback": "none"}])
    assert model.count(Standing.TO_COME) == 30


@pytest.mark.parametrize("host", ["1²3", "²", "x²", "٣", "9" * 40])
def test_what_is_a_digit_only_by_name_is_sorted_too(model, host):
    model.show_planned([PlannedLaunch(f"v{n}", "web", host, Intent.BEGIN) for n in range(3)])
    model.sort(Column.HOST)
    assert names(model) == ["v0", "v1", "v2"]


def test_causes_are_grouped_the_most_frequent_first(model):
    model.apply([result(n, "failed", "rare") for n in (1, 2)])
    model.apply([result(n, "waiting", "often") for n in range(3, 9)])
    found = causes_of(model.rows)
    assert [(one.example.code, len(one.names)) for one in found] == [("often", 6), ("rare", 2)]
    assert found[1].names == ("v1", "v2")


def test_the_cards_keep_that_order_while_numbers_change(qtbot, theme, model):
    causes = FleetCauses()
    qtbot.addWidget(causes)
    model.apply([result(n, "failed", "first") for n in (1, 2)])
    causes.show_causes(causes_of(model.rows))
    model.apply([result(3, "failed", "second")])
    causes.show_causes(causes_of(model.rows))
    before = set(causes.cards.values())
    model.apply([result(n, "failed", "second") for n in range(4, 9)])
    causes.show_causes(causes_of(model.rows))
    assert set(causes.cards.values()) == before
    seen = sorted(causes.cards.values(), key=causes._list.indexOf)
    assert ["second" in card.accessibleName() for card in seen] == [True, False]
    following = seen[0].showing.nextInFocusChain()
    while not isinstance(following, QPushButton):
        following = following.nextInFocusChain()
    assert following is seen[1].showing


def test_a_cause_says_what_became_of_its_launches_once(qtbot, theme, model):
    causes = FleetCauses()
    qtbot.addWidget(causes)
    error = {"code": "c", "title": "Not tried: its machine was refused", "message": "m"}
    model.apply([{**result(1, "not-tried", "c"), "error": error}])
    causes.show_causes(causes_of(model.rows))
    (card,) = causes.cards.values()
    assert card.accessibleName() == "Not tried (1): its machine was refused"


def test_what_hosts_and_files_say_is_shown_and_never_obeyed(model):
    bad = "\x1b[31m<b>a\u202eb\x00"
    model.show_planned([PlannedLaunch("v0", bad, bad, Intent.BEGIN)])
    model.apply([{"event": "step", "name": "v0", "launch": bad, "step": bad, "state": bad}])
    model.apply([{**result(0, "failed", "x"), "error": {"title": bad}}])
    words = [cell(model, 0, column) for column in Column]
    words.append(model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole))
    assert all(word.isprintable() for word in words)


def test_whatever_becomes_of_a_launch_has_words_and_is_counted_somewhere():
    looks = [outcome_look(one) for one in Outcome] + [intent_look(one) for one in Intent]
    assert all(look.word and look.icon for look in looks)
    assert len({outcome_look(one).word for one in Outcome}) == len(Outcome)
    assert {standing_of(one) for one in Outcome} == set(Standing) - {Standing.AT_WORK}
    assert "Another batch" in outcome_look(Outcome.ELSEWHERE).word


def test_remedies_name_buttons_where_the_command_line_has_options():
    words = "Once it is in order: --resume --retry-failed. Else go on with --resume, not --jobs."
    told = "Once it is in order: “Retry failed”. Else go on with “Resume”, not --jobs."
    assert by_buttons(words) == told
