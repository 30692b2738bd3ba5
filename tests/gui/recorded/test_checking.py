# SPDX-License-Identifier: Apache-2.0
"""*Check a platform*: a chain from files or from a host, judged link by link, without a launch."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from watchword.core.records.database import Records
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.check_page import CheckPage

from ..widgets.looks import cut_off, nameless


@pytest.fixture
def page(qtbot, bridge, theme, service):
    made = CheckPage(bridge, service)
    qtbot.addWidget(made)
    made.resize(760, 448)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    qtbot.waitUntil(lambda: not bridge.busy)


def check(qtbot, page):
    qtbot.mouseClick(page.checking, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page._job is None)
    assert nameless(page) == []
    qtbot.waitUntil(lambda: cut_off(page) == [])  # what was just shown is laid out a moment later


def test_a_host_is_asked_and_its_chain_shown(qtbot, page, host, office):
    page.host.setText(host.url)
    check(qtbot, page)
    assert page.result.isVisible()
    # A machine that judges itself proves nothing.
    assert page.banner.accessibleName().startswith("Warning: This is a genuine AMD processor")
    assert "This host is this very machine" in page.banner.report
    assert not Records.exists(office.home)


def test_files_are_enough(qtbot, page, keys, tmp_path):
    file = tmp_path / "chain.cert"
    file.write_bytes(keys.full_chain)
    page.files.add_files([str(file)])
    check(qtbot, page)
    assert page.banner.accessibleName().startswith("Success")


def test_under_another_root_than_amds_the_verdict_is_a_refusal(
    qtbot, bridge, page, keys, tmp_path, vaults
):
    page._service = LaunchService(vaults)
    file = tmp_path / "chain.cert"
    file.write_bytes(keys.full_chain)
    page.files.add_files([str(file)])
    check(qtbot, page)
    assert page.result.isVisible()
    assert page.banner.accessibleName().startswith("Problem")


def test_a_verdict_goes_with_what_it_was_about(qtbot, page, host, keys, tmp_path):
    page.host.setText(host.url)
    check(qtbot, page)
    assert page.result.isVisible()
    page.host.setText("qmp+unix:///run/another.sock")
    assert not page.result.isVisible()
    assert not page.banner.isVisible()
    page.host.clear()
    file = tmp_path / "chain.cert"
    file.write_bytes(keys.full_chain)
    page.files.add_files([str(file)])
    check(qtbot, page)
    assert page.result.isVisible()
    page.files.add_files([str(tmp_path / "more.cert")])
    assert not page.result.isVisible()


def test_an_answer_about_another_host_is_not_shown(qtbot, page, host):
    page.host.setText(host.url)
    page.checking.click()
    page.host.setText("qmp+unix:///run/another.sock")
    qtbot.waitUntil(lambda: page._job is None)
    assert not page.result.isVisible()
    assert not page.banner.isVisible()
    assert page.checking.isEnabled()


def test_nothing_given_is_said(qtbot, page):
    check(qtbot, page)
    assert "Name the host" in page.banner.report


def test_no_key_service_is_asked_unless_the_owner_wants_it(qtbot, page, service, host):
    asked = []
    real = service.surroundings

    def surroundings(*, ask_amd):
        asked.append(ask_amd)
        return real(ask_amd=ask_amd)

    service.surroundings = surroundings
    page.host.setText(host.url)
    check(qtbot, page)
    page.ask_amd.setChecked(True)
    check(qtbot, page)
    assert asked == [False, True]
