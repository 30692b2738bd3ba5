# SPDX-License-Identifier: Apache-2.0
"""What is ordered of the builder of images, what it tells on the way, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..sev.secret_table import Route
from .disk_access import ImageFormat

MIB: Final = 1 << 20
MAPPED_NAME: Final = "cr_root"
"""What the opened root is called in the guest."""
ESP_SIZE: Final = 64 * MIB
GAP: Final = MIB
"""Before the first partition and behind the last one."""


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """An image to build.

    ``root``     a tar, a folder, or a raw or qcow2 image whose root partition has ext4
    ``output``   the image, which must not exist yet
    ``name``     the guest's: its profile, and the first part of its vault entries' names
    ``size``     bytes of the whole disk, None for one that fits
    ``luks``     1 or 2, None for what the route needs: 1 for GRUB, 2 for the kernel
    ``cmdline``  what the kernel is told besides where its root is
    ``firmware`` the firmware for the profile, None: no profile is made
    ``policy``, ``vcpus``, ``cpu``  for the profile, as its file has them
    ``secret_area``  bytes of the firmware's secret area, None where that is not known
    """

    root: Path
    output: Path
    name: str
    format: ImageFormat = ImageFormat.RAW
    size: int | None = None
    luks: int | None = None
    route: Route = Route.GRUB
    cmdline: str = "ro"
    firmware: Path | None = None
    policy: str = "default"
    vcpus: str | None = None
    cpu: str | None = None
    secret_area: int | None = None

    @property
    def boot_entry(self) -> str:
        """The vault entry of the boot key."""
        return f"{self.name}/disk"

    @property
    def recovery_entry(self) -> str:
        """The vault entry of the recovery key."""
        return f"{self.name}/recovery"

    @property
    def luks_version(self) -> int:
        """1 or 2."""
        return self.luks or (1 if self.route is Route.GRUB else 2)


class Stage(StrEnum):
    """What the builder is at."""

    SURVEY = "survey"
    FILL = "fill"
    CHANGE = "change"
    ENCRYPT = "encrypt"
    CONVERT = "convert"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come, in bytes; ``total`` is 0 where nobody knows."""

    stage: Stage
    done: int = 0
    total: int = 0


Observe = Callable[[Progress], object]
"""Gets each step, from whatever thread makes it."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that lies where it was ordered, its keys in the vault.

    ``header_sha256``  as LuksHeader.digest has it
    ``kernel``, ``initrd``, ``cmdline``  for the kernel route, else None
    ``warnings``       whole sentences
    """

    path: Path
    size: int
    format: ImageFormat
    luks: int
    luks_uuid: str
    header_sha256: str
    boot_entry: str
    recovery_entry: str
    written: int
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str | None = None
    profile: str | None = None
    warnings: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """The image as it appears in JSON output; there is no key in it."""
        return {
            "path": str(self.path),
            "size": self.size,
            "format": self.format.value,
            "luks": self.luks,
            "luks_uuid": self.luks_uuid,
            "header_sha256": self.header_sha256,
            "boot_entry": self.boot_entry,
            "recovery_entry": self.recovery_entry,
            "written": self.written,
            "kernel": None if self.kernel is None else str(self.kernel),
            "initrd": None if self.initrd is None else str(self.initrd),
            "cmdline": self.cmdline,
            "profile": self.profile,
            "warnings": list(self.warnings),
        }
