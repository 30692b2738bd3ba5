# SPDX-License-Identifier: Apache-2.0
"""The form for a guest: every problem at its field, and nothing lost that it does not show."""

from __future__ import annotations

from PySide6.QtCore import Qt

from ..guest_files import plain_document
from ..support import idle, press

# -- the form ----------------------------------------------------------------------


def test_a_guest_is_made_with_the_form(qtbot, show, firmware) -> None:
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    form = page.form
    qtbot.keyClicks(form.fields["name"].widget, "web1")
    form.files["firmware"].add_paths([str(firmware)])
    qtbot.keyClicks(form.fields["vcpus"].widget, "1-4")
    form.cpu.setEditText("EPYC-Milan")
    press(qtbot, form.secrets.adding)
    row = form.secrets.rows[0]
    assert row.name.currentText() == "disk-passphrase"
    assert [row.entry.itemText(i) for i in range(row.entry.count())] == ["vm1/disk", "vm2/disk"]
    row.entry.setEditText("vm1/disk")
    qtbot.mouseClick(form.saving, Qt.MouseButton.LeftButton)
    idle(qtbot, page)
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    assert form.policy.presets.currentIndex() == 0
    profile = page.view.guest.profile
    assert (profile.name, profile.technology, profile.vcpus) == ("web1", "sev-es", (1, 2, 3, 4))
    assert dict(profile.secrets) == {"disk-passphrase": "vm1/disk"}
    assert profile.firmware[0].is_approved


def test_all_problems_are_said_at_their_fields_at_once_and_go_when_mended(qtbot, show) -> None:
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    form = page.form
    assert not any(field.problem for field in form.fields.values())
    qtbot.keyClicks(form.fields["host"].widget, "nonsense")
    form.expert.set_open(True)
    qtbot.keyClicks(form.fields["minimum_api"].widget, "0.1")
    form.saving.click()
    wrong = {key for key, field in form.fields.items() if field.problem}
    assert wrong == {"name", "firmware", "vcpus", "cpu", "host", "minimum_api"}
    assert form.banner.isVisible()
    qtbot.keyClicks(form.fields["name"].widget, "web1")
    assert form.fields["name"].problem == ""
    assert form.fields["host"].problem


def test_a_problem_is_said_at_a_field_that_was_filled_in_and_left(qtbot, show) -> None:
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    edit = page.form.fields["vcpus"].widget
    qtbot.keyClicks(edit, "many")
    assert page.form.fields["vcpus"].problem == ""
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert "number" in page.form.fields["vcpus"].problem
    assert page.form.fields["name"].problem == ""


def test_a_secret_in_the_place_of_a_name_is_refused_and_not_repeated(qtbot, show) -> None:
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    press(qtbot, page.form.secrets.adding)
    value = "vZy4VXw792uzJxHPVQga7zoXRIQ57GWgjkt35iZvfMO+"
    page.form.secrets.rows[0].entry.setEditText(value)
    page.form.saving.click()
    problem = page.form.fields["secrets"].problem
    assert "looks like a secret itself" in problem
    assert value not in problem


def test_without_es_no_processors_are_asked_for(qtbot, show) -> None:
    page = show()
    press(qtbot, page.list.new)
    idle(qtbot, page)
    assert page.form.fields["vcpus"].isVisible()
    page.form.policy.presets.setCurrentIndex(1)
    page.form.policy.presets.activated.emit(1)
    assert not page.form.fields["vcpus"].isVisible()
    assert page.form.document()["technology"] == "sev"


def test_a_guest_is_changed_and_keeps_what_the_form_does_not_show(
    qtbot, guests, firmware, tmp_path, show
) -> None:
    cek = {"sha256": "c0" * 32, "chip_id": "ab" * 64, "note": "rack 3"}
    before = guests.add(
        plain_document(
            tmp_path,
            kernel=[{"path": str(firmware)}],
            cmdline=["quiet", {"sha256": "aa" * 32}],
            ceks=[cek],
            minimum_api="1.49",
        )
    ).profile
    page = show()
    press(qtbot, page.list.cards[0].button)
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    assert page.form.boot.opened
    assert page.form.expert.opened
    page.form.saving.click()
    idle(qtbot, page)
    assert page.view.guest.profile == before
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    qtbot.keyClicks(page.form.fields["description"].widget, "mine")
    page.form.saving.click()
    idle(qtbot, page)
    assert page.view.guest.profile.description == "mine"


def test_a_form_that_is_left_changes_nothing(qtbot, page, guests) -> None:
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    qtbot.keyClicks(page.form.fields["description"].widget, "other")
    page.form.cancelling.click()
    idle(qtbot, page)
    assert page.view.isVisible()
    assert guests.one("vm1").profile.description == ""


def test_a_form_that_is_filled_in_stays_when_the_page_comes_back(qtbot, page) -> None:
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    qtbot.keyClicks(page.form.fields["description"].widget, "half")
    page.refresh()
    idle(qtbot, page)
    assert page.form.isVisible()
    assert page.form.fields["description"].widget.text() == "half"


def test_what_goes_wrong_while_saving_leaves_the_form_as_it_is(
    qtbot, page, guests, tmp_path
) -> None:
    press(qtbot, page.view.edit)
    idle(qtbot, page)
    page.form.files["firmware"].add_paths([str(tmp_path / "missing.fd")])
    page.form.saving.click()
    idle(qtbot, page)
    assert page.form.isVisible()
    assert "missing.fd" in page.form.banner.report
