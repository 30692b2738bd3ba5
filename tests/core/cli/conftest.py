# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the command line's tests: commands in this process, platforms, waiting VMs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from watchword.core.amd import roots
from watchword.core.cli import (
    attest_command,
    cek_options,
    evidence_verify,
    platform_command,
    platform_options,
    session_command,
)
from watchword.core.cli import main as command_line
from watchword.core.simulator import PlatformKeys, StartOrder, build_firmware, save_platform

from .batch_support import Batches, Home, simulated_roots
from .guest_support import Guests
from .launch_support import Launches
from .support import ROLES, HostThread, Outcome

# Imported before anything is patched: one that was imported later would keep what it found.
_KNOWING_ROOTS = (
    roots,
    attest_command,
    cek_options,
    evidence_verify,
    platform_command,
    platform_options,
    session_command,
)


@pytest.fixture(scope="session", autouse=True)
def _bytecode_is_kept(tmp_path_factory):
    """Real processes start twice as fast where they needn't compile everything again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_not_ignored():
    """A shell's job in the background ignores it, and so would every process started here."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _home_of_its_own(monkeypatch, tmp_path_factory):
    """No test reads or writes the folder of whoever runs it."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command in this process: ``command("digest", "--json")`` gives an Outcome."""
    # It can't be taken back, and a test of its own shows that it is called.
    monkeypatch.setattr(command_line, "harden_process", lambda: None)
    # What is written needn't outlive a power cut, and waiting for the disk takes seconds in all.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def run(*words):
        capsys.readouterr()
        status = command_line.main([str(word) for word in words])
        assert type(status) is int
        return Outcome(status, *capsys.readouterr())

    return run


@pytest.fixture
def folder():
    """A folder with a name short enough for socket files."""
    path = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def keys():
    """A simulated machine with 2048-bit CA keys: nothing here depends on their size."""
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="session")
def platform(keys, tmp_path_factory):
    """That machine's state directory: platform-keys.json, ark.cert, … full_chain.cert."""
    path = tmp_path_factory.mktemp("platform")
    save_platform(keys, path)
    return path


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    """A simulated firmware image in a file."""
    path = tmp_path_factory.mktemp("firmware") / "OVMF.fd"
    path.write_bytes(build_firmware())
    return path


@pytest.fixture(scope="session")
def naples(vectors):
    """The files of AMD's real Naples chain, by role."""
    return {role: vectors / "chains" / "naples" / f"{role}.cert" for role in ROLES}


@pytest.fixture(scope="session")
def fake(vectors):
    """The files of the synthetic platform whose PDH key is known, by role."""
    return {role: vectors / "fake-platform" / f"{role}.cert" for role in ROLES}


@pytest.fixture(scope="session")
def files(vectors):
    """Paths of the vectors' firmware, by the names that the vectors use, as far as at hand."""

    def path(name):
        kind, colon, file = name.partition(":")
        found = vectors / "firmware" / file if kind == "bookworm" else vectors / name
        return found if found.is_file() and (not colon or kind == "bookworm") else None

    return path


@pytest.fixture
def session(command, platform, folder):
    """Makes a launch blob for the simulated machine; the JSON's ``files`` as paths."""

    def create(*words, policy="default", name="vm1"):
        made = command(
            *("session", "create", platform / "full_chain.cert", "--json"),
            *("--trust-root", platform / "ark.cert", "--policy", policy),
            *("--out", folder, "--export-keys", folder / "keys", "--name", name, *words),
        )
        assert made.status in (0, 8), made.out
        return {kind: Path(path) for kind, path in made.json["files"].items()}

    return create


@pytest.fixture
def waiting_vm(keys, folder, firmware):
    """``with waiting_vm(files) as host``: a paused VM, started from a session's files."""

    @contextlib.contextmanager
    def start(files, address=None, attack=None, **changes):
        order = {
            "firmware": firmware.read_bytes(),
            "policy": 0x1100002F,
            "dh_cert": files["godh"].read_bytes() if files else None,
            "session": files["session"].read_bytes() if files else None,
            "vcpus": 2,
            **changes,
        }
        where = address or folder / "vm1.sock"
        with HostThread(keys, StartOrder(**order), where, attack) as host:
            yield host

    return start


@pytest.fixture
def guests(monkeypatch, command, tmp_path, firmware):
    """``watchword guest`` with a home of its own."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path))
    return Guests(command, tmp_path, firmware)


@pytest.fixture
def batch_home(monkeypatch, tmp_path, keys, firmware):
    """A home with a vault and guest web; the simulated machine's root counts as AMD's."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path))
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "WATCHWORD_VAULT_PASSPHRASE"):
        monkeypatch.delenv(variable, raising=False)
    for module in _KNOWING_ROOTS:
        monkeypatch.setattr(module, "amd_roots", lambda: simulated_roots(keys))
    made = Home(tmp_path, keys, firmware)
    made.profile()
    return made


@pytest.fixture
def batches(command, folder, batch_home, platform):
    (folder / "chain.cert").write_bytes((platform / "full_chain.cert").read_bytes())
    return Batches(command, folder, batch_home)


@pytest.fixture
def launches(command, folder, batch_home):
    """``watchword launch`` with a home in which guest web is kept, and VMs to launch it on."""
    return Launches(command, folder, batch_home)
