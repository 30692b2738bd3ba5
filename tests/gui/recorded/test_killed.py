# SPDX-License-Identifier: Apache-2.0
"""The window's process is killed at each page of a launch; another window takes it to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.fault_points import FAULT_POINTS, VARIABLE
from watchword.core.launch.record import LaunchState
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import Records
from watchword.gui.launch_service import LaunchService

from ...core.launch.support import PASSPHRASE, SECRET, cek_of, make_profile, state_of
from .support import ledger_entries

pytestmark = pytest.mark.slow
SECONDS = 60

WINDOW = """
import sys, time
from pathlib import Path
from watchword.core.secret import Secret
from watchword.core.vault.key_stretching import Scrypt
from watchword.gui import application as program
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.vault_service import VaultService
from watchword.gui.theme import Scheme, Theme
from watchword.gui.wizard.recorded_launch import RecordedLaunch

home, chain, ark, seconds = sys.argv[1:]
app = program.make_application()
theme = Theme(app, Scheme.LIGHT)
bridge = program.Bridge(app)
vaults = VaultService(Path(home) / "vault", stretching=Scrypt(log2_n=14, r=1))
vaults.unlock(Secret(sys.stdin.buffer.readline().strip()))
wizard = RecordedLaunch(bridge, LaunchService(vaults), dwell=0)
wizard.show()
wizard.begin()
frame, choices = wizard.frame, wizard.choices
end = time.monotonic() + float(seconds)

def live(until):
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(frame.current)
        app.processEvents()
        time.sleep(0.002)

def rest_on(page):
    live(lambda: frame.current == page and not frame.conductor_at_work and not frame._target)

live(lambda: choices.guests.currentText() == "vm1")
choices.files.add_files([chain])
choices.files_alone.setChecked(True)
choices.root.set_path(ark)
frame.row.primary.click()
for page in ("session", "secret", "run"):
    rest_on(page)
    print(page, flush=True)
    frame.row.primary.click()
"""


@pytest.fixture
def service(vaults):
    """As the program has it: AMD's own roots, real hosts."""
    return LaunchService(vaults)


@pytest.fixture
def pinned(office, host):
    store = ProfileStore(profiles_folder())
    store.remove("vm1")
    ceks = [{"sha256": cek_of(office.keys)}]
    store.add(make_profile(office.firmware, host=host.url, ceks=ceks))


@pytest.fixture
def window(office, tmp_path, pinned):
    """Starts the window's process, which launches the one guest there is."""
    chain, ark = tmp_path / "chain.cert", tmp_path / "ark.cert"
    chain.write_bytes(office.keys.full_chain)
    ark.write_bytes(office.keys.root.ark)

    def start(die_at):
        environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "WATCHWORD_HOME": str(office.home),
            VARIABLE: die_at,
        }
        words = [sys.executable, "-c", WINDOW, office.home, chain, ark, SECONDS]
        process = subprocess.Popen(
            list(map(str, words)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        process.stdin.write(PASSPHRASE + b"\n")
        process.stdin.flush()
        return process

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


def recorded(office):
    """The one launch that there is, if it has begun."""
    if not Records.exists(office.home):
        return None
    with Records.open(office.home) as records:
        store = LaunchStore(records)
        launches = store.list()
        return store.load(launches[0].id).record if launches else None


def session_of(office):
    record = recorded(office)
    return None if record is None or record.session is None else record.session.material()


def until(condition):
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.02)
    return found


def killed(process):
    try:
        code = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail("the process lives on")
    assert code == -signal.SIGKILL, process.stderr.read().decode()


def resume(make_wizard, service):
    (summary,) = service.summaries()
    person = make_wizard(summary=summary)
    pages = [person.page]
    person.frame._stack.currentChanged.connect(lambda _: pages.append(person.page))
    return person, pages


def finished(office, host, person):
    """One launch, one packet, and a guest that runs; everything was verified in this process."""
    person.rest_on("run")
    assert person.launch.complete
    assert host.machine.memory.holds(SECRET)
    # The same one may be sent again: the host's word for it was lost with the process.
    assert len({packet.packet_sha256 for packet in host.packets}) == 1
    assert state_of(office, person.launch.id) is LaunchState.RUNNING
    kinds = [entry.kind.value for entry in ledger_entries(office.home)]
    assert kinds.count("packet-sealed") == 1


BEFORE_THE_BLOB = ("launch-begun", "platform-recorded", "session-keys-in-vault")


@pytest.mark.parametrize("point", BEFORE_THE_BLOB)
def test_killed_before_there_is_a_launch_blob(office, host, window, make_wizard, service, point):
    killed(window(point))
    person, pages = resume(make_wizard, service)
    person.rest_on("session")
    assert pages == ["platform", "session"]
    host.start_in_place(person.wizard.run.material)
    person.go_on()
    person.rest_on("secret")
    assert host.packets == ()
    person.go_on()
    finished(office, host, person)


@pytest.mark.parametrize("moment", ["session-recorded", "waiting"])
def test_killed_with_a_launch_blob_it_goes_on_with_the_same(
    office, host, window, make_wizard, service, moment
):
    process = window("" if moment == "waiting" else moment)
    material = until(lambda: session_of(office))
    if moment == "waiting":
        assert process.stdout.readline() == b"session\n"
        process.kill()
    killed(process)
    host.start_in_place(material)
    person, pages = resume(make_wizard, service)
    person.rest_on("secret")
    assert pages == ["start", "secret"]
    assert host.packets == ()
    person.go_on()
    finished(office, host, person)


MEASURED = ("measurement-read", "measurement-recorded", "measurement-verified")


@pytest.mark.parametrize("point", MEASURED)
def test_killed_at_the_verdict_it_is_reached_again_before_anything_leaves(
    office, host, window, make_wizard, service, point
):
    process = window(point)
    host.start_in_place(until(lambda: session_of(office)))
    killed(process)
    person, pages = resume(make_wizard, service)
    person.rest_on("secret")
    assert pages[-1] == "secret"
    assert len(pages) <= 2
    assert "measurement" in person.launch.facts
    assert host.packets == ()
    person.go_on()
    finished(office, host, person)


SEALED = ("packet-stored", "packet-sent")


@pytest.mark.parametrize("point", SEALED)
def test_killed_once_the_packet_is_sealed_the_same_one_is_sent(
    office, host, window, make_wizard, service, point
):
    process = window(point)
    host.start_in_place(until(lambda: session_of(office)))
    killed(process)
    assert len(host.packets) == (1 if point == "packet-sent" else 0)
    person, pages = resume(make_wizard, service)
    person.rest_on("secret")
    assert pages == ["secret"]
    person.go_on()
    finished(office, host, person)


HANDED_OVER = ("handed-over-recorded", "guest-resumed", "report-verified")


@pytest.mark.parametrize("point", HANDED_OVER)
def test_killed_after_the_hand_over_no_other_packet_is_sent(
    office, host, window, make_wizard, service, point
):
    process = window(point)
    host.start_in_place(until(lambda: session_of(office)))
    killed(process)
    assert len(host.packets) == 1
    person, pages = resume(make_wizard, service)
    finished(office, host, person)
    assert pages == ["run"]


def test_all_of_these_moments_are_fault_points():
    named = {*BEFORE_THE_BLOB, "session-recorded", *MEASURED, *SEALED, *HANDED_OVER}
    assert named <= set(FAULT_POINTS)
