# SPDX-License-Identifier: Apache-2.0
"""``attest`` where it must not go on: wrong measurements, wrong VMs, hosts that don't answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from watchword.core.simulator import attack_named

from .support import finish, start

SECRET = b"hunter2 and more"
VCPUS = ("--vcpus", "2", "--cpu", "EPYC-Milan")


@pytest.fixture
def passphrase(folder):
    path = folder / "passphrase"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def words(firmware, passphrase):
    """The command line for a VM that was started from a session's files."""

    def build(url, files, *more, policy="default", vcpus=VCPUS, image=firmware):
        return (
            *("attest", "--host", url, "--tek", files["tek"], "--tik", files["tik"], "--json"),
            *("--policy", policy, "--firmware", image, *vcpus),
            *(f"--secret=disk-passphrase={passphrase}", *more),
        )

    return build


@pytest.fixture
def refused(command):
    """An error after which no packet ever reached the host, and no word of the secret."""

    def run(words, status, host=None):
        shown = command(*words)
        assert shown.status == status, shown.out
        assert "hunter2" not in shown.out + shown.err
        if host is not None:
            assert host.packets == ()
            assert b"sev-inject" not in host.host.view.data
            assert not host.machine.memory.holds(SECRET)
            assert host.machine.run_state == "prelaunch"
        return shown

    return run


@pytest.mark.parametrize(
    "vcpus",
    [
        ("--vcpus", "3", "--cpu", "EPYC-Milan"),
        ("--vcpus", "2", "--cpu", "EPYC-Rome"),
        (*VCPUS, "--vmsa", "init2"),
        (*VCPUS, "--sev-features", "1"),
        (*VCPUS, "--kernel-sha256", "11" * 32),
    ],
    ids=" ".join,
)
def test_a_mismatch_sends_nothing(session, waiting_vm, words, refused, vcpus):
    files = session()
    with waiting_vm(files) as host:
        shown = refused(words(host.url, files, vcpus=vcpus), 3, host)
        assert shown.code == "measurement-mismatch"
        assert (shown.json["injected"], shown.json["complete"]) == (False, False)
        failed = [step for step in shown.json["steps"] if step["state"] == "failed"]
        assert [step["step"] for step in failed] == ["measurement"]


def test_a_host_that_loads_other_firmware_is_refused(session, waiting_vm, words, refused):
    files = session()
    with waiting_vm(files, attack=attack_named("wrong-firmware")) as host:
        assert refused(words(host.url, files), 3, host).code == "measurement-mismatch"


def test_an_old_measurement_is_refused(session, waiting_vm, words, refused):
    files = session()
    with waiting_vm(files, attack=attack_named("replayed-measurement")) as host:
        assert refused(words(host.url, files), 3, host).code == "measurement-mismatch"


def test_keys_of_another_launch_are_refused(session, waiting_vm, words, refused):
    files, others = session(), session(name="vm2")
    with waiting_vm(files) as host:
        assert refused(words(host.url, others), 3, host).code == "measurement-mismatch"
        swapped = {"tek": files["tik"], "tik": files["tek"]}
        assert refused(words(host.url, swapped), 3, host).code == "measurement-mismatch"


def test_a_vm_under_another_policy_is_refused(session, waiting_vm, words, refused):
    files = session(policy="0x11000027", name="other")
    with waiting_vm(files, policy=0x11000027) as host:
        assert refused(words(host.url, files), 3, host).code == "policy-changed"


def test_firmware_that_is_not_good_enough_is_refused(session, waiting_vm, words, refused):
    files = session()
    with waiting_vm(files) as host:
        shown = refused(words(host.url, files, "--min-api", "1.56"), 3, host)
        assert shown.code == "firmware-too-old"
        shown = refused(words(host.url, files, "--min-api=1.55", "--min-build=25"), 3, host)
        assert shown.code == "firmware-too-old"


def test_a_vm_without_sev_is_told_with_a_remedy(session, waiting_vm, words, refused):
    with waiting_vm(None) as host:
        shown = refused(words(host.url, session()), 4, host)
        assert shown.code == "sev-not-enabled"
        assert "sev-guest" in shown.error["remedy"] or "-object" in shown.error["remedy"]


def test_a_vm_that_runs_already_takes_no_secret(session, waiting_vm, words, command):
    files = session()
    with waiting_vm(files, paused=False) as host:
        shown = command(*words(host.url, files))
        assert (shown.status, shown.code) == (4, "guest-state-forbids")
        assert host.packets == ()


@pytest.mark.parametrize(
    "host",
    ["/nowhere/vm1.sock", "qmp+unix:///nowhere/vm1.sock", "127.0.0.1:1", "qmp+tcp://[::1]:1"],
)
def test_a_host_out_of_reach_ends_with_4(session, words, refused, host):
    shown = refused(words(host, session()), 4)
    assert shown.error["details"]["host"]
    assert shown.json["complete"] is False


@pytest.mark.parametrize("host", ["", "ftp://x", "qmp+tcp://:1", "a b:1", "qmp+ssh://-u@h/s"])
def test_a_host_that_is_no_url_is_a_usage_error(session, words, refused, host):
    assert refused(words(host, session()), 2).error["details"]["part"]


def test_words_of_the_host_are_shown_harmless(session, waiting_vm, words, command):
    files = session()
    with waiting_vm(files, attack=attack_named("error-with-markup")) as host:
        typed = words(host.url, files)
        shown = command(*typed)
        in_text = command(*(word for word in typed if word != "--json"))
    assert shown.status == in_text.status == 4
    assert "QEMU said" in shown.error["message"]
    for text in (shown.out, shown.error["message"], in_text.out, in_text.err):
        assert all(character.isprintable() or character == "\n" for character in text)
    assert len(in_text.err.splitlines()) == 3


def test_a_host_that_talks_nonsense_ends_with_4(session, waiting_vm, words, refused):
    files = session()
    for name in ("garbage-json", "deep-json", "disconnect-mid-command", "state-lies"):
        with waiting_vm(files, attack=attack_named(name)) as host:
            assert refused(words(host.url, files), 4).error
            assert host.packets == ()


# -- usage and files ---------------------------------------------------------------


@pytest.fixture
def unreachable(session, words, refused):
    """The code of an error that comes before any host is asked."""
    files = session()

    def run(*more, status, **changes):
        return refused(words("/nowhere/vm1.sock", files, *more, **changes), status).code

    return run


def test_a_weak_policy_is_refused_before_anything_else(unreachable):
    assert unreachable(policy="0x1", vcpus=(), status=3) == "policy-refused"
    assert unreachable("--waive-policy=", policy="0x1", vcpus=(), status=2) == "empty-waiver"


def test_what_was_typed_wrong_is_told_before_a_host_is_asked(unreachable, folder, fake):
    assert unreachable("--tk", "x", status=2) == "which-keys"
    assert unreachable("--secret", "x", status=2) == "bad-secret-option"
    assert unreachable("--secret", "x=y", status=2) == "bad-secret-name"
    assert unreachable("--min-api", "x", status=2) == "bad-api-version"
    assert unreachable("--launch-digest", "11" * 32, status=2) == "contradicting-options"
    assert unreachable(vcpus=(), status=2) == "es-without-vcpus"
    assert unreachable("--oca", fake["oca"], status=2) == "no-platform"
    assert unreachable("--trust-root", fake["ark"], status=2) == "no-platform"
    assert unreachable("--platform", folder, status=6) == "file-is-folder"


@pytest.mark.parametrize("pin", ["--oca", "--pin-cek"])
def test_a_platform_that_is_not_the_pinned_one_is_refused_before_a_host_is_asked(
    unreachable, fake, pin
):
    chain = ("--platform", *fake.values(), "--trust-root", fake["ark"])
    assert unreachable(*chain, pin, "00" * 32, status=3) == "chain-refused"


def test_firmware_that_takes_no_secrets_is_told_before_a_host_is_asked(vectors, unreachable):
    image = vectors / "firmware" / "OVMF_CODE.fd"
    assert unreachable(image=image, status=6) == "firmware-without-secret-area"


def test_without_a_secret_there_is_nothing_to_do(command, session, firmware):
    files = session()
    shown = command(
        *("attest", "--host", "/nowhere", "--tek", files["tek"], "--tik", files["tik"]),
        *("--policy", "default", "--firmware", firmware, *VCPUS, "--json"),
    )
    assert (shown.status, shown.code) == (2, "no-secret")
    assert "--no-inject" in shown.error["remedy"]


def test_a_secret_that_cant_be_read_stops_the_launch(session, waiting_vm, words, refused, folder):
    files = session()
    with waiting_vm(files) as host:
        (folder / "passphrase").unlink()
        shown = refused(words(host.url, files), 6, host)
        assert shown.code == "file-missing"


def test_a_plain_connection_over_a_network_is_warned_of(session, words, command):
    shown = command(*words("qmp+tcp://192.0.2.1.invalid:1", session()))
    assert shown.status == 4
    assert "not encrypted" in shown.err
    assert "this very machine" not in shown.err


def test_a_host_that_is_this_machine_is_no_judge_of_itself(session, words, command):
    shown = command(*words("qmp+tcp://localhost:1", session()))
    assert shown.status == 4
    record = next(step for step in shown.json["steps"] if step["step"] == "platform")["record"]
    assert record["host_is_local"] is True
    assert "this very machine" in record["warnings"][0]


# -- interruptions -----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_silent_host_can_be_left_at_once(session, words, folder, number):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "silent.sock"))
        server.listen()
        process = start(*words(folder / "silent.sock", session()))
        connection, _ = server.accept()
        with connection:
            process.send_signal(number)
            shown = finish(process)
            assert (shown.status, shown.code, shown.err) == (130, "interrupted", "")


def test_ctrl_c_ends_waiting_for_the_secret_too(session, waiting_vm, firmware):
    files = session()
    with waiting_vm(files) as host:
        process = start(
            *("attest", "--host", host.url, "--tek", files["tek"], "--tik", files["tik"]),
            *("--policy", "default", "--firmware", firmware, *VCPUS),
            *("--secret", "disk-passphrase=-"),
            stdin=subprocess.PIPE,
        )
        while b"matches" not in process.stdout.readline():
            pass
        # The next thing it does is to read; where it isn't that far yet, it ends as well.
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert b"Traceback" not in finish(process).err.encode()
        assert host.packets == ()
