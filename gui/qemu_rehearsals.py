# SPDX-License-Identifier: Apache-2.0
"""Rehearsals of the owner's guests with a real QEMU, as the window has them. Knows no Qt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from watchword.core.guest.profile import GuestProfile
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.image.image_kind import image_kind
from watchword.core.launch.sev_steps import Observer
from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.profile_guest import rehearsed_guest
from watchword.core.rehearsal.qemu_run import DEFAULT_LIMIT, DEFAULT_MEMORY, QemuRun, QemuSetup
from watchword.core.rehearsal.setup import qemu_setup

from .lent_vault import LentVault
from .pages.vault_service import VaultService
from .wizard.runs import OpenRun
from .wizard.watched_run import ConsoleLog, WatchedRun

_DISK: Final = "the disk image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What was filled in for a rehearsal; empty texts stand for nothing.

    ``disk_format``    ``raw`` or ``qcow2``, empty: as the image's first bytes say
    ``memory``         MiB
    ``limit``          seconds that the running guest may take until its verdict
    ``attack``         how the host lies, None for the honest one
    ``unlocked_when``  what the console says once the disk is open, in place of the usual signs
    ``policy_waiver``, ``firmware_waiver``  typed reasons
    """

    guest: str
    disk: str = ""
    disk_format: str = ""
    memory: int = DEFAULT_MEMORY >> 20
    limit: int = int(DEFAULT_LIMIT)
    attack: str | None = None
    unlocked_when: str = ""
    policy_waiver: str = ""
    firmware_waiver: str = ""


class QemuRehearsals:
    """Opens rehearsals; ``new_run`` makes one, and tests give their own."""

    def __init__(self, vaults: VaultService, new_run: Callable[..., QemuRun] = QemuRun) -> None:
        self.vaults = vaults
        self._new_run = new_run

    def profile(self, name: str) -> GuestProfile:
        """A profile by its name. Raises BadInput."""
        return ProfileStore(profiles_folder()).load(name).profile

    def opener(self, wanted: Rehearsed, log: ConsoleLog) -> OpenRun:
        """Opens the rehearsal when it is called; the console's lines go to ``log``.

        Raises then as ``rehearsed_guest`` and QemuRun do, and BadInput about the disk.
        """

        @asynccontextmanager
        async def opened(observe: Observer) -> AsyncIterator[WatchedRun]:
            guest, setup = await asyncio.to_thread(self._read, wanted)
            new_run = partial(self._new_run, guest, setup, attack=wanted.attack)
            run = WatchedRun(guest, new_run, observe, wanted.attack, log)
            try:
                await run.begin()
                yield run
            finally:
                await run.end()

        return opened

    def _read(self, wanted: Rehearsed) -> tuple[RehearsedGuest, QemuSetup]:
        profile = self.profile(wanted.guest)
        guest = rehearsed_guest(
            profile,
            LentVault(self.vaults) if profile.secret_references else None,
            policy_waiver=wanted.policy_waiver or None,
            firmware_waiver=wanted.firmware_waiver or None,
        )
        return guest, _setup(wanted)


def _setup(wanted: Rehearsed) -> QemuSetup:
    disk = None
    if wanted.disk:
        disk = wanted.disk, image_kind(wanted.disk, _DISK, wanted.disk_format or None)
    return qemu_setup(
        disk=disk,
        memory=wanted.memory,
        limit=wanted.limit,
        unlocked_when=[wanted.unlocked_when] if wanted.unlocked_when else [],
    )
