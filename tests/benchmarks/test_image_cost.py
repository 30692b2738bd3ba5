# SPDX-License-Identifier: Apache-2.0
"""What it costs to write an image: time against a plain copy, and memory for a large one.

The floor is `qemu-img convert` of the same bytes from a raw file to a raw file, without
any encryption. What is measured of ours is what fills the encrypted partition: reading the
blocks that are in use, and QEMU's encryption of them on their way to the disk.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.image.luks_partition import make_header, opened_data, payload_offset
from watchword.core.image.used_blocks import used_parts
from watchword.core.secret import Secret

from .ratio import best_times

MIB = 1 << 20
DATA = 192 * MIB
MOST = 25.0
"""Times what a plain copy takes; measured here: see docs/images.md."""
MOST_MEMORY = 160 * MIB
MOST_WRITTEN = 900 * MIB


@pytest.fixture
def tools(program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    for name, package in (
        ("mkfs.ext4", "e2fsprogs"),
        ("cryptsetup", "cryptsetup-bin"),
        ("qemu-nbd", "qemu-utils"),
    ):
        program(name, package)


@pytest.mark.slow
def test_writing_an_encrypted_image_against_a_plain_copy(tmp_path: Path, tools) -> None:
    folder, plain = tmp_path / "root", tmp_path / "plain"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(DATA))
    subprocess.run(["mkfs.ext4", "-q", "-d", folder, plain, "256M"], check=True)
    key = Secret(b"benchmark")
    uuid = "11111111-2222-3333-4444-555555555555"
    header = asyncio.run(make_header(1, uuid, key, Secret(b"another")))
    size = payload_offset(1) + plain.stat().st_size
    disk, copy = tmp_path / "disk", tmp_path / "copy"

    def ours() -> None:
        with disk.open("wb") as file:
            file.write(header.working)
            file.truncate(size)
        descriptor = os.open(plain, os.O_RDONLY)
        with opened_data(disk, 0, size, key) as data:
            for offset, count in used_parts(descriptor):
                data.write(offset, os.pread(descriptor, count, offset))
        os.close(descriptor)

    def floor() -> None:
        words = ["qemu-img", "convert", "-f", "raw", "-O", "raw", plain, copy]
        subprocess.run(words, check=True)

    mine, bare = best_times(ours, floor, rounds=3)
    print(f"encrypted {mine:.2f} s, plain {bare:.2f} s, ratio {mine / bare:.1f}")
    assert mine <= MOST * bare


@pytest.mark.slow
def test_a_sparse_image_of_20_gb_takes_little_memory_and_room(tmp_path: Path, tools) -> None:
    """In a process of its own, whose peak is its own; a large hole is in the root as well."""
    script = """
import asyncio, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from root_tree import bootable
from watchword.core.image.building import build_image
from watchword.core.image.order import ImageOrder
from watchword.core.vault.vault import Vault
place = Path(sys.argv[1])
def more(tree):
    pax = {"GNU.sparse.map": "0,3", "GNU.sparse.size": str(8 << 30)}
    pax |= {"GNU.sparse.numblocks": "1", "GNU.sparse.major": "0", "GNU.sparse.minor": "1"}
    tree.add("huge", b"abc", pax=pax)
root = bootable(place / "root.tar", more=more)
order = ImageOrder(root, place / "disk.img", "big", size=20 << 30)
with Vault.in_memory() as vault:
    built = asyncio.run(build_image(order, vault))
# Not ru_maxrss, which counts the process that this one was started from.
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0])
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak, children, built.path.stat().st_blocks // 2)
"""
    helpers = Path(__file__).parents[1] / "core" / "image"
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path, helpers],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    peak, children, written = (int(number) << 10 for number in done.stdout.split())
    print(f"peak {peak >> 20} MiB, tools {children >> 20} MiB, on disk {written >> 20} MiB")
    assert peak < MOST_MEMORY
    assert children < MOST_MEMORY
    assert written < MOST_WRITTEN
    assert (tmp_path / "disk.img").stat().st_size == 20 << 30
