# SPDX-License-Identifier: Apache-2.0
"""From what a person names for a rehearsal (images, memory, signs, time) to a QemuSetup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..simulator import Disk
from .qemu_console import UNLOCKED_MARKERS, ConsoleMarkers
from .qemu_run import DEFAULT_LIMIT, DEFAULT_MEMORY, QemuSetup

Image = tuple[str, str]
"""An image's path, and ``raw`` or ``qcow2``."""


def qemu_setup(
    *,
    disk: Image | None = None,
    host_disk: Image | None = None,
    memory: int | None = None,
    limit: float | None = None,
    unlocked_when: Sequence[str] = (),
) -> QemuSetup:
    """The setup; None and ``()`` mean: as usual. Raises as ``QemuSetup``.

    ``memory``         MiB
    ``limit``          seconds
    ``unlocked_when``  what the console says once the disk is open
    """
    return QemuSetup(
        disk=_disk(disk),
        host_disk=_disk(host_disk),
        memory=DEFAULT_MEMORY if memory is None else memory << 20,
        limit=DEFAULT_LIMIT if limit is None else float(limit),
        markers=ConsoleMarkers(unlocked=tuple(unlocked_when) or UNLOCKED_MARKERS),
    )


def _disk(image: Image | None) -> Disk | None:
    return None if image is None else Disk(Path(image[0]).absolute(), image[1])
