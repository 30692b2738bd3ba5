# SPDX-License-Identifier: Apache-2.0
"""Builds images in tests: the tools that it takes, an order, the keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from watchword.core.image.building import build_image
from watchword.core.image.order import ImageOrder
from watchword.core.vault.vault import Vault

PROGRAMS = (
    ("mkfs.ext4", "e2fsprogs"),
    ("cryptsetup", "cryptsetup-bin"),
    ("qemu-nbd", "qemu-utils"),
    ("sfdisk", "fdisk"),
    ("mkfs.vfat", "dosfstools"),
    ("mcopy", "mtools"),
    ("grub-mkstandalone", "grub-common"),
)


def build(order: ImageOrder, vault: Vault, **options):
    return asyncio.run(build_image(order, vault, **options))


def order_of(tmp_path: Path, root: Path, **more) -> ImageOrder:
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    return ImageOrder(root, folder / "disk.img", "web1", **more)


def text_of(vault: Vault, name: str) -> bytes:
    with vault.get(name).reveal() as view:
        return bytes(view)


@contextlib.contextmanager
def named_file(path: Path):
    """Stands in for the file without a name, so that a test can read it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
