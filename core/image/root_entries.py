# SPDX-License-Identifier: Apache-2.0
"""What a root file system consists of, whatever it is read from; hostile names end here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from ..errors import BadInput
from ..hosts.host_words import visible

ROOT: Final = "the root file system"
MOST_ENTRIES: Final = 4_000_000
LONGEST_PATH: Final = 4095
LONGEST_PART: Final = 255
LARGEST_FILE: Final = 1 << 43

Path = tuple[bytes, ...]
"""The parts of a path below the root; the root itself is empty."""


class Kind(Enum):
    """What an entry is; the value is the type in an inode's mode."""

    FOLDER = 0o040000
    FILE = 0o100000
    LINK = 0o120000
    FIFO = 0o010000
    SOCKET = 0o140000
    CHARACTER = 0o020000
    BLOCK = 0o060000
    HARD_LINK = 0


@dataclass(frozen=True, slots=True)
class RootEntry:
    """One file, folder, link or device of a root file system.

    ``mode``     permission bits, 0 to 0o7777
    ``changed``  seconds since 1970
    ``size``     bytes of a regular file
    ``stored``   how many of them are no holes, None where nobody knows
    ``target``   where a symbolic link leads, or the path of a hard link's file
    ``device``   major and minor number
    ``xattrs``   extended attributes by their full names
    """

    path: Path
    kind: Kind
    mode: int
    uid: int
    gid: int
    changed: int
    size: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    stored: int | None = None


class RootSource(Protocol):
    """Where a root file system comes from."""

    def entries(self) -> Iterable[tuple[RootEntry, Iterable[tuple[int, bytes]]]]:
        """Every entry with its content, as pieces of at most 1 MiB and their offsets.

        The pieces are taken before the next entry is asked for; what no piece covers is
        zeros. May be called more than once. Raises BadInput ``root-unreadable``,
        ``root-unsafe``, ``root-too-large``.
        """


def safe_path(name: bytes) -> Path:
    """The path that a name stands for, taken from the image's root.

    Leading slashes and single dots count for nothing, as tar has it. Raises BadInput
    ``root-unsafe`` for names that climb by ``..``, or that no Linux can have.
    """
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts:
        raise unsafe(name, "it climbs out of the root by “..”")
    if len(name) > LONGEST_PATH or any(len(part) > LONGEST_PART for part in parts):
        raise unsafe(name, "it is longer than a name can be")
    if b"\0" in name:
        raise unsafe(name, "it holds a zero byte")
    return parts


def shown(path: Path | bytes) -> str:
    """A path as it may be shown."""
    name = path if isinstance(path, bytes) else b"/" + b"/".join(path)
    return visible(name.decode("utf-8", "replace"), 200)


def unsafe(name: Path | bytes, why: str) -> BadInput:
    """BadInput ``root-unsafe``: what no honest tool writes."""
    return BadInput(
        "root-unsafe",
        ROOT,
        f"“{shown(name)}” is refused: {why}.",
        "Make the archive anew from the root that you trust; nothing was built.",
        {"name": shown(name)},
    )


def unreadable(why: str, remedy: str = "") -> BadInput:
    """BadInput ``root-unreadable``."""
    return BadInput(
        "root-unreadable",
        ROOT,
        f"It can't be read: {why}.",
        remedy or "Check where it comes from, and make it anew.",
    )


def too_large(what: str) -> BadInput:
    """BadInput ``root-too-large``."""
    return BadInput(
        "root-too-large",
        ROOT,
        f"It has {what}.",
        "It is most likely damaged, or made to do harm: take it from where you trust it.",
    )


def too_small(size: int) -> BadInput:
    """BadInput ``image-too-small``."""
    return BadInput(
        "image-too-small",
        "--size",
        f"The root file system does not fit into the {size >> 20} MiB that the encrypted"
        " partition would have.",
        "Give a larger --size, or leave it out: the image gets a size that fits then.",
    )
