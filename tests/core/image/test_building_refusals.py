# SPDX-License-Identifier: Apache-2.0
"""What the image builder refuses, and that nothing is left of it or of one that was stopped."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, VaultError
from watchword.core.image import building, output_claim, programs
from watchword.core.image.building import build_image
from watchword.core.image.disk_access import ImageFormat
from watchword.core.image.order import ImageOrder, Stage
from watchword.core.vault.vault import Vault

from . import root_tree
from .build_support import PROGRAMS, build, order_of, text_of
from .root_tree import bootable, rich

MIB = 1 << 20
pytestmark = pytest.mark.usefixtures("build_tools")


def nothing_is_left(order: ImageOrder, vault: Vault) -> bool:
    return not list(order.output.parent.iterdir()) and not vault.list()


def refused(order: ImageOrder, vault: Vault, code: str) -> BadInput:
    with pytest.raises(BadInput) as found:
        build(order, vault)
    assert found.value.code == code
    assert nothing_is_left(order, vault)
    return found.value


def closed(folder: Path, real: Callable[..., object]) -> Callable[..., object]:
    """A call to the system that finds what is in a folder closed to this user."""

    def call(path: object, *more: object, **named: object) -> object:
        if isinstance(path, str | Path) and Path(path).parent == folder:
            raise PermissionError(errno.EACCES, "denied", str(path))
        return real(path, *more, **named)

    return call


def test_an_initrd_without_cryptsetup_names_what_to_install(tmp_path: Path, vault: Vault) -> None:
    root = bootable(tmp_path / "root.tar", initrd=root_tree.plain_initrd())
    error = refused(order_of(tmp_path, root), vault, "initrd-without-cryptsetup")
    assert "cryptsetup-initramfs" in error.remedy


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\x1f\x8b" + b"x" * 900])
def test_what_is_no_tar_is_refused(tmp_path: Path, vault: Vault, content: bytes) -> None:
    root = tmp_path / "root.tar"
    root.write_bytes(content)
    refused(order_of(tmp_path, root), vault, "root-unreadable")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_a_tar_that_is_cut_short_is_refused(tmp_path: Path, vault: Vault, mode: str) -> None:
    root = bootable(tmp_path / "root.tar", mode=mode, more=rich)
    root.write_bytes(root.read_bytes()[: root.stat().st_size // 2])
    refused(order_of(tmp_path, root), vault, "root-unreadable")


def test_a_root_that_can_not_be_opened_is_named(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"
    for name in ("open", "stat"):
        monkeypatch.setattr(os, name, closed(hidden, getattr(os, name)))
    refused(order_of(tmp_path, hidden / "root.tar"), vault, "file-unreadable")
    refused(order_of(tmp_path, tmp_path / ("x" * 300)), vault, "file-missing")


def test_a_root_that_comes_by_a_pipe_is_refused_at_once(tmp_path: Path, vault: Vault) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(order_of(tmp_path, tmp_path / "pipe"), vault, "file-not-regular")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_packed_tars_are_read(tmp_path: Path, vault: Vault, mode: str) -> None:
    assert build(order_of(tmp_path, bootable(tmp_path / "root.tar", mode=mode)), vault).written


def test_a_root_that_does_not_fit_is_refused(tmp_path: Path, vault: Vault) -> None:
    root = bootable(tmp_path / "root.tar", more=lambda tree: tree.add("big", os.urandom(60 * MIB)))
    refused(order_of(tmp_path, root, size=120 * MIB), vault, "image-too-small")
    refused(order_of(tmp_path, root, size=40 * MIB), vault, "image-too-small")


def test_no_room_is_told_before_and_meanwhile(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"))
    state = os.statvfs(tmp_path)
    with monkeypatch.context() as patch:
        full = type("Full", (), {"f_bavail": 10, "f_frsize": state.f_frsize})
        patch.setattr(building.os, "statvfs", lambda path: full)
        refused(order, vault, "no-room")
    real = os.pwrite

    def fails(descriptor: int, data: bytes, offset: int) -> int:
        if offset > 8 * MIB:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", fails)
    refused(order, vault, "no-room")


def test_an_output_that_exists_or_is_being_built_is_left_alone(
    tmp_path: Path, vault: Vault
) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"))
    with output_claim.claimed_output(order.output), pytest.raises(BadInput) as busy:
        build(order, vault)
    assert busy.value.code == "image-in-use"
    order.output.write_bytes(b"mine")
    with pytest.raises(BadInput) as there:
        build(order, vault)
    assert there.value.code == "file-exists"
    assert order.output.read_bytes() == b"mine"


def test_a_partition_that_claims_terabytes_is_not_read_to_its_end(
    tmp_path: Path, vault: Vault
) -> None:
    (tmp_path / "tree" / "etc").mkdir(parents=True)
    root = tmp_path / "root.img"
    words = ["mkfs.ext4", "-q", "-d", tmp_path / "tree", root, "8M"]
    subprocess.run(words, check=True, capture_output=True)
    os.truncate(root, 2 << 40)
    error = refused(order_of(tmp_path, root), vault, "root-too-large")
    assert "2048 GiB" in error.message


def test_a_name_that_leaves_no_room_for_those_beside_it_is_refused(
    tmp_path: Path, vault: Vault
) -> None:
    for name in ("x" * 238, "é" * 119):
        output = tmp_path / "out" / name
        output.parent.mkdir(exist_ok=True)
        refused(ImageOrder(tmp_path, output, "web1"), vault, "name-too-long")


def test_a_name_of_the_greatest_length_can_be_built(tmp_path: Path, vault: Vault) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"), format=ImageFormat.QCOW2)
    longest = order.output.with_name("x" * 237)
    assert build(dataclasses.replace(order, output=longest), vault).path == longest


def test_a_firmware_without_room_for_the_key_is_refused(tmp_path: Path, vault: Vault) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"), secret_area=64)
    with pytest.raises(BadInput, match="secret area"):
        build(order, vault)
    assert nothing_is_left(order, vault)


@pytest.mark.parametrize(("name", "package"), [*PROGRAMS, ("debugfs", "e2fsprogs")])
def test_a_missing_tool_is_named_with_its_package(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    real = programs.shutil.which
    monkeypatch.setattr(
        programs.shutil, "which", lambda tool, **more: None if tool == name else real(tool, **more)
    )
    error = refused(order_of(tmp_path, bootable(tmp_path / "root.tar")), vault, "program-missing")
    assert f"apt install {package}" in error.remedy


def test_entries_that_are_taken_are_kept(tmp_path: Path, vault: Vault) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"))
    build(order, vault)
    key = text_of(vault, "web1/disk")
    with pytest.raises(VaultError) as taken:
        build(order_of(tmp_path, order.root), vault)
    assert taken.value.code == "entry-exists"
    assert "--name" in taken.value.remedy
    assert "--replace" not in taken.value.remedy  # there is no such option here
    assert text_of(vault, "web1/disk") == key


def test_keys_are_in_the_vault_before_the_image_has_its_name(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"))
    seen = []

    def look(source: Path, target: Path) -> None:
        seen.append((len(vault.list()), target.exists()))
        raise BadInput("no-luck", "the test", "It ends here.", "Nothing.")

    monkeypatch.setattr(building, "_take_name", look)
    refused(order, vault, "no-luck")
    assert seen == [(2, False)]


def test_a_builder_that_died_while_it_stored_keys_is_told_of(tmp_path: Path, vault: Vault) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"))
    order.output.with_name(".disk.img.build").write_text('{"entries": ["web1/disk", "x"]}')
    order.output.with_name(".disk.img.disk.building").write_bytes(b"half")
    with pytest.raises(BadInput) as told:
        build(order, vault)
    assert told.value.code == "image-build-cut-short"
    assert "web1/disk" in told.value.message
    assert not order.output.with_name(".disk.img.disk.building").exists()


@pytest.mark.parametrize("stage", [Stage.FILL, Stage.CHANGE, Stage.ENCRYPT])
def test_cancelling_leaves_nothing(tmp_path: Path, vault: Vault, stage: Stage) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar", more=rich))

    async def cancelled() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(
            build_image(
                order,
                vault,
                observe=lambda progress: (
                    progress.stage is stage and loop.call_soon_threadsafe(task.cancel)
                ),
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert nothing_is_left(order, vault)


def test_a_guest_that_nobody_could_log_in_to_is_warned_of(tmp_path: Path, vault: Vault) -> None:
    root = bootable(
        tmp_path / "root.tar",
        more=lambda tree: (
            tree.add("root/.ssh/authorized_keys", b"# none\n"),
            tree.add("etc/shadow", b"root:*:1::::::\n"),
        ),
    )
    warnings = build(order_of(tmp_path, root), vault).warnings
    assert any("Nobody could log in" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("../escape", {}),
        ("usr/../../escape", {}),
        ("etc/hello.txt/below", {}),
        ("x" * 300, {}),
        ("hard", {"kind": b"1", "link": "/etc/shadow-of-the-host"}),
        ("out/file", {}),
        ("odd", {"kind": b"Z"}),
    ],
)
def test_hostile_archives_are_refused_in_words(
    tmp_path: Path, vault: Vault, name: str, more: dict
) -> None:
    def add(tree: root_tree.Tree) -> None:
        tree.add("out", kind=b"2", link="/tmp")
        tree.add(name, **more)

    if more.get("kind") == b"Z":  # tarfile takes what it does not know for a plain file
        return
    error = refused(
        order_of(tmp_path, bootable(tmp_path / "root.tar", more=add)), vault, "root-unsafe"
    )
    assert "is refused" in error.message
    assert not (tmp_path / "escape").exists()


def test_absolute_names_lie_in_the_image_and_a_huge_hole_takes_no_room(
    tmp_path: Path, vault: Vault
) -> None:
    def add(tree: root_tree.Tree) -> None:
        tree.add("/etc/absolute", b"inside")
        pax = {"GNU.sparse.map": "0,3", "GNU.sparse.size": str(1 << 36)}
        pax |= {"GNU.sparse.numblocks": "1", "GNU.sparse.major": "0", "GNU.sparse.minor": "1"}
        tree.add("huge", b"abc", pax=pax)

    root = bootable(tmp_path / "root.tar", more=add)
    built = build(order_of(tmp_path, root, size=200 * MIB), vault)
    assert built.path.stat().st_blocks * 512 < 60 * MIB


def test_a_name_that_claims_gigabytes_is_refused_unread(tmp_path: Path, vault: Vault) -> None:
    import tarfile

    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    root = tmp_path / "root.tar"
    with root.open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(5 << 30)
    refused(order_of(tmp_path, root), vault, "root-too-large")
