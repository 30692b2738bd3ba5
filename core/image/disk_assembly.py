# SPDX-License-Identifier: Apache-2.0
"""Puts an image together: partition table, ESP, and the root through the encryption."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from ..secret import Secret
from ..sev.secret_table import Route
from .encrypted_volume import EncryptedVolume
from .esp import write_esp
from .key_places import find_key_places, replace_key
from .luks_partition import LuksMaterial, opened_data, payload_offset
from .order import ESP_SIZE, GAP, ImageOrder, Observe, Progress, Stage
from .output_claim import OutputClaim
from .programs import Limits, run_program
from .root_changes import Ids
from .threads import Stop, in_thread
from .used_blocks import used_parts

_SLOW: Final = Limits(seconds=4 * 3600)


@dataclass(frozen=True, slots=True)
class DiskMaker:
    """Assembles one image in files beside its output."""

    order: ImageOrder
    claim: OutputClaim
    observe: Observe
    boot: Secret
    stand_in: Secret

    def outside(self) -> list[Path]:
        """What else may come to lie beside it: a qcow2, a kernel, an initial RAM disk."""
        return [self.claim.beside(name) for name in ("qcow2", "vmlinuz", "initrd")]

    async def assemble(self, disk: Path, root: int, ids: Ids, material: LuksMaterial) -> int:
        """The raw disk; how many bytes of the root were written."""
        order = self.order
        size = os.fstat(root).st_size
        start = GAP + ESP_SIZE
        volume = payload_offset(order.luks_version) + size
        grub = ids.luks if order.route is Route.GRUB else None
        descriptor = os.open(disk, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, max(order.size or 0, start + volume + GAP))
            await run_program(
                "sfdisk",
                ["--quiet", "--no-reread", "--no-tell-kernel", disk],
                feed=_table(start, volume).encode(),
            )
            await write_esp(descriptor, GAP, ids.esp, grub)
            os.pwrite(descriptor, material.working, start)
            written = await in_thread(
                lambda stop: self._encrypt(disk, root, (start, volume), ids, stop),
                self.claim.output.parent,
            )
            os.pwrite(descriptor, material.final, start)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return written

    def _encrypt(self, disk: Path, root: int, place: tuple[int, int], ids: Ids, stop: Stop) -> int:
        """Write what is in use through the encryption, and the key over its stand-in."""
        parts = list(used_parts(root))
        total = sum(count for _, count in parts)
        done = 0
        with opened_data(disk, *place, self.boot) as data:
            for offset, count in parts:
                stop.check()
                data.write(offset, os.pread(root, count, offset))
                done += count
                self.observe(Progress(Stage.ENCRYPT, done, total))
            if self.order.route is Route.GRUB:
                view = cast(EncryptedVolume, data)  # it reads and writes alike
                places = find_key_places(view, ids.luks, self.stand_in, None)
                replace_key(view, places, self.boot, lambda _: None)
        return total

    async def convert(self, disk: Path) -> Path:
        """The same as a qcow2, in the place of the raw disk."""
        target = self.claim.beside("qcow2")
        size = os.stat(disk).st_size  # noqa: PTH116 - at once
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

        def tell(said: bytes) -> None:
            with contextlib.suppress(ValueError, IndexError):
                share = float(said.rpartition(b"(")[2].partition(b"/")[0])
                self.observe(Progress(Stage.CONVERT, int(size * share / 100), size))

        await run_program(
            "qemu-img",
            ["convert", "-p", "-f", "raw", "-O", "qcow2", disk, target],
            limits=_SLOW,
            on_output=tell,
            folder=disk.parent,
        )
        os.unlink(disk)  # noqa: PTH108 - at once
        return target

    def write_outside(self, placed: tuple[bytes, bytes]) -> None:
        """Write kernel and initial RAM disk."""
        for path, data in zip(self.outside()[1:], placed, strict=True):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(data)
                file.flush()
                os.fsync(descriptor)


def _table(start: int, size: int) -> str:
    return (
        "label: gpt\n"
        f'start={GAP // 512}, size={ESP_SIZE // 512}, type=uefi, name="esp"\n'
        f'start={start // 512}, size={size // 512}, type=linux, name="cryptroot"\n'
    )
