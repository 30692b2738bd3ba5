# SPDX-License-Identifier: Apache-2.0
"""The vault file under bad luck: full and read-only disks, two processes, killed ones."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from watchword.core import file_writing
from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault import vault_lock
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault
from watchword.core.vault.vault_file import VaultFile
from watchword.core.vault.vault_lock import exclusive

from .support import PASSPHRASE, end, passphrase_way, passphrase_ways, read_line, revealed

KIND = EntryKind.DISK_SECRET
NOBODY = 65534

ADDER = """
import sys
from pathlib import Path
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault
ways = {OpenWith.PASSPHRASE: PassphraseWay(lambda: Secret(sys.argv[3].encode()))}
with Vault.open(Path(sys.argv[1]), ways) as vault:
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(6):
        vault.add(f"{sys.argv[2]}/{number}", EntryKind.DISK_SECRET, Secret(b"1"))
"""
HOLDER = """
import sys
from pathlib import Path
from watchword.core.vault.vault_lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def child(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@contextlib.contextmanager
def ordinary_user(folder):
    """Root is stopped by no mode: give the folder to somebody and be him for a while."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def full_disk():
    """Nothing longer than one byte can be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def open_folder():
    """A vault's folder that others can get to once it is theirs."""
    folder = Path(tempfile.mkdtemp(prefix="ww-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def unchanged(folder, before):
    names = {path.name for path in folder.iterdir()}
    assert names <= {"secrets.vault", "secrets.vault.lock"}
    assert (folder / "secrets.vault").read_bytes() == before


def test_a_full_disk_leaves_the_old_state(passphrase_vault, folder):
    passphrase_vault.add("a", KIND, Secret(b"old"))
    before = (folder / "secrets.vault").read_bytes()
    for change in (
        lambda: passphrase_vault.add("b", KIND, Secret(b"new")),
        lambda: passphrase_vault.remove("a"),
        passphrase_vault.rotate,
        passphrase_vault.make_recovery_code,
    ):
        with full_disk(), pytest.raises(VaultError) as caught:
            change()
        assert caught.value.code == "vault-not-written"
        assert "The vault is as it was" in caught.value.message
        unchanged(folder, before)
    assert revealed(passphrase_vault.get("a")) == b"old"
    passphrase_vault.add("b", KIND, Secret(b"new"))


def mounted(command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def tiny_disk(open_folder):
    """A file system of 64 KiB, or where nobody may mount one, None."""
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(open_folder)]
    if shutil.which("mount") is None or not mounted(command):
        yield None
        return
    yield open_folder
    subprocess.run(["umount", str(open_folder)], check=True)


def test_a_file_system_that_is_full_says_so(tiny_disk, tmp_path, monkeypatch):
    def no_room(descriptor, data):
        raise OSError(errno.ENOSPC, "no room")

    folder = (tiny_disk or tmp_path) / "vault"
    with Vault.create(folder, passphrase_way()) as vault:
        before = (folder / "secrets.vault").read_bytes()
        if tiny_disk is None:
            monkeypatch.setattr(file_writing, "_write_all", no_room)
        with pytest.raises(VaultError, match="the file system is full"):
            vault.add("a", KIND, Secret(bytes(65536)))
        unchanged(folder, before)


def test_a_read_only_folder_can_be_read_and_not_changed(open_folder):
    folder = open_folder / "vault"
    with Vault.create(folder, passphrase_way()) as vault:
        vault.add("a", KIND, Secret(b"old"))
    before = (folder / "secrets.vault").read_bytes()
    (folder / "secrets.vault.lock").unlink()
    with ordinary_user(open_folder):
        folder.chmod(0o500)
        with Vault.open(folder, passphrase_ways()) as vault:
            assert revealed(vault.get("a")) == b"old"
            with pytest.raises(VaultError) as caught:
                vault.add("b", KIND, Secret(b"new"))
        assert caught.value.code == "vault-not-written"
        folder.chmod(0o700)
    assert (folder / "secrets.vault").read_bytes() == before


def test_a_folder_that_belongs_to_somebody_else_is_refused(passphrase_vault, folder, monkeypatch):
    passphrase_vault.close()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(VaultError) as caught:
        Vault.open(folder, passphrase_ways())
    assert caught.value.code == "vault-exposed"


def test_a_folder_that_cannot_be_synced_loses_nothing(passphrase_vault, folder, monkeypatch):
    passphrase_vault.add("a", KIND, Secret(b"old"))
    before = (folder / "secrets.vault").read_bytes()

    def fails(*folder):
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(file_writing, "_sync_folder", fails)
    with pytest.raises(VaultError):
        passphrase_vault.add("b", KIND, Secret(b"new"))
    unchanged(folder, before)


def test_a_link_in_the_place_of_the_vault_is_not_followed_when_it_is_written(
    passphrase_vault, folder
):
    path, elsewhere = folder / "secrets.vault", folder.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with pytest.raises(VaultError) as caught:
        passphrase_vault.add("a", KIND, Secret(b"1"))
    assert caught.value.code == "vault-not-written"
    assert elsewhere.read_bytes() == before


def test_what_processes_add_at_once_is_all_there(passphrase_vault, folder):
    passphrase_vault.close()
    children = [child(ADDER, folder, name, PASSPHRASE.decode()) for name in ("a", "b", "c")]
    try:
        for process in children:
            assert read_line(process.stdout) == b"open\n"
        for process in children:
            process.stdin.write(b"\n")
            process.stdin.close()
        assert [process.wait(30) for process in children] == [0, 0, 0]
    finally:
        for process in children:
            end(process)
    with Vault.open(folder, passphrase_ways()) as vault:
        assert len(vault.list()) == 18


def test_who_waits_too_long_is_told_who_holds_the_vault(tmp_path):
    path = tmp_path / "lock"
    holder = child(HOLDER, path)
    try:
        assert read_line(holder.stdout) == b"held\n"
        with pytest.raises(VaultError) as caught, exclusive(path, 0.05):
            pass
        assert caught.value.code == "vault-busy"
        assert caught.value.details == {"pid": holder.pid}
        assert f"Process {holder.pid}" in caught.value.message
        holder.kill()  # the system gives the lock free
        with exclusive(path, 10):
            pass
    finally:
        end(holder)


def test_the_lock_is_had_as_soon_as_it_is_free(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    stack = contextlib.ExitStack()
    stack.enter_context(exclusive(path))
    monkeypatch.setattr(vault_lock.time, "sleep", lambda seconds: stack.close())
    with exclusive(path, 10):
        pass
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "note", [b"", b"junk", b"\xff", b'{"pid":"1"}', b'{"pid":1,"program":"\x1b"}']
)
def test_a_note_that_cannot_be_read_names_nobody(tmp_path, note):
    path = tmp_path / "lock"
    with exclusive(path):
        path.write_bytes(note)
        with pytest.raises(VaultError) as caught, exclusive(path, 0):
            pass
    assert "\x1b" not in caught.value.message
    assert "is changing it" in caught.value.message


def test_a_lock_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe"):
        with pytest.raises(VaultError) as caught, exclusive(tmp_path / name):
            pass
        assert caught.value.code == "vault-not-written"


@pytest.mark.parametrize("next_step", ["change", "open"])
def test_what_a_killed_process_left_is_swept_away(passphrase_vault, folder, next_step):
    def change():
        if next_step == "change":
            passphrase_vault.add("a", KIND, Secret(b"1"))
        else:
            Vault.open(folder, passphrase_ways()).close()

    leftovers = (".0123456789abcdef.tmp", ".secrets.vault.kept")
    for name in leftovers:
        (folder / name).write_bytes(b"an entry that was removed since")
    (folder / "notes.tmp").write_bytes(b"somebody's own")
    change()
    names = {path.name for path in folder.iterdir()}
    assert names == {"secrets.vault", "secrets.vault.lock", "notes.tmp"}


def test_a_process_killed_at_the_worst_moment_loses_nothing(passphrase_vault, folder):
    passphrase_vault.add("a", KIND, Secret(b"old"))
    passphrase_vault.close()
    (folder / "secrets.vault").rename(folder / ".secrets.vault.kept")
    with Vault.open(folder, passphrase_ways()) as vault:
        assert revealed(vault.get("a")) == b"old"


def test_a_change_by_another_process_is_seen(passphrase_vault, folder):
    with Vault.open(folder, passphrase_ways()) as other:
        other.add("a", KIND, Secret(b"1"))
        assert [entry.name for entry in passphrase_vault.list()] == ["a"]


def test_the_file_is_read_again_only_when_it_has_changed(passphrase_vault, monkeypatch):
    passphrase_vault.add("a", KIND, Secret(b"1"))
    monkeypatch.setattr(VaultFile, "read", None)
    assert revealed(passphrase_vault.get("a")) == b"1"
