# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of images: encrypted disks, made once, and a vault with their keys."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.image import building
from watchword.core.vault.vault import Vault

from .build_support import PROGRAMS, named_file
from .disk_support import Desk, make_disk, run


@pytest.fixture(scope="session")
def made_disks(tmp_path_factory, program) -> Callable[[int, str], Path]:
    """Makes a disk of a LUKS version and an image format, once."""
    made: dict[tuple[int, str], Path] = {}

    def make(version: int, form: str) -> Path:
        for name, package in (
            ("cryptsetup", "cryptsetup-bin"),
            ("mkfs.ext4", "e2fsprogs"),
            ("sfdisk", "fdisk"),
            ("qemu-img", "qemu-utils"),
        ):
            program(name, package)
        if (version, "raw") not in made:
            made[version, "raw"] = make_disk(tmp_path_factory.mktemp("disk"), version)
        if (version, form) not in made:
            raw = made[version, "raw"]
            made[version, form] = raw.with_suffix(f".{form}")
            run("qemu-img", "convert", "-f", "raw", "-O", form, raw, made[version, form])
        return made[version, form]

    return make


@pytest.fixture
def disk(made_disks, tmp_path) -> Callable[..., Path]:
    """A copy of such a disk, for one test."""

    def copy(version: int = 1, form: str = "raw", name: str = "disk") -> Path:
        target = tmp_path / f"{name}.{form}"
        shutil.copyfile(made_disks(version, form), target)
        return target

    return copy


@pytest.fixture
def desk(tmp_path) -> Desk:
    """A vault with the disks' keys, and records."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    desk = Desk(home)
    desk.make()
    return desk


@pytest.fixture
def build_tools(program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    for name, package in PROGRAMS:
        program(name, package)


@pytest.fixture
def vault():
    with Vault.in_memory() as opened:
        yield opened


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root as it was before it was encrypted, which else has no name."""
    path = tmp_path / "plain"

    monkeypatch.setattr(building, "_nameless", lambda folder: named_file(path))
    return path
