# SPDX-License-Identifier: Apache-2.0
"""File systems that somebody made to keep their reader busy: refused after a bounded time."""

from __future__ import annotations

import struct

import pytest

from watchword.core.errors import BadInput
from watchword.core.image.ext4_files import Ext4

BLOCK = 4096
MIB = 1 << 20
TABLE, TREE = 4, 8
MOST_READS = 20_000


def node(level, entries):
    return struct.pack("<HHHHI", 0xF30A, len(entries), 340, level, 0) + b"".join(entries)


def index(block):
    return struct.pack("<IIHH", 0, block, 0, 0)


def extent(at, count, start):
    return struct.pack("<IHHI", at, count, 0, start)


class Counted:
    """A small ext4 whose root folder has the extents that are given, and how often it is read."""

    def __init__(self, root, size=BLOCK):
        self.data = bytearray(4 * MIB)
        self.reads = self.bytes = 0
        struct.pack_into("<I", self.data, 1024, 16)
        struct.pack_into("<I", self.data, 1024 + 0x18, 2)
        struct.pack_into("<I", self.data, 1024 + 0x28, 16)
        struct.pack_into("<HH", self.data, 1024 + 0x38, 0xEF53, 1)
        struct.pack_into("<H", self.data, 1024 + 0x58, 256)
        struct.pack_into("<I", self.data, BLOCK + 8, TABLE)
        inode = TABLE * BLOCK + 256
        struct.pack_into("<HHI", self.data, inode, 0o40755, 0, size)
        struct.pack_into("<I", self.data, inode + 0x20, 0x80000)
        self.data[inode + 0x28 : inode + 0x64] = root.ljust(60, b"\0")

    def put(self, block, data):
        self.data[block * BLOCK : block * BLOCK + len(data)] = data

    def read(self, offset, size):
        self.reads += 1
        self.bytes += size
        assert self.reads < MOST_READS
        assert self.bytes < 64 * MIB
        return bytes(self.data[offset : offset + size])

    def find(self, path):
        return Ext4(self.read, len(self.data)).find(path)


def test_the_least_of_them_can_be_read():
    assert Counted(node(0, [extent(0, 1, TREE)])).find("/etc") is None


def test_a_tree_of_extents_that_branches_without_an_end_is_refused():
    system = Counted(node(4, [index(TREE)] * 4))
    for number in range(3):
        system.put(TREE + number, node(3 - number, [index(TREE + number + 1)] * 340))
    system.put(TREE + 3, node(0, []))
    with pytest.raises(BadInput) as caught:
        system.find("/etc")
    assert caught.value.code == "image-file-system"


def test_extents_that_overlap_are_refused_and_not_read_again_and_again():
    system = Counted(node(1, [index(TREE)]), size=2 * MIB)
    system.put(TREE, node(0, [extent(0, 512, 0)] * 340))
    with pytest.raises(BadInput) as caught:
        system.find("/etc")
    assert caught.value.code == "image-file-system"
