# SPDX-License-Identifier: Apache-2.0
"""The guest's memory in a file without a name: what is written is there, and gone at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from watchword.core.simulator.ram_file import LOW_MEMORY, RamFile

SIZE = 64 << 20


@pytest.fixture
def ram() -> Iterator[RamFile]:
    memory = RamFile(SIZE)
    yield memory
    memory.wipe()


def test_what_is_written_is_read_again_at_the_same_address(ram: RamFile) -> None:
    ram.write(0x80C000, b"table" * 1000)
    assert ram.read(0x80C000, 5000) == b"table" * 1000
    assert ram.read(0x80C000 - 16, 16) == bytes(16)


def test_bytes_are_found_wherever_they_lie_also_across_pieces(ram: RamFile) -> None:
    ram.write((1 << 20) - 3, b"needle")
    ram.write(SIZE - 4, b"last")
    assert ram.holds(b"needle")
    assert ram.holds(b"last")
    assert not ram.holds(b"needles")


def test_it_ends_where_memory_below_4_gib_may_end(ram: RamFile) -> None:
    assert ram.contains(SIZE - 16, 16)
    assert not ram.contains(SIZE - 16, 17)
    assert not ram.contains(-1, 1)
    large = RamFile(LOW_MEMORY * 4)
    assert not large.contains(LOW_MEMORY, 1)
    large.wipe()


def test_after_the_end_nothing_can_be_read_and_no_descriptor_is_left(ram: RamFile) -> None:
    ram.write(0, b"secret")
    descriptor = ram.descriptor
    ram.wipe()
    ram.wipe()
    assert not ram.holds(b"secret")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_its_repr_shows_nothing_of_it(ram: RamFile) -> None:
    ram.write(0, b"secret")
    assert "secret" not in repr(ram)
