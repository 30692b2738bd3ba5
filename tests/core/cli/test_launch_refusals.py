# SPDX-License-Identifier: Apache-2.0
"""``watchword launch`` where something is in the way: exit status, words, and how to go on."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys

import pytest

from watchword.core.launch.launch_lock import LaunchLock
from watchword.core.launch.surroundings import Surroundings
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind

from .batch_support import DRIVER, SECRET, cek_fingerprint
from .launch_support import commands_in


@pytest.fixture
def other_root(monkeypatch, batch_home):
    """The simulated machine's root is not AMD's."""
    from watchword.core.amd import roots
    from watchword.core.cli import cek_options

    monkeypatch.setattr(roots, "amd_roots", tuple)
    monkeypatch.setattr(cek_options, "amd_roots", tuple)


@pytest.fixture
def test_secret(batch_home):
    with batch_home.open_vault() as vault:
        vault.add("web/trial", EntryKind.TEST_SECRET, Secret(b"of no worth at all"))
    batch_home.profile("trial", secrets={"disk-passphrase": "web/trial"}, ceks=[])


# -- before anything is made ----------------------------------------------------------


def test_a_guest_that_is_not_there_and_a_folder_that_is_missing_from_the_order(launches):
    assert launches(*launches.order(guest="nobody")).status == 6
    shown = launches(*launches.order(out=None))
    assert (shown.status, shown.code) == (2, "no-out")
    assert "--out DIR" in shown.error["remedy"]
    assert not Records.exists(launches.home.path)


@pytest.mark.parametrize("url", ["nonsense", "qmp+unix:", "http://host/"])
def test_a_url_that_leads_nowhere_is_refused_before_the_vault_is_opened(launches, url):
    (launches.home.path / "vault").rename(launches.home.path / "elsewhere")
    for words in (launches.order(host=url), ("complete", "x", "--host", url)):
        assert launches(*words).status == 2, words
    assert not Records.exists(launches.home.path)


@pytest.mark.parametrize("text", ["", "yes", "ab" * 31, "zz" * 32])
def test_a_cek_that_is_none_is_refused_before_anything_is_made(launches, text):
    accept = f"--accept-platform={text}"
    assert launches(*launches.order(accept)).code == "bad-hex"
    assert launches("complete", "x", accept).code == "bad-hex"


def test_a_folder_with_another_launchs_files_stays_as_it_is(launches):
    launches.prepare()
    before = (launches.folder / "give" / "session.b64").read_bytes()
    shown = launches(*launches.order())
    assert (shown.status, shown.code) == (6, "file-exists")
    assert (launches.folder / "give" / "session.b64").read_bytes() == before
    assert len(launches("list").json["launches"]) == 1


def test_a_folder_that_cant_be_written_costs_no_launch(launches):
    (launches.folder / "file").write_bytes(b"")
    shown = launches.say(*launches.order(out="file/x"))
    assert shown.status == 6
    assert "The launch is prepared all the same." in shown.err
    (line,) = re.findall(r"`(watchword launch show .*?)`", shown.err)
    words = shlex.split(line)[1:]
    words[words.index("--out") + 1] = str(launches.folder / "give")
    assert launches._command(*words).status == 0
    with launches.vm():
        launch = launches("list").json["launches"][0]["id"]
        assert launches("complete", launch).status == 0


@pytest.mark.parametrize("verb", ["complete", "resume", "show", "abandon", "status", "stop"])
def test_an_unknown_launch_is_named_with_the_command_that_lists_them(launches, verb):
    words = (verb, "web-1", *(("--reason", "gone") if verb == "abandon" else ()))
    for _ in range(2):
        shown = launches(*words)
        assert (shown.status, shown.code) == (6, "no-such-launch")
        assert "`watchword launch list`" in shown.error["remedy"]
        launches.prepare(out=f"out{_}")


def test_showing_what_is_not_there_makes_no_file(launches):
    assert launches("show", "web-1").status == 6
    assert not Records.exists(launches.home.path)
    assert launches("show", "../../x").code == "bad-launch-id"


# -- platforms --------------------------------------------------------------------------


def test_a_platform_that_nobody_accepted_is_pointed_out_at_once_with_both_commands(launches, keys):
    launches.home.profile("open", ceks=[])
    shown = launches.say(*launches.order(guest="open"))
    assert shown.status == 0
    assert "Nobody has accepted this platform yet" in shown.out
    accept, pin, later = commands_in(shown.out)
    assert pin == f"watchword guest edit open --add ceks={cek_fingerprint(keys)}"
    with launches.vm() as host:
        words = shlex.split(later)[1:]
        assert launches._command(*words).status == 0  # the verdict alone
        assert host.packets == ()
        words.remove("--no-inject")
        refused = launches._command(*words)
        assert refused.status == 3
        assert "Nobody has accepted this platform yet." in refused.err
        assert host.packets == ()
        assert "--accept-platform" in commands_in(refused.out)[0]
        assert launches._command(*shlex.split(accept)[1:]).status == 0
        assert host.machine.memory.holds(SECRET)
    assert launches._command(*shlex.split(pin)[1:]).status == 0
    pinned = launches.say(*launches.order(guest="open", out="second"))
    assert "Nobody has accepted" not in pinned.out


def test_a_platform_that_was_accepted_with_the_order_needs_no_more(launches, keys):
    launches.home.profile("open", ceks=[])
    accept = ("--accept-platform", cek_fingerprint(keys))
    shown = launches.say(*launches.order(*accept, guest="open"))
    assert "you accepted this CEK" in shown.out
    assert "Nobody has accepted" not in shown.out
    other = launches(*launches.order("--accept-platform", "ab" * 32, guest="open", out="other"))
    assert (other.status, other.code) == (3, "platform-not-accepted")
    assert not (launches.folder / "other").exists()


def test_a_platform_of_another_cek_than_the_pinned_gets_nothing(launches):
    launches.home.profile("elsewhere", ceks=["ab" * 32])
    shown = launches(*launches.order(guest="elsewhere"))
    assert (shown.status, shown.code) == (3, "chain-refused")
    assert shown.json["state"] == "refused"
    assert not (launches.folder / "give").exists()
    assert launches.ledger() == ["ledger-begun", "platform-refused", "evidence-made"]


def test_a_platform_on_the_deny_list_is_refused_at_every_turn(launches, keys):
    launch = launches.prepare()
    deny = launches.home.path / "deny-list.txt"
    deny.write_text(f"# mine\n{cek_fingerprint(keys)} stolen in spring\n")
    shown = launches.say(*launches.order(out="second"))
    assert shown.status == 3
    assert "stolen in spring" in shown.err
    with launches.vm() as host:
        assert launches("complete", launch).code == "platform-denied"
        assert launches("status", launch).code == "platform-denied"
        deny.write_text("no hex\n")
        broken = launches("complete", launch)
        assert (broken.status, broken.code) == (6, "bad-deny-list")
        deny.unlink()
        assert launches("complete", launch).status == 0
        assert len(host.packets) == 1


def test_a_waived_platform_gets_test_secrets_alone(launches, other_root, test_secret):
    waiver = ("--waive-platform", "a test bench")
    refused = launches.say(*launches.order(*waiver))
    assert refused.status == 3
    assert "test secret" in refused.err
    assert "vault generate ENTRY --kind test-secret" in refused.err
    waived = launches(*launches.order(*waiver, guest="trial"))
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["waivers"] == {"platform": "a test bench"}
    launch = waived.json["launch_id"]
    with launches.vm() as host:
        done = launches.say("complete", launch)
        assert done.status == 8
        assert "WAIVED" in done.out
        assert host.machine.memory.holds(b"of no worth at all")
        status = launches("status", launch)
        assert (status.status, status.json["ok"]) == (8, True)
        assert "WAIVED: a test bench" in launches.say("status", launch).out
    assert "waived: a test bench" in launches.say("show", launch).out


def test_a_root_that_is_not_amds_is_loud_and_gets_test_secrets_alone(
    launches, other_root, test_secret
):
    trust = ("--trust-root", launches.ark)
    assert launches(*launches.order(*trust)).code == "platform-not-proven"
    shown = launches.say(*launches.order(*trust, guest="trial"))
    assert shown.status == 0
    assert "NOT AMD's" in shown.out
    assert "Nobody has accepted" not in shown.out


def test_a_weak_policy_needs_a_reason_and_is_marked_to_the_end(launches):
    launches.home.profile("weak", policy="0x1100002e")
    assert launches(*launches.order(guest="weak")).code == "policy-refused"
    launch = launches.prepare("--waive-policy", "a debugger", guest="weak", status=8)
    with launches.vm(policy=0x1100002E):
        shown = launches("complete", launch)
        assert (shown.status, shown.json["waivers"]) == (8, {"guest": "a debugger"})


def test_a_host_out_of_reach_is_told_with_the_way_to_go_on(launches, waiting_vm, folder):
    monitor = folder / "monitor.sock"
    order = ("prepare", "web", "--out", folder / "give", "--cek", launches.chain)
    shown = launches.say(*order, "--host", f"qmp+unix://{monitor}")
    assert shown.status == 4
    resume, abandon = commands_in(shown.out)
    with waiting_vm(None, monitor, policy=1):
        waiting = launches._command(*shlex.split(resume)[1:])
        assert waiting.status == 9
        assert "The launch blob was made only now" in waiting.err
        assert not (folder / "give").exists()
    launch = launches("list").json["launches"][0]["id"]
    assert launches("show", launch, "--out", folder / "give").status == 0
    with launches.vm():
        assert launches("complete", launch, "--host", launches.url).status == 0
    assert launches._command(*shlex.split(abandon)[1:]).status == 2  # it runs


# -- VMs and records that are not what they should be -------------------------------------


def test_another_firmware_is_refused_explained_and_can_be_mended_or_given_up(launches):
    launch = launches.prepare()
    with launches.vm("wrong-firmware") as host:
        shown = launches.say("complete", launch)
        assert shown.status == 3
        assert host.packets == ()
    resume, abandon = commands_in(shown.out)
    with launches.vm():
        assert launches._command(*shlex.split(resume)[1:]).status == 0
    assert "launch abandon" in abandon


def test_a_packet_that_a_clone_was_offered_leaves_only_giving_up(launches):
    launch = launches.prepare()
    with launches.vm("cloned-launch"):
        shown = launches.say("complete", launch)
        assert shown.status == 3
    (line,) = commands_in(shown.out)
    assert launches._command(*shlex.split(line)[1:]).status == 0
    assert launches.state(launch) == "abandoned"


def test_an_unprotected_vm_is_a_hosts_error(launches, waiting_vm):
    launch = launches.prepare()
    with waiting_vm(None, launches.folder / "vm.sock", policy=1):
        shown = launches("complete", launch)
    assert shown.status in (3, 4)
    assert launches.keys()


def test_changed_records_are_noticed_and_can_only_be_given_up(launches):
    launch = launches.prepare()
    path = launches.home.path / "records.sqlite3"
    with sqlite3.connect(path) as connection:
        (document,) = connection.execute("select document from launches").fetchone()
        changed = document.replace(b'"guest":"web"', b'"guest":"wob"')
        assert changed != document
        connection.execute("update launches set document = ?", (changed,))
    connection.close()
    with launches.vm() as host:
        shown = launches("complete", launch)
        assert (shown.status, shown.code) == (3, "launch-record-changed")
        assert host.packets == ()
    assert launches("show", launch).status == 0
    assert launches("abandon", launch, "--reason", "changed by somebody").status == 0
    assert launches.keys() == []


def test_a_launch_of_another_vault_is_named_so(launches, command):
    launch = launches.prepare()
    other = launches.folder / "other"
    made = command(
        *("vault", "init", "--open-with", "passphrase", "--vault", other, "--kdf", "argon2id"),
        *("--passphrase-file", launches.home.passphrase),
    )
    assert made.status == 0, made.err
    shown = launches("complete", launch, "--vault", other)
    assert (shown.status, shown.code) == (2, "launch-of-another-vault")
    assert "--vault" in shown.error["remedy"]


def test_without_a_vault_or_with_a_wrong_passphrase_nothing_is_begun(launches, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"not this one")
    shown = launches._command("launch", *launches.order("--passphrase-file", wrong), "--json")
    assert (shown.status, shown.code) == (5, "wrong-passphrase")
    (launches.home.path / "vault").rename(launches.home.path / "elsewhere")
    shown = launches(*launches.order())
    assert (shown.status, shown.code) == (5, "vault-missing")
    assert not (launches.folder / "give").exists()


def test_a_secret_that_is_not_in_the_vault_is_missed_before_anything_is_made(launches):
    launches.home.profile("db", secrets={"disk-passphrase": "db/disk"})
    shown = launches(*launches.order(guest="db"))
    assert (shown.status, shown.code) == (5, "entry-missing")
    assert launches("list").json["launches"] == []


# -- several processes, and one that is stopped --------------------------------------------


def test_a_launch_that_another_process_works_on_is_left_to_it(launches, monkeypatch):
    launch = launches.prepare()
    genuine = Surroundings.of_this_machine.__func__

    def impatient(cls, *arguments, **options):
        from dataclasses import replace

        return replace(genuine(cls, *arguments, **options), lock_seconds=0.1)

    monkeypatch.setattr(Surroundings, "of_this_machine", classmethod(impatient))
    # The lock is the other process's own: a child that holds it until it is told to end.
    code = (
        "import sys; from pathlib import Path\n"
        "from watchword.core.launch.launch_lock import LaunchLock\n"
        "lock = LaunchLock.take(Path(sys.argv[1]), sys.argv[2], '2026-11-23T14:00:00Z', 5)\n"
        "print('held', flush=True); sys.stdin.read(); lock.release()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(launches.home.path), launch],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        for words in (("complete", launch), ("abandon", launch, "--reason", "no use")):
            shown = launches(*words)
            assert (shown.status, shown.code) == (6, "launch-busy")
            assert f"Process {holder.pid}" in shown.error["message"]
        assert launches("show", launch).status == 0
    finally:
        holder.communicate(timeout=20)
    with launches.vm():
        assert launches("complete", launch).status == 0
    assert LaunchLock.take(launches.home.path, launch, "", 1).release() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_completion_says_how_it_stands_and_is_taken_on(launches, platform, number):
    launch = launches.prepare()
    driver = launches.folder / "driver.py"
    driver.write_text(DRIVER)
    environment = {**os.environ, "WATCHWORD_HOME": str(launches.home.path)}
    words = [str(word) for word in launches.words("complete", launch)]
    with launches.vm("silence") as host:
        process = subprocess.Popen(
            [sys.executable, str(driver), str(platform), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        seen = b""
        while b"3/7" not in seen and process.poll() is None:
            seen = process.stdout.readline()
        process.send_signal(number)
        out, err = (text.decode() for text in process.communicate(timeout=30))
        assert process.returncode == 130, out + err
        assert "Interrupted." in err
        assert f"Launch {launch} stands at" in err
        assert "No secret was handed over." in err
        assert host.packets == ()
    line = commands_in(out)[0]
    with launches.vm() as host:
        assert launches._command(*shlex.split(line)[1:]).status == 0
        assert host.machine.memory.holds(SECRET)
