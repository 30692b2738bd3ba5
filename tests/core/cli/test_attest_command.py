# SPDX-License-Identifier: Apache-2.0
"""``attest`` against an honest simulated host: verify, inject, resume."""

from __future__ import annotations

import os
import subprocess

import pytest

from .support import finish, start

SECRET = b"hunter2 and more"
VCPUS = ("--vcpus", "2", "--cpu", "EPYC-Milan")


@pytest.fixture
def passphrase(folder):
    path = folder / "passphrase"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def attest(command, firmware, passphrase):
    """Attests a host's VM with what is right for it, unless the words say otherwise."""

    def run(url, files, *words, secret=True, policy="default", as_json=True):
        chosen = (f"--secret=disk-passphrase={passphrase}",) if secret else ()
        return command(
            *("attest", "--host", url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", policy, "--firmware", firmware, *VCPUS, *chosen),
            *(("--json",) if as_json else ()),
            *words,
        )

    return run


def test_a_vm_gets_its_secret_and_runs(session, waiting_vm, attest):
    files = session()
    with waiting_vm(files) as host:
        shown = attest(host.url, files)
        assert (shown.status, shown.err) == (0, "")
        assert host.machine.memory.holds(SECRET + b"\0")
        assert host.machine.run_state == "running"
        assert len(host.packets) == 1
        assert SECRET not in host.host.view.data


def test_over_tcp_too(session, waiting_vm, attest):
    files = session()
    with waiting_vm(files, ("127.0.0.1", 0)) as host:
        shown = attest(host.url, files)
        assert (shown.status, shown.err) == (0, "")
        assert host.machine.memory.holds(SECRET)


def test_the_json_tells_every_step(session, waiting_vm, attest):
    files = session()
    with waiting_vm(files) as host:
        made = attest(host.url, files).json
    assert (made["ok"], made["complete"], made["injected"], made["waivers"]) == (
        True,
        True,
        True,
        {},
    )
    assert (made["platform"], made["policy"]) == ("not-checked-here", 0x1100002F)
    assert made["firmware"] == "1.55 build 24"
    assert len(made["measurement"]) == len(made["launch_digest"]) == 64
    assert [(step["step"], step["state"]) for step in made["steps"]] == [
        ("guest", "done"),
        ("platform", "done"),
        ("session", "done"),
        ("measurement", "done"),
        ("secret", "done"),
        ("run", "done"),
    ]
    records = {step["step"]: step["record"] for step in made["steps"]}
    assert records["measurement"]["verdict"] == "matches"
    assert records["secret"]["injected"] == "host says"
    assert records["run"] == {"running": "host says"}


def test_sev_tools_file_with_both_keys_is_taken(session, waiting_vm, command, firmware, folder):
    files = session()
    both = folder / "tmp_tk.bin"
    both.write_bytes(files["tek"].read_bytes() + files["tik"].read_bytes())
    (folder / "secret").write_bytes(SECRET)
    with waiting_vm(files) as host:
        shown = command(
            *("attest", "--host", host.url, "--tk", both, "--policy", "default", "--json"),
            *("--firmware", firmware, *VCPUS, "--secret", f"disk-passphrase={folder / 'secret'}"),
        )
        assert shown.status == 0
        assert host.machine.memory.holds(SECRET)


def test_the_launch_digest_alone_is_enough(session, waiting_vm, command, passphrase, firmware):
    files = session()
    made = command("digest", "--firmware", firmware, *VCPUS, "--json").json
    with waiting_vm(files) as host:
        shown = command(
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--launch-digest", made["launch_digest"], "--json"),
            *("--secret", f"disk-passphrase={passphrase}"),
        )
        assert shown.status == 0
        assert host.machine.memory.holds(SECRET)


def test_a_direct_boot_takes_the_kernel_route(session, waiting_vm, attest, folder):
    files = session()
    (folder / "kernel").write_bytes(b"a kernel")
    options = ("--kernel", folder / "kernel", "--cmdline", "ro quiet")
    with waiting_vm(files, kernel=b"a kernel", command_line="ro quiet") as host:
        shown = attest(host.url, files, *options)
        assert shown.status == 0
        secret = next(step for step in shown.json["steps"] if step["step"] == "secret")
        [note] = secret["record"]["secrets"]
        assert (note["size"], note["trailing_nul_added"]) == (len(SECRET), False)
        assert host.machine.memory.holds(SECRET)


def test_without_injecting_nothing_is_sent(session, waiting_vm, attest):
    files = session()
    with waiting_vm(files) as host:
        for secret in (True, False):
            shown = attest(host.url, files, "--no-inject", secret=secret)
            assert shown.status == 0
            assert (shown.json["injected"], shown.json["complete"]) == (False, False)
        assert host.packets == ()
        assert host.machine.run_state == "prelaunch"
        assert b"inject" not in host.host.view.data
        assert b"cont" not in host.host.view.data
        # Nothing is used up by looking.
        assert attest(host.url, files).status == 0


def test_a_platform_that_is_named_is_verified_and_its_report_confirms(
    session, waiting_vm, attest, platform, passphrase
):
    files = session()
    words = ("--platform", platform / "full_chain.cert", "--trust-root", platform / "ark.cert")
    with waiting_vm(files) as host:
        shown = attest(host.url, files, *words)
        assert (shown.status, shown.code) == (3, "platform-not-proven")
        assert host.host.view.data == b""
        marked = f"--test-secret=disk-passphrase={passphrase}"
        shown = attest(host.url, files, marked, *words, secret=False)
        assert (shown.status, shown.json["platform"]) == (0, "foreign-root")
        run = shown.json["steps"][-1]["record"]
        assert run["running"] == "confirmed by a report that the platform's PEK signed"


def test_a_waived_policy_is_told_by_the_exit_status(session, waiting_vm, attest):
    files = session("--waive-policy", "a test bench", policy="0x5")
    with waiting_vm(files, policy=5) as host:
        refused = attest(host.url, files, policy="0x5")
        assert (refused.status, refused.code) == (3, "policy-refused")
        assert host.host.view.data == b""
        waived = attest(host.url, files, "--waive-policy", "a test bench", policy="0x5")
        assert (waived.status, waived.json["ok"]) == (8, True)
        assert waived.json["waivers"] == {"guest": "a test bench"}
        assert host.machine.memory.holds(SECRET)


def test_the_words_follow_the_steps(session, waiting_vm, attest):
    files = session()
    with waiting_vm(files) as host:
        shown = attest(host.url, files, as_json=False)
    assert (shown.status, shown.err) == (0, "")
    heads = [line for line in shown.out.splitlines() if line[1:3] == "/6"]
    assert [line.split()[-1] for line in heads] == ["done", "HERE", *["done"] * 4]
    assert "matches: the VM holds what you approved" in shown.out
    assert "a NUL added for GRUB" in shown.out
    assert shown.out.endswith("The secret was handed over, and the VM was let run.\n")


def test_a_secret_from_stdin_is_read_when_its_time_has_come(session, waiting_vm, firmware):
    files = session()
    with waiting_vm(files) as host:
        process = start(
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", firmware, *VCPUS),
            *("--secret", "disk-passphrase=-"),
            stdin=subprocess.PIPE,
        )
        lines = []
        while not lines or "matches" not in lines[-1]:
            lines.append(process.stdout.readline().decode())
        assert host.packets == ()
        process.stdin.write(SECRET)
        process.stdin.close()
        process.stdin = None
        assert finish(process).status == 0
        assert host.machine.memory.holds(SECRET + b"\0")


def test_a_reader_that_leaves_does_not_stop_a_launch_half_way(
    session, waiting_vm, firmware, passphrase
):
    files = session()
    reading, writing = os.pipe()
    os.close(reading)
    with waiting_vm(files) as host:
        process = start(
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", firmware, *VCPUS),
            *("--secret", f"disk-passphrase={passphrase}"),
            stdout=writing,
        )
        os.close(writing)
        shown = finish(process)
        assert (shown.status, shown.err) == (0, "")
        assert host.machine.run_state == "running"
