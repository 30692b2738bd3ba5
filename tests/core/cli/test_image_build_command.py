# SPDX-License-Identifier: Apache-2.0
"""``watchword image build`` as people call it: the recovery key comes once, errors have words."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
sys_path = str(HERE.parents[1] / "image")


@pytest.fixture
def call(tmp_path: Path):
    """Runs the command with a home and a vault of its own."""
    home = {"WATCHWORD_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    phrase = tmp_path / "phrase"
    phrase.write_text("a passphrase for tests\n")

    def run(*words: object, vault: bool = True) -> subprocess.CompletedProcess[str]:
        more = ["--passphrase-file", str(phrase)] if vault else []
        return subprocess.run(
            [sys.executable, "-m", "watchword.core", *map(str, words), *more],
            capture_output=True,
            text=True,
            check=False,
            env=home,
        )

    assert run("vault", "init", "--open-with", "passphrase").returncode == 0
    return run


def test_it_shows_the_recovery_key_that_the_vault_holds(call, tmp_path: Path, program) -> None:
    for name, package in (("mkfs.vfat", "dosfstools"), ("mcopy", "mtools")):
        program(name, package)
    sys.path.insert(0, sys_path)
    try:
        from root_tree import bootable
    finally:
        sys.path.remove(sys_path)
    root = bootable(tmp_path / "root.tar")
    output = tmp_path / "disk.qcow2"
    words = ("image", "build", "--root", root, "--output", output, "--name", "web1")
    done = call(*words, "--format", "qcow2", "--json")
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    assert built["ok"]
    assert built["recovery_key"].count("-") == 8
    checked = call("image", "check", output, "--entry", "web1/disk", "--recovery", "web1/recovery")
    assert checked.returncode == 0, checked.stderr
    listed = json.loads(call("ledger", "list", "--json", vault=False).stdout)
    assert built["recovery_key"] not in str(listed)
    assert "image-built" in str(listed)
    again = call(*words)
    assert again.returncode in (5, 6)
    assert "already" in again.stderr


def test_a_tar_that_is_none_gives_words_and_exit_6(call, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    done = call(
        *("image", "build", "--root", tmp_path / "empty.tar"),
        *("--output", tmp_path / "x.img", "--name", "web1"),
    )
    assert done.returncode == 6
    assert "nothing in it" in done.stderr
    assert not list(tmp_path.glob("*x.img*"))
