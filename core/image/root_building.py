# SPDX-License-Identifier: Apache-2.0
"""Makes the root file system that an image is to hold, and puts in what opens the disk."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..secret import Secret
from ..sev.secret_table import Route
from .disk_access import ImageFormat
from .disk_source import copy_root, looks_like_a_disk
from .ext4_editing import Ext4Editor, NewContent
from .ext4_writer import MKFS_FEATURES, Ext4Writer
from .file_blocks import Survey, survey
from .folder_source import FolderSource
from .initrd import LARGEST_INITRD, appended, look_into, without_cryptsetup
from .luks_partition import payload_offset
from .order import ESP_SIZE, GAP, MIB, ImageOrder, Observe, Progress, Stage
from .programs import Limits, OpenFile, no_room, run_program
from .root_changes import Boot, Ids, changes, find_boots, initrd_files, ways_in
from .root_entries import ROOT, RootEntry, too_large, too_small
from .tar_source import TarSource
from .threads import Stop, in_thread

_SLOW: Final = Limits(seconds=4 * 3600)
_LARGEST_BY_ITSELF: Final = 1 << 40
SMALLEST_ROOT: Final = 32 * MIB
_NO_WAY_IN: Final = (
    "Nobody could log in to this guest: root has no password in /etc/shadow and there is no"
    " /root/.ssh/authorized_keys. Put one of them into the root and build again."
)


@dataclass(frozen=True, slots=True)
class RootMaker:
    """Fills and changes the root file system of one image."""

    order: ImageOrder
    folder: Path
    observe: Observe

    async def fill(self, root: int, ids: Ids) -> Ids:
        """The root in an open file; its ids, which an existing file system keeps."""
        order = self.order
        room = None if order.size is None else self._root_room(order.size)
        if not order.root.is_dir() and looks_like_a_disk(order.root):
            return await self._take_over(root, ids, room)
        source = FolderSource(order.root) if order.root.is_dir() else TarSource(order.root)

        def look(stop: Stop) -> Survey:
            return survey(_Stoppable(source, stop))

        self.observe(Progress(Stage.SURVEY))
        found = await in_thread(look, order.root)
        size = _fitting(found) if room is None else room
        self._check_room(found.data)
        os.ftruncate(root, size)
        await run_program(
            "mkfs.ext4",
            [
                *("-q", "-F", "-b", "4096", "-I", "256", "-m", "1", "-L", "root", "-U", ids.root),
                *("-O", MKFS_FEATURES, "-N", str(max(size // 16384, found.entries * 5 // 4, 1024))),
                *("-E", "lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0"),
                OpenFile(root),
            ],
            limits=_SLOW,
        )
        done = 0

        def fill(stop: Stop) -> None:
            def tell(count: int) -> None:
                nonlocal done
                done += count
                stop.check()
                self.observe(Progress(Stage.FILL, done, found.data))

            Ext4Writer(root, tell).fill(_Stoppable(source, stop), found)

        await in_thread(fill, self.folder)
        await run_program("e2fsck", ["-f", "-y", OpenFile(root)], limits=_SLOW, allowed=(0, 1))
        return ids

    async def _take_over(self, root: int, ids: Ids, room: int | None) -> Ids:
        def copy(stop: Stop) -> int:
            def tell(done: int, total: int) -> None:
                stop.check()
                self.observe(Progress(Stage.FILL, done, total))

            return copy_root(self.order.root, root, room, tell)

        await in_thread(copy, self.folder)
        await run_program("e2fsck", ["-f", "-y", OpenFile(root)], limits=_SLOW, allowed=(0, 1))
        if room is not None:
            os.ftruncate(root, room)
            await run_program("resize2fs", ["-f", OpenFile(root)], limits=_SLOW)
        kept = str(uuid.UUID(bytes=os.pread(root, 16, 1024 + 0x68)))
        return Ids(ids.luks, kept, ids.esp)

    def _root_room(self, size: int) -> int:
        taken = 2 * GAP + ESP_SIZE + payload_offset(self.order.luks_version)
        room = (size - taken) // MIB * MIB
        if room < SMALLEST_ROOT:
            raise too_small(max(room, 0))
        return room

    def _check_room(self, data: int) -> None:
        folder = self.folder
        state = os.statvfs(folder)
        copies = 3 if self.order.format is ImageFormat.QCOW2 else 2
        if data * copies + ESP_SIZE > state.f_bavail * state.f_frsize:
            raise no_room(folder)

    async def change(
        self, root: int, ids: Ids, stand_in: Secret, warnings: list[str]
    ) -> tuple[bytes, bytes] | None:
        """Write what the guest needs; kernel and initrd where they are to lie outside."""
        self.observe(Progress(Stage.CHANGE))
        order, editor = self.order, Ext4Editor(root)
        boots = find_boots(editor)
        with stand_in.reveal() as view:
            key = bytes(view)
        newest = await self._opening_initrd(editor, ids, boots[0], key)
        opening = boots[:1]
        if order.route is Route.GRUB:
            await editor.write({boots[0].initrd: NewContent(newest, 0o600)})
            for boot in boots[1:]:
                try:
                    older = await self._opening_initrd(editor, ids, boot, key)
                except BadInput as problem:
                    warnings.append(_left_out(boot, problem))
                    continue
                await editor.write({boot.initrd: NewContent(older, 0o600)})
                opening.append(boot)
        words = order.cmdline
        await editor.write(changes(editor, ids, opening, route=order.route, words=words, key=key))
        if not ways_in(editor):
            warnings.append(_NO_WAY_IN)
        if order.route is Route.GRUB:
            return None
        return _read_kernel(editor, boots[0]), newest

    async def _opening_initrd(self, editor: Ext4Editor, ids: Ids, boot: Boot, key: bytes) -> bytes:
        """A kernel's initial RAM disk, with what opens the disk behind it.

        Raises BadInput ``initrd-unreadable`` and ``initrd-without-cryptsetup``.
        """
        initrd = editor.read(boot.initrd, LARGEST_INITRD) or b""
        kind = await look_into(initrd, boot.initrd)
        if not kind.opens_luks:
            raise without_cryptsetup(boot.initrd)
        return appended(initrd, list(initrd_files(ids, kind, self.order.route, key)))


def _left_out(boot: Boot, problem: BadInput) -> str:
    what = f"The older kernel {boot.kernel} would not start, and is not in GRUB's menu"
    return f"{what}. {problem.message}"


def _read_kernel(editor: Ext4Editor, boot: Boot) -> bytes:
    kernel = editor.read(boot.kernel, LARGEST_INITRD)
    if not kernel:
        raise too_large(f"a kernel, {boot.kernel}, that can't be read")
    return kernel


def _fitting(found: Survey) -> int:
    size = found.data * 5 // 4 + found.entries * 512 + 64 * MIB
    if size > _LARGEST_BY_ITSELF:
        raise BadInput(
            "root-too-large",
            ROOT,
            f"Its files say that they have {found.data >> 30} GiB.",
            "If that is so, say how large the image may become: --size.",
        )
    return -(-size // MIB) * MIB


@dataclass(frozen=True, slots=True)
class _Stoppable:
    """A source that ends when the work is called off."""

    source: FolderSource | TarSource
    stop: Stop

    def entries(self) -> Iterator[tuple[RootEntry, Iterable[tuple[int, bytes]]]]:
        """See RootSource."""
        for one in self.source.entries():
            self.stop.check()
            yield one
