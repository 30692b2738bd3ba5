# SPDX-License-Identifier: Apache-2.0
"""Reads and replaces files in an ext4 that is not mounted, by debugfs, and looks at each again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from .ext4_files import Ext4
from .programs import Limits, OpenFile, run_program
from .root_entries import ROOT

_SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-/")


@dataclass(frozen=True, slots=True)
class NewContent:
    """A file to write: its bytes and permission bits; ``folder_mode`` for folders that it needs."""

    data: bytes
    mode: int = 0o644
    folder_mode: int = 0o755


class Ext4Editor:
    """The file system in an open file, whose paths are of plain characters."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, path: str, limit: int) -> bytes | None:
        """A regular file's bytes, links followed; None if there is none or it is larger."""
        system = self._system()
        inode = system.find(path)
        if inode is None or not inode.is_file or inode.size > limit:
            return None
        return system.read(inode, 0, inode.size)

    def exists(self, path: str) -> bool:
        """Whether a path leads anywhere."""
        return self._system().find(path) is not None

    def names(self, path: str) -> list[str]:
        """The names in a folder; none if it is not there."""
        system = self._system()
        inode = system.find(path)
        return [] if inode is None else sorted(name for name, _ in system.folder(inode))

    def is_plain_file(self, path: str) -> bool:
        """Whether it is a regular file by that name."""
        inode = self._system().find(path)
        return inode is not None and inode.is_file

    def number(self, path: str) -> int | None:
        """The number of the inode that a path leads to: names of one file have one."""
        inode = self._system().find(path)
        return None if inode is None else inode.number

    async def write(self, files: Mapping[str, NewContent]) -> None:
        """Put these files in, as root's, in the place of what has their names.

        Raises BadInput ``root-not-changed`` and as run_program does.
        """
        lines: list[str | OpenFile] = []
        folders: list[str] = []
        for path, content in files.items():
            if not _SAFE.issuperset(path):
                raise _not_changed(path)
            for folder in _above(path):
                if folder not in folders and not self.exists(folder):
                    folders.append(folder)
                    lines += [
                        f"mkdir {folder}",
                        f"sif {folder} mode 0{0o040000 | content.folder_mode:o}",
                    ]
                    lines += [f"sif {folder} uid 0", f"sif {folder} gid 0"]
        script = [str(line) for line in lines]
        descriptors: list[int] = []
        try:
            for path, content in files.items():
                descriptor = os.memfd_create("content", os.MFD_CLOEXEC)
                descriptors.append(descriptor)
                _write_all(descriptor, content.data)
                folder, _, name = path.rpartition("/")
                script += [
                    f"cd {folder or '/'}",
                    f"rm {name}",
                    f"write /dev/fd/{descriptor} {name}",
                ]
                script += [f"sif {name} mode 0{0o100000 | content.mode:o}"]
                script += [f"sif {name} uid 0", f"sif {name} gid 0", "cd /"]
            words = OpenFile(self._descriptor)
            await run_program(
                "debugfs",
                ["-w", "-f", "-", words],
                feed="".join(f"{line}\n" for line in script).encode(),
                limits=Limits(600),
                inherited=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        for path, content in files.items():
            if self.read(path, len(content.data)) != content.data:
                raise _not_changed(path)

    def _system(self) -> Ext4:
        size = os.fstat(self._descriptor).st_size
        return Ext4(lambda offset, count: os.pread(self._descriptor, count, offset), size)


def _write_all(descriptor: int, data: bytes) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])


def _above(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _not_changed(path: str) -> BadInput:
    return BadInput(
        "root-not-changed",
        ROOT,
        f"{path} can't be written into it: what is there has an odd name, kind or place, or there"
        " is no room.",
        "Give a larger --size; if that doesn't help, look at that path in the guest.",
        {"path": path},
    )
