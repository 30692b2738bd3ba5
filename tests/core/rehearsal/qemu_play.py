# SPDX-License-Identifier: Apache-2.0
"""Plays rehearsals with a real QEMU for tests, and holds them to leaving nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from watchword.core.launch.sev_plan import SecretOrder
from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.qemu_console import ConsoleMarkers
from watchword.core.rehearsal.qemu_run import QemuOutcome, QemuSetup, rehearse_with_qemu
from watchword.core.secret import Secret
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.secret_table import DISK_PASSPHRASE
from watchword.core.simulator import Disk, PlatformKeys

from .locked_disk import PASSPHRASE, UNLOCKED, Artifacts

LIMIT = 40.0
CMDLINE = "console=ttyS0"


def order(passphrase: bytes = PASSPHRASE) -> SecretOrder:
    """The disk's passphrase."""
    return SecretOrder("disk-passphrase", DISK_PASSPHRASE, lambda: Secret(passphrase))


def kernel_guest(artifacts: Artifacts, *secrets: SecretOrder) -> RehearsedGuest:
    """A guest whose kernel is measured."""
    return RehearsedGuest(
        firmware=artifacts.firmware.read_bytes(),
        kernel=artifacts.kernel.read_bytes(),
        initrd=artifacts.initrd.read_bytes(),
        cmdline=CMDLINE,
        vcpus=VcpuSetup(1, parse_cpu("EPYC-Milan")),
        secrets=secrets,
    )


def grub_guest(artifacts: Artifacts, *secrets: SecretOrder) -> RehearsedGuest:
    """A guest whose firmware's GRUB opens the disk."""
    return RehearsedGuest(
        firmware=artifacts.firmware.read_bytes(),
        vcpus=VcpuSetup(1, parse_cpu("EPYC-Milan")),
        secrets=secrets,
    )


def setup(disk: Path | None, **more: object) -> QemuSetup:
    """The owner's disk, and the sign that the artifacts' guest gives."""
    markers = ConsoleMarkers(unlocked=(UNLOCKED,))
    values: dict = {"limit": LIMIT, "markers": markers, **more}
    return QemuSetup(disk=None if disk is None else Disk(disk), **values)


def play(
    guest: RehearsedGuest,
    how: QemuSetup,
    keys: PlatformKeys,
    attack: str | None = None,
    show: Callable[[str], None] | None = None,
) -> QemuOutcome:
    """A whole rehearsal; at its end there is no QEMU and no task of it any more."""

    async def whole() -> QemuOutcome:
        async with asyncio.timeout(60):
            outcome = await rehearse_with_qemu(
                guest, how, lambda launch: None, attack=attack, keys=keys, show=show
            )
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, f"left behind: {others}"
        return outcome

    outcome = asyncio.run(whole())
    assert qemus() == []
    assert not outcome.secret_seen
    return outcome


def qemus() -> list[int]:
    """The QEMUs that this process has started and that still run."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    running = []
    for child in map(int, children):
        try:
            name = Path(f"/proc/{child}/comm").read_text()
        except FileNotFoundError:
            continue
        if name.startswith("qemu"):
            running.append(child)
    return running
