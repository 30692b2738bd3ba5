# SPDX-License-Identifier: Apache-2.0
"""A QemuSetup from what a person names: the same for the command line and the window."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.image.image_kind import image_kind
from watchword.core.rehearsal.qemu_console import UNLOCKED_MARKERS
from watchword.core.rehearsal.qemu_run import DEFAULT_LIMIT, DEFAULT_MEMORY
from watchword.core.rehearsal.setup import qemu_setup


def test_what_nobody_names_is_as_usual() -> None:
    setup = qemu_setup()
    assert (setup.disk, setup.host_disk) == (None, None)
    assert (setup.memory, setup.limit) == (DEFAULT_MEMORY, DEFAULT_LIMIT)
    assert setup.markers.unlocked == UNLOCKED_MARKERS


def test_what_is_named_is_taken(tmp_path) -> None:
    disk = tmp_path / "web1.img"
    setup = qemu_setup(
        disk=(str(disk), "raw"), memory=1024, limit=30, unlocked_when=["vault is open"]
    )
    assert setup.disk is not None
    assert (setup.disk.path, setup.disk.format) == (disk, "raw")
    assert (setup.memory, setup.limit) == (1 << 30, 30.0)
    assert setup.markers.unlocked == ("vault is open",)


def test_memory_that_no_guest_can_have_is_refused() -> None:
    with pytest.raises(UsageError, match="MiB"):
        qemu_setup(memory=1)


def test_an_images_first_bytes_tell_its_kind(tmp_path) -> None:
    raw = tmp_path / "raw.img"
    raw.write_bytes(bytes(512))
    assert image_kind(str(raw), "--disk") == "raw"
    with pytest.raises(BadInput):  # said to be qcow2, and none
        image_kind(str(raw), "--disk", "qcow2")


def test_an_empty_image_is_told(tmp_path) -> None:
    empty = tmp_path / "empty.img"
    empty.touch()
    with pytest.raises(BadInput) as refused:
        image_kind(str(empty), "--disk")
    assert refused.value.code == "file-empty"
