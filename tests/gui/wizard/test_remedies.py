# SPDX-License-Identifier: Apache-2.0
"""After a mismatch another launch may begin, as the diagnosis suggests; this one stays refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from watchword.core.launch.engine import StepState
from watchword.core.rehearsal import stage
from watchword.gui.wizard.remedies import MOST_SHOWN, Remedy, remedies
from watchword.gui.wizard.remedy_panel import RemedyPanel

from ..widgets.looks import cut_off, nameless


def deviation(code, *, profile=None, on_host="Start it so.", alarm=False):
    words = {"code": code, "text": "Text.", "remedy": "Remedy."}
    return {**words, "alarm": alarm, "profile": profile, "on_host": on_host}


VCPUS = deviation("vcpu-count", profile={"vcpus": 3})
CPU = deviation("cpu-model", profile={"cpu": "EPYC-Milan"}, on_host="Start it with -cpu EPYC.")
WEAKER = deviation("policy-weaker", profile={"policy": 1}, alarm=True)


def found(*matches):
    return remedies({"matches": list(matches)})


def test_what_can_be_approved_may_be_approved_or_put_right_by_the_host():
    assert found([VCPUS]) == [[Remedy({"vcpus": 3}), Remedy(instruction="Start it so.")]]


def test_deviations_that_explain_it_together_are_approved_together():
    both = {"vcpus": 3, "cpu": "EPYC-Milan"}
    instruction = "Start it so.\nStart it with -cpu EPYC."
    assert found([VCPUS, CPU]) == [[Remedy(both), Remedy(instruction=instruction)]]


@pytest.mark.parametrize("alarming", [[WEAKER], [VCPUS, WEAKER]])
def test_less_protection_is_never_offered_for_approval(alarming):
    ((only,),) = found(alarming)
    assert only.changes == {}


def test_no_alarming_spelling_of_a_field_is_approved_either():
    absent = deviation("cmdline-absent", profile={"cmdline": 8}, alarm=True)
    ((only,),) = found([absent])
    assert only.changes == {}


def test_other_firmware_may_be_what_was_meant_and_rings_the_alarm():
    other = deviation("other-firmware", profile={"firmware": "/fw/other.fd"}, alarm=True)
    ((first, second),) = found([other])
    assert (first.changes, first.alarm) == ({"firmware": "/fw/other.fd"}, True)
    assert second == Remedy(instruction="Start it so.")


def test_firmware_that_is_known_by_a_name_alone_can_not_be_looked_at():
    other = deviation("other-firmware", profile={"firmware": "other.fd"}, alarm=True)
    ((only,),) = found([other])
    assert only.changes == {}


def test_half_an_instruction_is_none():
    ((only,),) = found([WEAKER, deviation("tek-tik-swapped", on_host="")])
    assert only == Remedy()


@pytest.mark.parametrize("strange", [{}, {"matches": None}, {"matches": ["x", 3]}])
def test_what_is_no_explanation_offers_nothing(strange):
    assert remedies(strange) == []


def test_where_nothing_differs_nothing_is_offered():
    assert found([deviation("no-difference")]) == [[]]


def test_of_very_many_explanations_the_first_ones_count():
    assert len(found(*[[VCPUS]] * 20)) == MOST_SHOWN


CHANGES = [
    ({"vcpus": 1}, "Start a new launch with one vCPU…"),
    ({"vcpus": 3}, "Start a new launch with 3 vCPUs…"),
    ({"vmsa": "init2"}, "Start a new launch with init2 VMSA pages…"),
    ({"sev_features": 32}, "Start a new launch with SEV features 0x20…"),
    ({"cmdline": 0}, "Start a new launch with the host's spelling of the command line…"),
    (
        {"vcpus": 3, "cpu": "EPYC-Milan"},
        "Start a new launch with 3 vCPUs and CPU EPYC-Milan…",
    ),
    ({"firmware": "/a/b/x&y.fd"}, "Start a new launch with the firmware x&&y.fd…"),
]


@pytest.mark.parametrize(("changes", "words"), CHANGES)
def test_a_button_says_in_what_the_new_launch_differs(qtbot, theme, changes, words):
    panel = RemedyPanel([Remedy(changes)])
    qtbot.addWidget(panel)
    assert panel.buttons[0].text() == words


# -- in a rehearsal --------------------------------------------------------------------


@pytest.fixture
def one_vcpu_more(monkeypatch):
    """A host that starts the VM with one vCPU more than it was ordered: a usual mistake."""
    real = stage._with_vcpus
    monkeypatch.setattr(
        stage, "_with_vcpus", lambda order, vcpus: real(order, replace(vcpus, count=3))
    )


def panel_of(driver) -> RemedyPanel:
    assert driver.page == "measurement"
    (panel,) = driver.frame.page.findChildren(RemedyPanel)
    return panel


@pytest.mark.usefixtures("one_vcpu_more")
def test_another_number_of_vcpus_is_approved_for_another_rehearsal_and_then_it_matches(driver):
    driver.to("secret")
    assert driver.launch.status("measurement").state is StepState.FAILED
    driver.click(panel_of(driver).buttons[0])
    driver.rest()
    # What was changed is shown first, and nothing is done before the owner went on.
    assert driver.page == "guest"
    assert driver.wizard.choices.vcpus.value() == 3
    assert driver.launch.facts.keys() == {"guest"}
    assert "Changed" in driver.frame.row.note.text()
    driver.to("secret")
    assert driver.page == "secret"
    assert driver.launch.status("measurement").state is StepState.DONE


@pytest.mark.usefixtures("one_vcpu_more")
def test_what_the_host_has_to_change_is_copied_and_nothing_else_is_approved(driver):
    driver.to("secret")
    driver.click(panel_of(driver).buttons[1])
    driver.rest()
    assert driver.page == "guest"
    assert driver.launch.marks == {}
    assert driver.wizard.choices.vcpus.value() == 2
    assert QGuiApplication.clipboard().text() == "Start the VM with 2 vCPUs (-smp 2)."


@pytest.mark.usefixtures("one_vcpu_more")
def test_the_buttons_have_names_and_room(driver):
    driver.wizard.resize(910, 448)
    driver.to("secret")
    for _ in range(5):
        QApplication.processEvents()
    assert nameless(driver.wizard) == []
    assert cut_off(driver.wizard) == []
