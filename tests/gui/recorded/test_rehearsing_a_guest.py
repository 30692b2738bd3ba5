# SPDX-License-Identifier: Apache-2.0
"""*Rehearse this guest* through the wizard, with a guest that is played, and once with QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from watchword.core.errors import UsageError
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.engine import StepState
from watchword.core.rehearsal.qemu_run import QemuRun
from watchword.core.rehearsal.qemu_verdict import Sighting, Verdict
from watchword.core.rehearsal.stepwise import RehearsalRun
from watchword.core.secret import Secret
from watchword.core.simulator.qemu_errors import qemu_missing
from watchword.core.vault.entries import EntryKind
from watchword.gui.main_window import MainWindow
from watchword.gui.pages.vault_service import VaultService
from watchword.gui.qemu_rehearsals import QemuRehearsals
from watchword.gui.settings import WindowSettings
from watchword.gui.wizard.qemu_rehearsal import QemuRehearsal
from watchword.gui.wizard.watched_run import MOST_LINES, ConsoleLog

from ...core.launch.support import PASSPHRASE, make_profile
from ...core.rehearsal.locked_disk import PASSPHRASE as DISK_PASSPHRASE
from ...core.rehearsal.locked_disk import TOOLS, UNLOCKED, Artifacts, make_disk
from ...core.sev import firmware_maker as make
from ..pages.support import CHEAP, settled, texts
from ..widgets.looks import cut_off, nameless
from .support import Person

SMALL_WINDOW = (911, 512)
HOSTILE = "\x1b[2Jroot\u202e<b>bold</b>" + "x" * 5000


class PlayedRun(RehearsalRun):
    """A rehearsal without QEMU, whose guest says what the test wants."""

    def __init__(self, guest, setup, observe, *, attack=None, keys, guest_says, closed):
        super().__init__(guest, observe, attack=attack, keys=keys)
        self.setup = setup
        self.edited_bytes = None
        self.seconds = {}
        self._guest_says = guest_says
        self._closed = closed

    async def watch(self, show):
        return await self._guest_says(show)

    def forget(self):
        self._closed.append(self)

    def _check_arrival(self):
        """The guest's own secrets are not the one that was made up."""


def sighting(verdict, marker=None, lines=()):
    return Sighting(verdict, marker, (), tuple(lines), 1.5, leaked=False)


async def opens(show):
    show("Linux version 6.1")
    show("web1 login: ")
    return sighting(Verdict.UNLOCKED, " login: ")


async def waits_for_ever(show):
    show("GRUB loading")
    await asyncio.Event().wait()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4096))
    return path


@pytest.fixture
def person(qtbot, bridge, theme, vaults, keys, disk, office, short_folder):
    """Makes a person at a wizard with a guest that behaves in some way."""
    made, closed = [], []

    def make_person(guest_says=opens, *, vault=vaults, new_run=None):
        play = partial(PlayedRun, keys=keys, guest_says=guest_says, closed=closed)
        service = QemuRehearsals(vault, new_run or play)
        wizard = QemuRehearsal(bridge, service, "vm1", disk=str(disk), dwell=0)
        qtbot.addWidget(wizard)
        wizard.resize(1100, 740)
        with qtbot.waitExposed(wizard):
            wizard.show()
        wizard.activateWindow()
        wizard.begin()
        made.append(wizard)
        one = Person(qtbot, wizard)
        one.closed = closed
        return one

    yield make_person
    for wizard in made:
        wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)


def to_the_end(person):
    """All the clicks of a rehearsal, to the page with the console."""
    person.go_on()
    person.rest_on("guest")
    person.go_on()
    person.rest_on("session")
    person.go_on()
    person.rest_on("secret")
    person.go_on()


def test_a_disk_that_opens_is_said_to_with_what_was_real_and_what_not(person):
    one = person()
    to_the_end(one)
    one.rest_on("run")
    page = one.wizard.evidence
    assert page.banner.report.startswith("Unlocked: the disk opened by itself")
    assert "login:" in page.console.toPlainText()
    one.until(lambda: "without SEV" in texts(page))  # what was just built is shown a moment later
    told = texts(page)
    for words in ("What was real", "What was simulated", "What was not there", "without SEV"):
        assert words in told
    assert one.frame.ribbon.isVisible()
    assert one.closed  # its QEMU has ended with the verdict, and the copies of secrets are wiped
    assert one.row.primary.text() == "&Finish"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.ASKED, "The guest asked for a passphrase"),
        (Verdict.STUCK, "The guest is stuck"),
        (Verdict.HALTED, "The machine halted"),
        (Verdict.ENDED, "The guest ended"),
        (Verdict.KERNEL_REFUSED, "The firmware refused the kernel"),
    ],
)
def test_each_other_verdict_is_a_problem_in_its_own_words(person, verdict, words):
    async def fares(show):
        return sighting(verdict, "Enter passphrase for")

    one = person(fares)
    to_the_end(one)
    one.rest_on("run")
    assert one.wizard.evidence.banner.report.startswith(words)
    assert "--" not in one.wizard.evidence.banner.report
    assert one.launch.status("run").state is StepState.FAILED
    one.until(lambda: "What was not there" in texts(one.wizard.evidence))
    assert one.row.primary.text() == "&Rehearse this guest"
    one.click(one.row.primary)
    assert one.wizard.choices.disk.isEnabled()


def test_while_the_guest_runs_it_is_said_what_is_waited_for_and_cancel_ends_it_at_once(person):
    one = person(waits_for_ever)
    to_the_end(one)
    page = one.wizard.evidence
    one.until(lambda: "Waiting for its console" in page.busy.text)
    one.until(lambda: "GRUB loading" in page.console.toPlainText())
    assert one.closed == []
    one.click(one.row.other)
    one.qtbot.waitUntil(lambda: not one.frame.conductor_at_work)
    assert len(one.closed) == 1
    assert "Cancelled" in one.row.note.text()
    assert not one.launch.facts


def test_after_a_cancellation_it_is_rehearsed_again_from_the_first_step(person):
    one = person(waits_for_ever)
    to_the_end(one)
    one.until(lambda: one.wizard.evidence.run is not None and one.wizard.evidence.run.watching)
    one.click(one.row.other)
    one.rest()
    one.frame.go("guest")
    one.click(one.wizard.choices.again)
    assert one.wizard.choices.disk.isEnabled()
    to_the_end(one)
    one.until(lambda: one.wizard.evidence.run is not None and one.wizard.evidence.run.watching)


def test_leaving_while_the_guest_runs_ends_it(person):
    one = person(waits_for_ever)
    to_the_end(one)
    one.until(lambda: one.wizard.evidence.run is not None and one.wizard.evidence.run.watching)
    one.wizard.close_launch()
    one.until(lambda: len(one.closed) == 1)


def test_a_console_that_never_stops_is_bounded_and_written_out(person):
    async def floods(show):
        for number in range(20_000):
            show(f"{number} {HOSTILE}")
        return sighting(Verdict.UNLOCKED, " login: ")

    one = person(floods)
    to_the_end(one)
    one.rest_on("run")
    console = one.wizard.evidence.console
    assert console.blockCount() <= MOST_LINES
    text = console.toPlainText()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.split("\n"))) <= 400
    assert "<b>bold</b>" in text


def test_a_log_that_nobody_takes_keeps_the_newest_lines():
    log = ConsoleLog()
    for number in range(MOST_LINES + 5):
        log.add(str(number))
    lines = log.take()
    assert (len(lines), lines[-1]) == (MOST_LINES, str(MOST_LINES + 4))
    assert log.take() == []


def test_a_hostile_host_is_refused_before_the_guest_runs(person):
    one = person()
    one.wizard.choices.choose_host("wrong-firmware")
    one.go_on()
    one.rest_on("guest")
    one.go_on()
    one.rest_on("session")
    one.go_on()
    one.rest_on("measurement")
    assert "The secret did not leave" in texts(one.frame.page)
    assert not one.wizard.evidence.console_section.isVisible()
    assert len(one.closed) == 1


def test_without_a_disk_it_is_said_at_the_field(person):
    one = person()
    one.wizard.choices.disk.set_path("")
    one.go_on()
    assert one.wizard.choices.disk.problem
    assert not one.frame.conductor_at_work


def test_a_disk_that_is_not_there_is_told_and_can_be_named_anew(person, disk):
    one = person()
    disk.unlink()
    one.go_on()
    one.until(one.frame.problem.isVisible)
    assert "disk image" in one.frame.problem.report
    one.rest()
    one.click(one.wizard.choices.again)
    assert one.wizard.choices.disk.isEnabled()
    assert not one.frame.problem.isVisible()


def test_without_qemu_the_package_is_named(person):
    def missing(*_arguments, **_options):
        raise qemu_missing("qemu-system-x86_64")

    one = person(new_run=missing)
    one.go_on()
    one.until(one.frame.problem.isVisible)
    assert "qemu-system-x86" in one.frame.problem.report


def test_the_vault_is_asked_for_where_the_profile_takes_secrets_from_it(person, office):
    closed = VaultService(office.home / "vault", stretching=CHEAP)
    one = person(vault=closed)
    one.go_on()
    one.until(lambda: one.wizard.gate.dialog is not None)
    one.qtbot.keyClicks(one.wizard.gate.dialog.field.edit, PASSPHRASE.decode())
    one.click(one.wizard.gate.dialog.agreeing)
    one.until(lambda: "guest" in one.launch.facts)
    closed.close()


def test_firmware_that_is_a_no_go_takes_a_typed_reason_which_is_not_recorded(
    qtbot, person, office, service
):
    office.firmware.write_bytes(make.image(make.new_loader(), make.grub(make.PROMPTING)))
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(make_profile(office.firmware))
    one = person()
    one.go_on()
    one.until(one.frame.problem.isVisible)
    assert "firmware-refused" in one.frame.problem.report
    panel = one.wizard.guest.waiver
    one.click(panel.button)
    assert "ledger" not in texts(panel)
    qtbot.keyClicks(panel.reason, "only a rehearsal")
    one.click(panel.start)
    one.until(lambda: one.launch.waivers == {"guest": "firmware: only a rehearsal"})
    assert service.summaries() == ()


@pytest.mark.parametrize("page", ["guest", "run"])
def test_it_fits_a_small_window_and_everything_has_a_name(person, page):
    one = person()
    one.wizard.resize(*SMALL_WINDOW)
    if page == "run":
        to_the_end(one)
        one.rest_on("run")
    settled(one.wizard)
    assert (cut_off(one.frame.page), nameless(one.wizard)) == ([], [])
    assert one.wizard.minimumSizeHint().width() <= SMALL_WINDOW[0]


@pytest.mark.parametrize("page", ["guest", "run"])
def test_longer_words_are_not_cut_off(longer_words, person, page):
    one = person()
    one.wizard.resize(*SMALL_WINDOW)
    if page == "run":
        to_the_end(one)
        one.rest_on("run")
    settled(one.wizard)
    assert cut_off(one.frame.page) == []


def children_with(name):
    """Processes of this one's that run a program."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            status = (entry / "status").read_text()
            parent = int(status.split("PPid:")[1].split()[0])
            if parent == os.getpid() and name in (entry / "cmdline").read_bytes().decode():
                found.append(int(entry.name))
    return found


@pytest.fixture
def real_guest(office, vaults, program, tmp_path, shared_artifacts):
    """The profile and the disk of a guest that really boots, by its kernel."""
    for name, package in TOOLS.items():
        program(name, package)
    artifacts = Artifacts(shared_artifacts)
    folder = tmp_path / "real"
    folder.mkdir()
    path = make_disk(artifacts, folder)
    vaults.add("real/disk", EntryKind.DISK_SECRET, Secret(DISK_PASSPHRASE))
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    store.add(
        make_profile(
            artifacts.firmware,
            kernel=[{"path": str(artifacts.kernel)}],
            initrd=[{"path": str(artifacts.initrd)}],
            cmdline=["console=ttyS0"],
            secrets={"disk-passphrase": "real/disk"},
        )
    )
    return path


def rehearse_really(qtbot, one, path):
    one.wizard.choices.disk.set_path(str(path))
    one.wizard.choices.sign.setText(UNLOCKED)
    one.go_on()
    one.until(one.frame.problem.isVisible)  # such firmware falls through on another kernel
    assert "firmware-refused" in one.frame.problem.report
    panel = one.wizard.guest.waiver
    one.click(panel.button)
    qtbot.keyClicks(panel.reason, "old firmware, for a rehearsal")
    one.click(panel.start)
    one.rest_on("guest")
    one.go_on()
    one.rest_on("session")
    one.go_on()
    one.rest_on("secret")
    assert len(children_with("qemu-system")) == 1
    one.go_on()


@pytest.mark.slow
def test_a_real_guest_opens_its_disk_in_the_window_and_no_qemu_is_left(
    qtbot, person, keys, real_guest
):
    one = person(new_run=partial(QemuRun, keys=keys))
    rehearse_really(qtbot, one, real_guest)
    page = one.wizard.evidence
    qtbot.waitUntil(lambda: page.outcome is not None)
    one.rest_on("run")
    assert page.banner.report.startswith("Unlocked")
    assert page.outcome.sighting.verdict is Verdict.UNLOCKED
    assert "Linux version" in page.console.toPlainText()
    one.until(lambda: "bytes of the kernel's header" in texts(page))
    assert children_with("qemu-system") == []


@pytest.mark.slow
def test_cancel_leaves_no_qemu_within_a_second(qtbot, person, keys, real_guest):
    one = person(new_run=partial(QemuRun, keys=keys))
    rehearse_really(qtbot, one, real_guest)
    one.until(lambda: one.wizard.evidence.run is not None and one.wizard.evidence.run.watching)
    one.click(one.row.other)
    qtbot.waitUntil(lambda: not children_with("qemu-system"))
    one.rest()


def test_one_comes_back_to_the_page_from_which_it_was_opened(
    qtbot, bridge, theme, tmp_path, office
):
    window = MainWindow(bridge, theme, WindowSettings(tmp_path / "window.ini"))
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    window.show_page(1)
    page = window._pages["Guests"]
    qtbot.waitUntil(lambda: len(page.list.cards) == 1)
    page.list.cards[0].button.click()
    page.view.rehearse.click()
    assert isinstance(window.wizard, QemuRehearsal)
    QApplication.processEvents()
    window.wizard.frame.row.leaving.click()
    assert window.wizard is None
    assert window._stack.currentWidget() is page
    qtbot.waitUntil(lambda: not bridge.busy)


def test_an_error_of_the_rehearsals_own_ends_it(person):
    async def breaks(show):
        raise UsageError("qemu-gone", "QEMU ended", "It is gone.", "Try again.")

    one = person(breaks)
    to_the_end(one)
    one.until(one.frame.problem.isVisible)
    one.rest()
    assert len(one.closed) == 1
