# SPDX-License-Identifier: Apache-2.0
"""A root file system of a few files, as a tar, for the tests of the image builder."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from watchword.core.image.initrd import InitrdFile, build_archive

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
LABEL = b"system_u:object_r:etc_t:s0\0"
KERNEL = b"a kernel" * 1000


def debian_initrd() -> bytes:
    """An initial RAM disk as initramfs-tools packs it, with cryptsetup inside."""
    return gzip.compress(  # the same bytes each time
        mtime=0,
        data=build_archive(
            [
                InitrdFile("scripts/local-top/cryptroot", b"#!/bin/sh\n", 0o755),
                InitrdFile("usr/sbin/cryptsetup", b"\x7fELF", 0o755),
            ]
        ),
    )


def plain_initrd() -> bytes:
    """One that can't open anything."""
    return gzip.compress(  # the same bytes each time
        mtime=0, data=build_archive([InitrdFile("init", b"#!/bin/sh\n", 0o755)])
    )


class Tree:
    """A tar under way."""

    def __init__(self, path: Path, mode: str = "w") -> None:
        self.path = path
        self.tar = tarfile.open(path, mode, format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(
        self,
        name: str,
        data: bytes = b"",
        kind: bytes = tarfile.REGTYPE,
        mode: int = 0o644,
        owner: tuple[int, int] = (0, 0),
        link: str = "",
        pax: dict[str, str] | None = None,
        device: tuple[int, int] = (0, 0),
    ) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname = kind, mode, link
        member.uid, member.gid = owner
        member.size, member.mtime = len(data), 1_600_000_000
        member.devmajor, member.devminor = device
        member.pax_headers = pax or {}
        self.tar.addfile(member, io.BytesIO(data))

    def folder(self, name: str, mode: int = 0o755) -> None:
        self.add(name, kind=tarfile.DIRTYPE, mode=mode)

    def close(self) -> Path:
        self.tar.close()
        return self.path


def bootable(
    path: Path,
    initrd: bytes | None = None,
    mode: str = "w",
    more: Callable[[Tree], object] = lambda tree: None,
) -> Path:
    """A root that an image can be built from."""
    tree = Tree(path, mode)
    for folder in ("./", "etc", "boot", "root", "root/.ssh", "usr", "usr/bin", "dev"):
        tree.folder(folder)
    tree.add("boot/vmlinuz-6.1.0-9-amd64", b"old")
    tree.add("boot/initrd.img-6.1.0-9-amd64", b"old")
    tree.add("boot/vmlinuz-6.1.0-10-amd64", KERNEL)
    tree.add("boot/initrd.img-6.1.0-10-amd64", debian_initrd() if initrd is None else initrd)
    tree.add("etc/fstab", b"/dev/sda1 / ext4 defaults 0 1\ntmpfs /tmp tmpfs defaults 0 0\n")
    tree.add("etc/hello.txt", b"Hello from the encrypted root\n")
    tree.add("root/.ssh/authorized_keys", b"ssh-ed25519 AAAA owner\n", mode=0o600)
    more(tree)
    return tree.close()


def rich(tree: Tree) -> None:
    """What a root has besides plain files."""
    pax = {"SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")}
    tree.add("usr/bin/ping", b"ping" * 3000, mode=0o4755, owner=(100001, 70000), pax=pax)
    tree.add("usr/bin/ping4", kind=tarfile.LNKTYPE, link="usr/bin/ping")
    tree.add("etc/short", kind=tarfile.SYMTYPE, link="hello.txt", mode=0o777)
    tree.add("etc/long", kind=tarfile.SYMTYPE, link="../" * 30 + "etc/hello.txt", mode=0o777)
    tree.add("dev/null", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    tree.add("dev/nvme", kind=tarfile.BLKTYPE, mode=0o660, device=(259, 300))
    tree.add("dev/pipe", kind=tarfile.FIFOTYPE, mode=0o600)
    label = {"RHT.security.selinux": LABEL[:-1].decode()}
    tree.add("etc/labelled", b"x", pax=label)
    tree.add("etc/again", b"first")
    tree.add("etc/again", b"the later one")
    tree.add("etc/zeros", bytes(3 << 20) + b"end")
    tree.add("a name with “quotes” and\nmore", b"odd")
    tree.folder("var/lib/many")
    for number in range(600):
        tree.add(f"var/lib/many/file-with-a-rather-long-name-{number:05}", b"%d" % number)
