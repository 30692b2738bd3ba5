# SPDX-License-Identifier: Apache-2.0
"""``simulate`` as a real process: what it prints, how it ends, what it keeps."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket

import pytest

from watchword.core.simulator import PlatformKeys

from .support import finish, start

VCPUS = ("--vcpus", "2", "--cpu", "EPYC-Milan")


@pytest.fixture
def state(platform, folder):
    """A state directory of the test's own, with the simulated machine's keys."""
    shutil.copytree(platform, folder / "state")
    return folder / "state"


@contextlib.contextmanager
def simulating(*words, number=signal.SIGTERM):
    """A simulator that listens, and its first line; ended by a signal if it still runs."""
    process = start("simulate", *words)
    try:
        yield process, process.stdout.readline().decode()
    finally:
        if process.poll() is None:
            process.send_signal(number)
        if process.stdout:
            finish(process)


def conversation(path, *commands):
    """QMP commands over a unix socket, and their replies."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        with connection.makefile("rw") as stream:
            replies = [json.loads(stream.readline())]
            for command in ("qmp_capabilities", *commands):
                stream.write(json.dumps({"execute": command}))
                stream.flush()
                replies.append(json.loads(stream.readline()))
    return replies


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_until_it_is_told_to_end(state, folder, number):
    path = folder / "vm1.sock"
    with simulating("--socket", path, "--state", state, "--json") as (process, line):
        assert json.loads(line) == {
            "listening": f"qmp+unix://{path}",
            "simulated": True,
            "state": str(state),
        }
        assert path.stat().st_mode & 0o777 == 0o600
        process.send_signal(number)
        shown = finish(process)
        process.stdout = None
    # JSON lines: the last one, too, is a line.
    assert (shown.status, shown.code, shown.err) == (130, "interrupted", "")
    assert "handed" not in shown.out  # which is nothing that a simulation does
    assert len(shown.out.splitlines()) == 1
    assert not path.exists()


def test_quit_ends_it_with_success(state, folder):
    """Also where the client leaves without waiting for QEMU's farewell."""
    path = folder / "vm1.sock"
    with simulating("--socket", path, "--state", state, "--json") as (process, _):
        greeting, *_, answered = conversation(path, "quit")
        assert greeting["QMP"]["version"]
        assert answered == {"return": {}}
        shown = finish(process)
        process.stdout = None
    assert (shown.status, shown.json) == (0, {"ok": True, "ended": "quit"})
    assert not path.exists()


def test_the_platform_is_the_same_the_next_time(folder, monkeypatch, command, keys):
    """``--state`` makes the keys once; what verifies today verifies tomorrow."""
    made = []
    monkeypatch.setattr(PlatformKeys, "generate", lambda *_: made.append(1) or keys)
    path, state = folder / "vm1.sock", folder / "state"
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as taken:
            # Nothing may be served here: the socket is another's.
            taken.bind(str(path))
            taken.listen()
            shown = command("simulate", "--socket", path, "--state", state, "--json")
            assert (shown.status, shown.code) == (6, "simulator-address")
        path.unlink()
        assert (state / "ark.cert").read_bytes() == keys.root.ark
    assert made == [1]
    assert (state / "platform-keys.json").stat().st_mode & 0o777 == 0o600


def test_words_for_people(state, folder):
    path = folder / "vm1.sock"
    with simulating("--socket", path, "--state", state) as (process, line):
        assert line.startswith("SIMULATED: ")
        assert process.stdout.readline().decode() == f"Listening on qmp+unix://{path}\n"


def test_a_vm_for_another_command_to_attest(state, folder, session, firmware, command):
    files = session()
    (folder / "secret").write_bytes(b"hunter2")
    options = ("--dh-cert-file", files["godh"], "--session-file", files["session"])
    address = ("--socket", "127.0.0.1:0", "--state", state, "--json")
    vm = ("--policy", "default", "--firmware", firmware, *VCPUS)
    with simulating(*address, *options, *vm) as (_, line):
        url = json.loads(line)["listening"]
        assert url.startswith("qmp+tcp://127.0.0.1:")
        shown = command(
            *("attest", "--host", url, "--tek", files["tek"], "--tik", files["tik"], *vm),
            *("--secret", f"disk-passphrase={folder / 'secret'}"),
        )
        assert shown.status == 0


@pytest.fixture
def simulate(command, keys, monkeypatch):
    """A simulator that is expected not to start."""
    monkeypatch.setattr(PlatformKeys, "generate", lambda *_: keys)

    def run(*words):
        shown = command("simulate", "--json", *words)
        assert shown.status != 0
        return shown.status, shown.code

    return run


def test_a_blob_for_another_platform_or_policy_does_not_start(simulate, folder, session):
    files = session()
    options = ("--dh-cert-file", files["godh"], "--session-file", files["session"])
    path = ("--socket", folder / "vm1.sock")
    assert simulate(*path, *options) == (4, "simulated-start-failed")
    assert simulate(*path, *options[:2], "--policy=default") == (4, "simulated-start-failed")
    assert not (folder / "vm1.sock").exists()


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/nowhere/at/all/vm1.sock", 6),
        ("/tmp/" + "n" * 110, 6),
        ("256.256.256.256:1", 6),
        ("localhost:99999", 6),
        ("localhost:²", 6),
    ],
)
def test_addresses_that_cant_be_listened_on(simulate, monkeypatch, folder, address, status):
    monkeypatch.chdir(folder)
    (folder / "localhost:²").mkdir()
    assert simulate("--socket", address) == (status, "simulator-address")


def test_a_file_is_never_taken_for_an_old_socket(simulate, folder):
    (folder / "precious").write_bytes(b"data")
    assert simulate("--socket", folder / "precious") == (6, "simulator-address")
    assert (folder / "precious").read_bytes() == b"data"


def test_usage_and_files(simulate, folder):
    path = ("--socket", folder / "vm1.sock")
    assert simulate(*path, "--attack", "rudeness") == (2, "unknown-attack")
    assert simulate(*path, "--policy", "x") == (2, "bad-policy")
    assert simulate(*path, "--initrd", "x") == (2, "kernel-missing")
    assert simulate(*path, "--vcpus", "1e3") == (2, "bad-arguments")
    assert simulate(*path, "--firmware", folder) == (6, "file-is-folder")
    assert simulate(*path, "--session-file", folder / "none") == (6, "file-missing")
    assert simulate() == (2, "bad-arguments")
    (folder / "platform-keys.json").write_text("{}")
    assert simulate(*path, "--state", folder) == (6, "simulator-state-damaged")
