# SPDX-License-Identifier: Apache-2.0
"""Writes files whole or not at all, and makes folders, for their owner alone."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from .errors import BadInput

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]

_CREATE_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_WRITE_FAULTS: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("its folder does not exist", "Make the folder first, or name another one."),
    errno.ENOTDIR: ("part of the path is no folder", "Check the path."),
    errno.EACCES: ("you have no permission to write there", "Name a folder that you may write to."),
    errno.EROFS: ("the file system is read-only", "Name a folder that you may write to."),
    errno.ENOSPC: ("the file system is full", "Make room, or name another folder."),
    errno.EDQUOT: ("your disk quota is used up", "Make room, or name another folder."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
}
_WRITE_FAULTS[errno.EPERM] = _WRITE_FAULTS[errno.EACCES]


def write_file(
    path: PathLike,
    data: bytes | bytearray | memoryview,
    mode: int = 0o600,
    *,
    field: str = "the output file",
    folder: int | None = None,
) -> None:
    """Write a file whole or not at all, readable by its owner alone unless ``mode`` says more.

    A new file beside the target is filled, brought to disk and renamed over it; on
    any fault nothing is left. A target that exists must be a regular file: links,
    folders, pipes and devices are refused. With the descriptor of an open ``folder`` the file
    comes to lie there under the last part of ``path``, wherever that leads by now. Raises
    BadInput ``file-not-written``.
    """
    from pathlib import Path  # noqa: PLC0415 - commands that only read do without

    target = Path(path)
    try:
        replaces = _regular_target(target, field, folder)
        place = target if folder is None else Path(target.name)
        _write_and_rename(place, data, mode, folder, replaces=replaces)
    except (OSError, ValueError) as fault:
        raise _unwritable(path, field, fault) from None


def _write_and_rename(
    target: Path,
    data: bytes | bytearray | memoryview,
    mode: int,
    folder: int | None,
    *,
    replaces: bool,
) -> None:
    temporary = target.with_name(f".{os.urandom(8).hex()}.tmp")
    # Always created for the owner alone: nobody may open it before it has its mode.
    descriptor = os.open(temporary, _CREATE_FLAGS, 0o600, dir_fd=folder)
    leftover: Path | None = temporary
    try:
        try:
            if mode != 0o600:
                os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target, src_dir_fd=folder, dst_dir_fd=folder)
        # A file that replaced another is not removed any more: both would be lost.
        leftover = None if replaces else target
        _sync_folder(target.parent, folder)
        leftover = None
    finally:
        if leftover is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover, dir_fd=folder)


def _write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    with memoryview(data) as whole:
        done = 0
        while done < len(whole):
            done += os.write(descriptor, whole[done:])


def _sync_folder(parent: Path, folder: int | None) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # no such thing as syncing a folder there
        return
    where = parent if folder is None else "."
    descriptor = os.open(where, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        os.fsync(descriptor)
    except OSError as fault:
        # Some file systems can't sync a folder; that is not a failure to write.
        if fault.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _regular_target(target: Path, field: str, folder: int | None) -> bool:
    """Whether a file is to be replaced; BadInput ``file-not-written`` for anything else."""
    place = target if folder is None else target.name
    try:
        status = os.stat(place, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(
            "file-not-written",
            field,
            f"{shown_path(target)} exists already and is {kind_of_file(status.st_mode)}.",
            "Name a new file, or a regular file that may be replaced.",
            {"path": shown_path(target)},
        )
    return True


def make_folder(path: PathLike, field: str, folder: int | None = None) -> None:
    """Make a folder for its owner alone (mode 0700) where there is none yet.

    With the descriptor of an open ``folder`` it comes to lie there, under the last part of
    ``path``; whatever has that name already is left to whoever opens it. Raises BadInput
    ``bad-folder`` if it can't be made, or something else has its name.
    """
    try:
        if folder is None:
            os.makedirs(path, 0o700, exist_ok=True)  # noqa: PTH103 - without importing pathlib
        else:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.basename(path), 0o700, dir_fd=folder)  # noqa: PTH119
    except (OSError, ValueError):
        raise BadInput(
            "bad-folder",
            field,
            f"{shown_path(path)} is no folder, and can't be made one.",
            "Name a folder that you may write to.",
        ) from None


def _unwritable(path: PathLike, field: str, fault: OSError | ValueError) -> BadInput:
    number = fault.errno if isinstance(fault, OSError) else errno.ENOENT
    why, remedy = _WRITE_FAULTS.get(
        number or 0, (system_says(number), "Check the disk, or name another folder.")
    )
    return BadInput(
        "file-not-written",
        field,
        f"{shown_path(path)} can't be written: {why}.",
        remedy,
        {"path": shown_path(path)},
    )


def system_says(number: int | None) -> str:
    """The system's words for an error number."""
    return f"the system says “{os.strerror(number or 0)}”"


def kind_of_file(mode: int) -> str:
    """What a file that is not a regular one is called."""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def shown_path(path: PathLike) -> str:
    """A path as it may be shown: control characters and undecodable bytes escaped."""
    text = os.fspath(path)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) or "An empty path"
