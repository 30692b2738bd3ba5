# SPDX-License-Identifier: Apache-2.0
"""Where the VM is to be, before a launch: the URL from its parts, and the test of a connection."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from watchword.core.guest.document import profile_from_document
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.hosts.protocol import GuestRow
from watchword.core.records.database import Records
from watchword.gui.wizard.host_kinds import HostKind

from ...core.launch.support import cek_of, make_profile
from ..widgets.looks import cut_off, nameless
from .test_wizard_looks import SMALLEST, settled


@pytest.fixture
def person(make_wizard):
    made = make_wizard()
    made.wizard.resize(*SMALLEST)
    made.until(lambda: made.wizard.choices.guests.currentText() == "vm1")
    return made


@pytest.fixture
def choices(person):
    return person.wizard.choices


@pytest.fixture
def builder(choices):
    made = choices.url.builder
    made.set_open(True)
    return made


def choose(builder, kind):
    builder.kind.setCurrentIndex(builder.kind.findData(kind))


def fill(builder, **values):
    for name, text in values.items():
        edit = builder.fields[builder.kind.currentData()][name]
        edit.setFocus()
        QTest.keyClicks(edit, text)


def ask(qtbot, choices):
    """Test the connection, until nobody is asked any more."""
    qtbot.mouseClick(choices.connection.test, Qt.MouseButton.LeftButton)
    rest(qtbot, choices)


def rest(qtbot, choices):
    line, test = choices.connection.line, choices.connection.test
    qtbot.waitUntil(lambda: not line.isVisible() and test.isEnabled())


def said(choices):
    return "\n".join(choices.connection.findings.sentences)


# -- the URL from its parts --------------------------------------------------------------


def test_fields_make_the_url_by_keyboard_alone(choices, builder):
    choose(builder, HostKind.SSH)
    fill(builder, host="server1", user="me", port="2222", path="/run/vm1.sock")
    assert choices.host.text() == "qmp+ssh://me@server1:2222/run/vm1.sock"
    assert choices.wanted().host == choices.host.text()
    assert choices.url.problem == ""


def test_a_url_that_is_typed_fills_the_fields_in(choices, builder):
    choices.host.setFocus()
    QTest.keyClicks(choices.host, "libvirt+qemu+ssh://me@server1/system?domain=vm1")
    assert builder.kind.currentData() == HostKind.LIBVIRT_SSH
    assert dict(builder.values) == {"host": "server1", "user": "me", "port": "", "domain": "vm1"}


def test_what_is_wrong_with_a_part_stands_below_the_url(choices, builder):
    choose(builder, HostKind.TLS)
    fill(builder, host="server1", port="99999", certificates="/etc/pki/qemu")
    assert "Its port" in choices.url.problem
    assert choices.host.accessibleDescription() == choices.url.problem


def test_nothing_is_said_of_a_url_that_is_still_being_typed(choices):
    choices.host.setFocus()
    QTest.keyClicks(choices.host, "qmp+ssh://serv")
    assert choices.url.problem == ""
    choices.guests.setFocus()
    assert "path" in choices.url.problem
    choices.host.setFocus()
    QTest.keyClicks(choices.host, "er1/run/vm1.sock")
    assert choices.url.problem == ""


def test_another_kind_takes_along_what_means_the_same(choices, builder):
    choose(builder, HostKind.SSH)
    fill(builder, host="server1", user="me", port="2222", path="/run/vm1.sock")
    choose(builder, HostKind.LIBVIRT_SSH)
    fill(builder, domain="vm1")
    assert choices.host.text() == "libvirt+qemu+ssh://me@server1/system?domain=vm1"


def test_without_any_guest_it_says_where_one_is_made(choices):
    assert not choices.none.isVisible()
    choices.show_guests(())
    assert choices.none.isVisible()


def test_of_another_url_no_part_of_the_one_before_is_left(choices, builder):
    choices.url.set_url("qmp+ssh://me@server1:2222/run/vm1.sock")
    choices.url.set_url("qmp+unix:///run/vm2.sock")
    choose(builder, HostKind.SSH)
    assert choices.host.text() == "qmp+ssh:///run/vm2.sock"
    choices.url.set_url("")
    assert not any(builder.values.values())


def test_a_url_with_more_than_the_fields_is_left_alone(choices, builder):
    url = "qmp+tls://server1:4444?ca=/ca.pem"
    choices.host.setFocus()
    QTest.keyClicks(choices.host, url)
    assert builder.note.isVisible()
    assert choices.host.text() == url


@pytest.mark.parametrize("kind", HostKind)
def test_every_kind_has_names_and_room(longer_words, person, builder, kind):
    choose(builder, kind)
    assert settled(person.wizard, nameless) == []
    assert settled(person.wizard, cut_off) == []


# -- the test of a connection --------------------------------------------------------------


def test_what_the_host_shows_is_said_in_sentences_with_marks(qtbot, person, choices, host, office):
    choices.host.setText(host.url)
    ask(qtbot, choices)
    assert "Good: The certificates hold, up to AMD's root." in said(choices)
    assert "Not known: " in said(choices)
    assert "only a launch verifies it" in choices.connection.banner.report
    assert not Records.exists(office.home)
    assert settled(person.wizard, nameless) == []
    assert settled(person.wizard, cut_off) == []


def test_findings_have_room_for_longer_words(longer_words, qtbot, person, choices, host):
    choices.host.setText(host.url)
    ask(qtbot, choices)
    assert settled(person.wizard, cut_off) == []


def test_a_machine_that_the_profile_does_not_allow_is_a_problem(qtbot, choices, host, office):
    keep = ProfileStore(profiles_folder())
    keep.remove("vm1")
    keep.add(make_profile(office.firmware, ceks=[{"sha256": "ab" * 32}]))
    choices.host.setText(host.url)
    ask(qtbot, choices)
    assert cek_of(office.keys) in said(choices)
    assert "A launch would not succeed" in choices.connection.banner.report


def test_without_a_url_the_profiles_host_is_asked(qtbot, choices, host, office):
    keep = ProfileStore(profiles_folder())
    keep.remove("vm1")
    keep.add(make_profile(office.firmware, host=host.url))
    ask(qtbot, choices)
    assert f"{host.url} answers" in said(choices)


def test_without_any_host_it_says_so(qtbot, choices, office):
    store = ProfileStore(profiles_folder())
    document = {**store.load("vm1").profile.to_document(), "host": None}
    profile = profile_from_document({k: v for k, v in document.items() if v is not None}, "vm1")
    store.remove("vm1")
    store.add(profile)
    ask(qtbot, choices)
    assert "Write the URL of the host" in choices.connection.banner.report


def test_where_nobody_is_the_error_is_a_banner(qtbot, choices, tmp_path):
    choices.host.setText(f"qmp+unix://{tmp_path}/none.sock")
    ask(qtbot, choices)
    assert choices.connection.banner.accessibleName().startswith("Problem")
    assert said(choices) == ""


def test_of_a_folder_it_says_that_nobody_answers_at_once(qtbot, choices, tmp_path):
    choices.host.setText(f"exchange://{tmp_path}/vm1")
    ask(qtbot, choices)
    assert "Nobody answers there at once" in choices.connection.banner.report
    assert list(tmp_path.glob("vm1*")) == []


def test_a_url_that_is_none_is_told_and_nobody_is_asked(qtbot, choices):
    choices.host.setText("qmp+ssh://me:hunter2@server1/run/vm1.sock")
    qtbot.mouseClick(choices.connection.test, Qt.MouseButton.LeftButton)
    assert "password" in choices.url.problem
    assert not choices.connection.line.isVisible()


class Knowing:
    """A host as libvirt is one: it knows of several VMs, and calls them what it likes."""

    NAMES = ("vm1", "a b", "-evil\x1b[31m")

    def __init__(self, host):
        self._host = host

    def __getattr__(self, name):
        return getattr(self._host, name)

    async def guests(self):
        return tuple(
            GuestRow(f"{n:08x}-0000-0000-0000-000000000000", one)
            for n, one in enumerate(self.NAMES)
        )

    async def __aenter__(self):
        return self

    async def __aexit__(self, *fault):
        await self._host.close()


@pytest.fixture
def knowing(service, host, choices, qtbot):
    """The choices once a libvirt host was asked, and has told its VMs."""
    real = service.surroundings

    def surroundings(*, ask_amd):
        found = real(ask_amd=ask_amd)

        async def connect(url, launch_id):
            return Knowing(await found.connect(host.url, launch_id))

        return replace(found, connect=connect)

    service.surroundings = surroundings
    choices.host.setText("libvirt+qemu+ssh://me@server1/system")
    ask(qtbot, choices)
    return choices


@pytest.mark.parametrize(
    ("row", "domain"), [(0, "vm1"), (1, "a%20b"), (2, "00000002-0000-0000-0000-000000000000")]
)
def test_one_of_the_hosts_vms_is_chosen_from_a_list(qtbot, person, knowing, row, domain):
    panel = knowing.connection
    assert panel.guests.count() == len(Knowing.NAMES)
    assert "\x1b" not in panel.guests.itemText(2)
    assert settled(person.wizard, nameless) == settled(person.wizard, cut_off) == []
    panel.guests.setCurrentIndex(row)
    panel.taking.setFocus()
    qtbot.keyClick(panel.taking, Qt.Key.Key_Space)
    assert knowing.host.text() == f"libvirt+qemu+ssh://me@server1/system?domain={domain}"
    assert knowing.url.problem == ""
    assert not panel.guests.isVisible()


def test_a_host_that_knows_no_vms_offers_none(qtbot, choices, host):
    choices.host.setText(host.url)
    ask(qtbot, choices)
    assert not choices.connection.taking.isVisible()


def test_the_keyboard_comes_back_to_the_button(qtbot, choices, host):
    choices.host.setText(host.url)
    choices.connection.test.setFocus()
    qtbot.keyClick(choices.connection.test, Qt.Key.Key_Space)
    rest(qtbot, choices)
    assert choices.connection.test.hasFocus()


@pytest.fixture
def silent(tmp_path, monkeypatch):
    """A host that takes connections, and never says a word."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("silent.sock")
        listening.listen()
        yield "qmp+unix:silent.sock"


def test_a_host_that_says_nothing_is_asked_no_longer_than_wanted(qtbot, choices, silent):
    choices.host.setText(silent)
    qtbot.mouseClick(choices.connection.test, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(choices.connection.line.isVisible)
    choices.connection.line.cancel.click()  # where it stands is not settled yet
    rest(qtbot, choices)
    assert not choices.connection.banner.isVisible(), choices.connection.banner.report


def test_what_was_found_is_forgotten_with_another_url(qtbot, choices, host, silent):
    choices.host.setText(host.url)
    ask(qtbot, choices)
    choices.host.setText(silent)
    assert not choices.connection.findings.isVisible()
    assert not choices.connection.banner.isVisible()
    qtbot.mouseClick(choices.connection.test, Qt.MouseButton.LeftButton)
    choices.host.setText(host.url)
    rest(qtbot, choices)
    assert not choices.connection.banner.isVisible()


def test_leaving_ends_the_test(person, choices, qtbot, bridge, silent):
    choices.host.setText(silent)
    qtbot.mouseClick(choices.connection.test, Qt.MouseButton.LeftButton)
    person.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
