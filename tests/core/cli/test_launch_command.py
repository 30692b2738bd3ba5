# SPDX-License-Identifier: Apache-2.0
"""``watchword launch``: from the order to the running guest, over real sockets."""

from __future__ import annotations

import json
import shlex
import threading
from argparse import Namespace
from types import SimpleNamespace

import pytest

from watchword.core.cli import launch_complete
from watchword.core.records.database import Records
from watchword.core.vault.entries import EntryKind

from .batch_support import SECRET, cek_fingerprint
from .launch_support import POLICY, commands_in
from .support import modes

WHOLE = [
    "launch-prepared",
    "measurement-verified",
    "packet-sealed",
    "secret-handed-over",
    "launch-running",
    "evidence-made",
]


def steps(shown):
    return {step["step"]: step["state"] for step in shown.json["steps"]}


# -- the whole way ------------------------------------------------------------------


def test_a_launch_is_prepared_by_one_process_and_completed_by_another(launches):
    launch = launches.prepare()
    assert launches.state(launch) == "prepared"
    assert len(launches.keys()) == 3
    with launches.vm() as host:
        shown = launches("complete", launch)
        assert shown.status == 0, shown.out
        assert host.machine.memory.holds(SECRET)
        assert len(host.packets) == 1
    assert (shown.json["ok"], shown.json["complete"], shown.json["state"]) == (
        True,
        True,
        "running",
    )
    assert set(steps(shown).values()) == {"done"}
    assert launches.ledger(launch) == WHOLE
    assert launches.keys() == []


def test_the_hosts_files_are_new_private_and_no_secret(launches):
    shown = launches(*launches.order())
    give = launches.folder / "give"
    files = shown.json["files"]
    assert set(files) == {path.name for path in give.iterdir()}
    assert set(files) == {
        "godh.b64",
        "session.b64",
        "policy.txt",
        "launchSecurity.xml",
        "qemu-options.txt",
        "godh.cert",
        "launch_blob.bin",
    }
    assert set(modes(give).values()) == {0o600}
    assert give.stat().st_mode & 0o777 == 0o700
    options = (give / "qemu-options.txt").read_text()
    assert f"{POLICY:#x}" in options
    assert f"-qmp unix:{launches.url.removeprefix('qmp+unix://')},server=on" in options


def test_the_words_say_what_is_verified_and_what_to_type_next(launches, keys):
    shown = launches.say(*launches.order())
    assert shown.status == 0
    cek = cek_fingerprint(keys)
    grouped = " ".join(cek[at : at + 8] for at in range(0, 64, 8))
    assert f"CEK {grouped}" in shown.out
    assert "the profile pins this CEK" in shown.out
    assert "nothing in it is secret" in shown.out
    (line,) = commands_in(shown.out)
    with launches.vm() as host:
        done = launches._command(*shlex.split(line)[1:])
        assert done.status == 0, done.err
        assert host.machine.memory.holds(SECRET)
    assert "The VM runs." in done.out
    assert "matches: the VM holds what you approved" in done.out


def test_a_vault_elsewhere_is_named_in_the_command_that_goes_on(launches):
    vault = launches.home.path / "vault"
    other = launches.folder / "my vault"
    vault.rename(other)
    shown = launches.say(*launches.order("--vault", other))
    (line,) = commands_in(shown.out)
    assert f"--vault '{other}'" in line
    with launches.vm():
        assert launches._command(*shlex.split(line)[1:]).status == 0


def test_a_second_completion_says_that_the_packet_was_handed_over_before(launches):
    launch = launches.prepare()
    with launches.vm() as host:
        launches("complete", launch)
        again = launches.say("complete", launch)
        assert again.status == 0
        assert "sealed before and handed over" in again.out
        assert "nothing new was sealed" in again.out
        assert "sealed for this VM alone, and injected" not in again.out
        as_json = launches("resume", launch).json
        assert as_json["handed_over_before"] is True
        assert as_json["handed_over"]
        assert len(host.packets) == 1
    assert launches.ledger(launch).count("packet-sealed") == 1


def test_nothing_is_said_of_a_handing_over_that_nobody_knows_of():
    before = SimpleNamespace(packet=object(), handed_over=None, changed="2026-11-23T14:00:00Z")
    told = " ".join(launch_complete._end(Namespace(no_inject=True), None, before))
    assert "whether it was handed over then is not known" in told
    assert before.changed not in told


def test_without_injecting_the_verdict_is_told_and_nothing_sent(launches):
    launch = launches.prepare()
    with launches.vm() as host:
        for _ in range(2):
            shown = launches.say("complete", launch, "--no-inject")
            assert shown.status == 0
            assert "The measurement matches. Nothing was sent." in shown.out
        assert host.packets == ()
        assert host.machine.run_state != "running"
        assert launches.state(launch) == "verified"
        (line,) = commands_in(shown.out)
        assert launches._command(*shlex.split(line)[1:]).status == 0
        assert host.machine.memory.holds(SECRET)
        late = launches.say("complete", launch, "--no-inject")
        assert "the packet was sealed for. Nothing was sent this time." in late.out
        assert len(host.packets) == 1


def test_the_host_is_asked_for_its_certificates_without_files(launches, waiting_vm, folder):
    order = ("prepare", "web", "--out", folder / "give", "--cek", launches.chain)
    with waiting_vm(None, folder / "monitor.sock", policy=1) as host:
        shown = launches(*order, "--host", host.url)
        assert shown.status == 0, shown.out
        words = launches.say("show", shown.json["launch_id"])
        assert host.url in words.out
    with launches.vm():
        assert launches("complete", shown.json["launch_id"], "--host", launches.url).status == 0


def test_from_files_alone_no_host_is_needed_before_the_vm_is_there(launches):
    prepared = launches.say(
        "prepare", "web", "--out", launches.folder / "give", "--platform", launches.chain
    )
    assert prepared.status == 0, prepared.err
    assert "with --host URL" in prepared.out
    launch = launches("list").json["launches"][0]["id"]
    with launches.vm():
        refused = launches("complete", launch)
        assert (refused.status, refused.code) == (2, "no-host")
        assert launches("complete", launch, "--host", launches.url).status == 0


def test_a_vm_that_is_not_there_yet_is_waited_for(launches):
    launch = launches.prepare()
    shown = launches("complete", launch, "--wait", "1")
    assert (shown.status, shown.code) == (9, "vm-not-started")
    assert launches("complete", launch).status == 4
    seen, over = [], threading.Event()

    def operate():
        with launches.vm() as host:
            seen.append(host)
            assert over.wait(60)

    operator = threading.Timer(0.3, operate)
    operator.start()
    try:
        shown = launches("complete", launch, "--wait", "60")
        assert shown.status == 0, shown.out
        assert seen[0].machine.memory.holds(SECRET)
    finally:
        over.set()
        operator.join(60)
    assert launches("complete", launch, "--wait", "86401").status == 2


# -- looking at launches --------------------------------------------------------------


def test_the_list_needs_no_vault_and_can_be_narrowed(launches):
    assert "There is no such launch." in launches.say("list").out
    assert "No launch is open." in launches.say("list", "--open").out
    assert not Records.exists(launches.home.path)
    launches.home.profile("db")
    first, second = launches.prepare(), launches.prepare(guest="db", out="db")
    launches("abandon", second, "--reason", "a trial")
    (launches.home.path / "vault").rename(launches.home.path / "elsewhere")
    listed = launches("list").json
    assert {one["id"]: one["state"] for one in listed["launches"]} == {
        first: "prepared",
        second: "abandoned",
    }
    assert listed["more"] is False

    def ids(*words):
        return [one["id"] for one in launches("list", *words).json["launches"]]

    assert ids("--open") == ids("--guest", "web") == ids("--state", "prepared") == [first]
    assert len(ids("--limit", "1")) == 1
    assert launches("list", "--limit", "1").json["more"] is True
    assert "--limit N shows more" in launches.say("list", "--limit", "1").out
    assert first in launches.say("list").out
    assert launches("list", "--state", "asleep").status == 2


def test_a_launch_is_shown_without_a_vault_and_names_its_secrets_alone(launches, keys):
    launch = launches.prepare()
    with launches.vm():
        launches("complete", launch)
    (launches.home.path / "vault").rename(launches.home.path / "elsewhere")
    shown = launches.say("show", launch)
    assert shown.status == 0
    assert f"{launch}: running" in shown.out
    assert cek_fingerprint(keys) in shown.out
    assert "secrets   disk-passphrase" in shown.out
    assert SECRET.decode() not in shown.out
    document = launches("show", launch).json
    assert len(document["packet_sha256"]) == 64
    assert document["host"] == launches.url


def test_the_hosts_files_can_be_written_again(launches):
    launch = launches.prepare()
    again = launches.folder / "again"
    shown = launches("show", launch, "--out", again)
    assert shown.status == 0, shown.out
    for path in (launches.folder / "give").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()
    assert launches("show", launch, "--out", again).code == "file-exists"


def test_a_running_guest_tells_its_state_and_a_fresh_report(launches):
    launch = launches.prepare()
    early = launches("status", launch)
    assert early.status == 4  # nobody answers there yet
    with launches.vm() as host:
        paused = launches("status", launch)
        assert (paused.status, paused.json["confirmed"]) == (0, False)
        launches("complete", launch)
        status = launches("status", launch)
        assert (status.status, status.json["confirmed"], status.json["running"]) == (0, True, True)
        assert len(status.json["launch_digest"]) == 64
        words = launches.say("status", launch)
        assert "The host says: the VM runs (SEV state running)." in words.out
        assert "up to AMD's root" in words.out
        assert "fresh report that the platform's PEK signed" in words.out
        stopped = launches.say("stop", launch)
        assert (stopped.status, host.machine.run_state) == (0, "paused")
        assert launches.state(launch) == "stopped"
        assert "the VM is paused" in launches.say("status", launch).out
        assert launches("status", launch, "--host", "nonsense").status == 2
    assert "report-verified" in launches.ledger(launch)
    assert "guest-stopped" in launches.ledger(launch)


def test_completing_says_that_no_keyring_stands_behind_the_one_packet(launches):
    launch = launches.prepare()
    with launches.vm():
        shown = launches.say("complete", launch, "--no-inject")
        assert "rollback not detectable" in shown.out
        done = launches("complete", launch)
        assert (done.status, done.json["rollback"]) == (0, "not-detectable")


def test_a_guest_that_never_ran_is_stopped_and_its_launch_is_not_over(launches):
    launch = launches.prepare()
    with launches.vm():
        stopped = launches.say("stop", launch)
        assert stopped.status == 0
        assert "The launch is not over by that (prepared)" in stopped.out
        assert launches("stop", launch).json["state"] == "prepared"
    assert [one["id"] for one in launches("list", "--open").json["launches"]] == [launch]
    assert len(launches.keys()) == 3


def test_an_abandoned_launch_has_no_keys_and_goes_nowhere(launches):
    launch = launches.prepare()
    shown = launches.say("abandon", launch, "--reason", "the host was reinstalled")
    assert shown.status == 0
    assert "Its keys are erased" in shown.out
    assert launches.keys() == []
    with launches.vm() as host:
        refused = launches("complete", launch)
        assert (refused.status, refused.code) == (2, "launch-abandoned")
        assert host.packets == ()
    assert launches.ledger(launch) == ["launch-prepared", "launch-abandoned"]
    assert launches("abandon", launch, "--reason", "").status == 2


def test_a_running_launch_is_not_abandoned(launches):
    launch = launches.prepare()
    with launches.vm():
        launches("complete", launch)
    refused = launches("abandon", launch, "--reason", "no more use")
    assert (refused.status, refused.code) == (2, "launch-running")
    assert launches.state(launch) == "running"


def test_a_simulated_launch_says_so_everywhere(launches, keys):
    from watchword.core.launch.desk import LaunchDesk
    from watchword.core.launch.orders import LaunchOrder
    from watchword.core.launch.surroundings import Surroundings

    surroundings = Surroundings.of_this_machine(launches.home.path)
    with (
        Records.open(launches.home.path) as records,
        launches.home.open_vault() as vault,
        LaunchDesk(records, vault, surroundings) as desk,
    ):
        order = LaunchOrder(
            profile=launches.home.store.load("web").profile, host=launches.url, simulated=True
        )
        launch = desk.new(order).id
    assert "SIMULATED" in launches.say("list").out
    assert f"{launch}: preparing, SIMULATED" in launches.say("show", launch).out
    assert launches("list").json["launches"][0]["simulated"] is True
    assert launches("show", launch).json["simulated"] is True


def test_a_profile_without_secrets_is_launched_too(launches):
    launches.home.profile("bare", secrets={})
    launch = launches.prepare(guest="bare")
    with launches.vm() as host:
        shown = launches("complete", launch)
        assert (shown.status, shown.json["state"]) == (0, "running")
        assert host.packets == ()


def test_json_output_is_one_document_with_nothing_beside_it(launches):
    shown = launches(*launches.order())
    assert json.loads(shown.out)["launch_id"]
    assert list(shown.json)[:2] == ["ok", "launch_id"]


@pytest.mark.parametrize("kind", [EntryKind.DISK_SECRET, EntryKind.GUEST_SECRET])
def test_every_kind_of_guests_secret_is_handed_over(launches, kind):
    from watchword.core.secret import Secret

    with launches.home.open_vault() as vault:
        vault.add("web/more", kind, Secret(b"another one of these"))
    launches.home.profile("two", secrets={"disk-passphrase": "web/more"})
    launch = launches.prepare(guest="two")
    with launches.vm() as host:
        assert launches("complete", launch).status == 0
        assert host.machine.memory.holds(b"another one of these")


def test_a_launchs_key_is_not_shown_without_an_entry_in_the_ledger(launches, command):
    launch = launches.prepare()
    opening = ("--passphrase-file", launches.home.passphrase)
    entry = f"launch/{launch}/tek"
    shown = command("vault", "show", entry, "--reveal", "--json", *opening)
    assert shown.status == 0
    assert "can take the secret" in shown.err
    assert launches.ledger(launch) == ["launch-prepared", "keys-exported"]
    records = launches.home.path / "records.sqlite3"
    records.write_bytes(b"no database" * 500)
    for form in ((), ("--json",)):
        refused = command("vault", "show", entry, "--reveal", *form, *opening)
        assert refused.status == 6
        assert shown.json["value_base64"] not in refused.out + refused.err
    # Other secrets are their owner's to show.
    assert command("vault", "show", "web/disk", "--reveal", *opening).out.encode() == SECRET
