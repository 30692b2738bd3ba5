# SPDX-License-Identifier: Apache-2.0
"""The exchange folder: reads a turn's files without trusting any, writes turns that go out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import BadInput, HostError
from ..files import PathLike, make_folder, read_file, write_file
from . import exchange_errors as errors
from .exchange_checksums import checksum_lines, is_passed_over, verify_checksums
from .exchange_turns import (
    CHECKSUM_FILE,
    LAUNCH_FILE,
    LAUNCH_KEY,
    README_FILE,
    Turn,
    check_launch_id,
)
from .host_words import visible
from .limits import BYTES_PER_COMMAND, MESSAGE_BYTES
from .urls import ExchangeAddress

FILES_MAX: Final = 64
"""Files of one turn. An honest one has a dozen."""
ENTRIES_MAX: Final = 256
"""Entries of a folder that are looked at, hidden ones included."""
NAME_CHARACTERS: Final = 100
"""The longest name of a file in a turn."""
_LAUNCH_BYTES: Final = 4096
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FIELD: Final = "a file of the exchange"


class ExchangeFolder:
    """One folder for one launch. Nothing is kept in memory: each call looks at the disk.

    Everything in it may have been put there by the host: no link in it is followed, sizes
    and numbers are bounded, and names that can't be shown are refused.
    """

    def __init__(self, address: ExchangeAddress, launch_id: str) -> None:
        """Raises UsageError ``bad-launch-id``."""
        self.root = address.path
        self.launch_id = check_launch_id(launch_id)

    def path(self, turn: Turn) -> str:
        """The folder of a turn."""
        return f"{self.root}/{turn.folder}"

    # -- reading -------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is anything where the folder should be."""
        return os.path.lexists(self.root)

    def holds(self, turn: Turn) -> bool:
        """Whether there is a folder for the turn (or anything else under its name)."""
        return os.path.lexists(self.path(turn))

    def read(self, turn: Turn) -> dict[str, bytes]:
        """Paths and contents of a turn's files, in order; none if it has no folder.

        LAUNCH, SHA256SUMS and README.txt are not among them: those were looked at already.
        Raises as :meth:`read_with_texts` does.
        """
        files = self.read_with_texts(turn)
        for name in (LAUNCH_FILE, CHECKSUM_FILE, README_FILE):
            files.pop(name, None)
        return {f"{self.path(turn)}/{name}": content for name, content in files.items()}

    def read_with_texts(self, turn: Turn) -> dict[str, bytes]:
        """Names and contents of all that a turn's folder holds.

        Raises VerificationRefused ``reply-of-another-launch``, and HostError
        ``exchange-folder-missing``, ``exchange-odd-file``, ``exchange-too-much``,
        ``exchange-file-unreadable``, ``exchange-copying-error`` or
        ``exchange-reply-unusable``.
        """
        with self._open_root() as root:
            if root is None:
                raise errors.folder_missing(self.root)
            self._check_root(root)
            found = self._read_all(root, turn)
        if found is None:
            return {}
        self._check_launch(self.path(turn), found)
        if CHECKSUM_FILE in found:
            verify_checksums(self.path(turn), found[CHECKSUM_FILE], found)
        return found

    def _check_root(self, root: int) -> None:
        """A folder that another launch claimed holds that launch's answers."""
        theirs = self._claimed_by(root)
        if theirs is not None and theirs != self.launch_id:
            where = f"{self.root}/{LAUNCH_FILE}"
            raise errors.reply_of_another_launch(self.launch_id, theirs, where)

    def _check_launch(self, folder: str, files: Mapping[str, bytes]) -> None:
        if LAUNCH_FILE in files:
            where = f"{folder}/{LAUNCH_FILE}"
            theirs = _launch_named(files[LAUNCH_FILE], where)
            if theirs != self.launch_id:
                raise errors.reply_of_another_launch(self.launch_id, theirs, where)

    def _claimed_by(self, root: int) -> str | None:
        """The launch that the root's LAUNCH file names, None if there is no such file."""
        where = f"{self.root}/{LAUNCH_FILE}"
        try:
            status = os.stat(LAUNCH_FILE, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise _broken(where, fault) from None
        _refuse_odd(where, status.st_mode)
        return _launch_named(_read_inside(root, where, _LAUNCH_BYTES), where)

    def _read_all(self, root: int, turn: Turn) -> dict[str, bytes] | None:
        """Every visible file of a turn, None if there is no folder."""
        path = self.path(turn)
        with _open_folder(turn.folder, path, root) as folder:
            return None if folder is None else _files_in(folder, path)

    # -- writing -------------------------------------------------------------------

    def write(self, turn: Turn, files: Mapping[str, bytes], essential: Collection[str]) -> None:
        """Write a turn that goes out: LAUNCH first, SHA256SUMS last.

        A turn that is there already is completed. ``essential`` names the files whose
        content a launch never changes: where one of them, and not only a text, is other
        than what is to be written, nothing is touched.
        Raises UsageError ``exchange-folder-taken``, and HostError
        ``exchange-turn-differs``, ``exchange-folder-missing``, ``exchange-not-written``
        or what :meth:`read` raises.
        """
        path = self.path(turn)
        with self._claimed_turn(turn) as (folder, known):
            for name in known.keys() & set(essential):
                if name not in files or known[name] != files[name]:
                    raise errors.turn_differs(f"{path}/{name}", self.launch_id)
            whole = {LAUNCH_FILE: self._launch_lines(turn), **files}
            whole[CHECKSUM_FILE] = checksum_lines(whole)
            for name, content in whole.items():
                if known.get(name) != content:
                    _write(f"{path}/{name}", content, folder)

    def offer(self, turn: Turn, files: Mapping[str, bytes]) -> None:
        """Make the folder that the operator fills; what is in it already stays as it is."""
        with self._claimed_turn(turn) as (folder, known):
            for name, content in {LAUNCH_FILE: self._launch_lines(turn), **files}.items():
                if name not in known:
                    _write(f"{self.path(turn)}/{name}", content, folder)

    def add(self, turn: Turn, name: str, content: bytes) -> str:
        """Write one more file of an answer; its path. The name is ours, and new."""
        path = f"{self.path(turn)}/{name}"
        with self._claimed_turn(turn) as (folder, _):
            _write(path, content, folder)
        return path

    def claim(self) -> None:
        """Make the folder, and make it this launch's.

        Raises UsageError ``exchange-folder-taken``, HostError ``exchange-folder-missing``
        or ``exchange-not-written``.
        """
        with self._claimed():
            pass

    @contextmanager
    def _claimed(self) -> Iterator[int]:
        """The descriptor of the folder, which is this launch's; raises as :meth:`claim`."""
        parent = Path(self.root).parent
        if not self.exists() and not os.access(parent, os.F_OK):
            # Made with all its parents, it would come to lie beside a stick that is not in.
            raise errors.folder_missing(str(parent))
        _make(self.root)
        with self._open_root() as root:
            if root is None:
                raise errors.folder_missing(self.root)
            theirs = self._claimed_by(root)
            if theirs is None:
                _write(f"{self.root}/{LAUNCH_FILE}", self._launch_lines(), root)
            elif theirs != self.launch_id:
                raise errors.folder_taken(self.root, self.launch_id, theirs)
            yield root

    @contextmanager
    def _claimed_turn(self, turn: Turn) -> Iterator[tuple[int, dict[str, bytes]]]:
        """A turn's folder, made if there is none, as this launch's; what it holds so far.

        Whoever has the share mounted may put a link in its place at any time: what is
        written goes into the folder that was opened and looked at.
        """
        path = self.path(turn)
        with self._claimed() as root:
            _make(path, root)
            with _open_folder(turn.folder, path, root) as folder:
                if folder is None:
                    raise errors.folder_missing(path)
                known = _files_in(folder, path)
                if LAUNCH_FILE in known:
                    named = _launch_named(known[LAUNCH_FILE], f"{path}/{LAUNCH_FILE}")
                    if named != self.launch_id:
                        raise errors.folder_taken(path, self.launch_id, named)
                yield folder, known

    def _launch_lines(self, turn: Turn | None = None) -> bytes:
        lines = f"{LAUNCH_KEY}: {self.launch_id}\n"
        return (lines + (f"turn: {int(turn)}\n" if turn else "")).encode()

    @contextmanager
    def _open_root(self) -> Iterator[int | None]:
        # Links on the way to the folder are the owner's own; those inside are not.
        with _open_folder(self.root, self.root, None) as descriptor:
            yield descriptor


def _make(path: str, folder: int | None = None) -> None:
    try:
        make_folder(path, "the exchange folder", folder)
    except BadInput as error:
        raise errors.not_written(error) from None


def _write(path: str, content: bytes, folder: int) -> None:
    try:
        write_file(path, content, field="the exchange folder", folder=folder)
    except BadInput as error:
        raise errors.not_written(error) from None


@contextmanager
def _open_folder(name: str, path: str, parent: int | None) -> Iterator[int | None]:
    """A folder's descriptor, None if there is none; inside ``parent`` no link is followed."""
    flags = _FOLDER_FLAGS | (os.O_NOFOLLOW if parent is not None else 0)
    try:
        descriptor = os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        yield None
        return
    except OSError as fault:
        raise _no_folder(name, path, parent, fault) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _no_folder(name: str, path: str, parent: int | None, fault: OSError) -> HostError:
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=parent is None).st_mode
    except OSError:
        mode = stat.S_IFDIR
    return _broken(path, fault) if stat.S_ISDIR(mode) else errors.odd_entry(path, _kind(mode))


def _files_in(folder: int, path: str) -> dict[str, bytes]:
    """Every visible file of an open folder."""
    files: dict[str, bytes] = {}
    total = 0
    for name in _names(folder, path):
        files[name] = _read_inside(folder, f"{path}/{name}", MESSAGE_BYTES)
        total += len(files[name])
        if total > BYTES_PER_COMMAND:
            raise errors.too_much(path, f"{BYTES_PER_COMMAND} bytes")
    return files


def _names(folder: int, path: str) -> list[str]:
    """The names of the regular files, in order; hidden files and editors' copies left out."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries, 1):
                if number > ENTRIES_MAX:
                    raise errors.too_much(path, f"{ENTRIES_MAX} entries")
                if not is_passed_over(entry.name):
                    _check_entry(entry, path)
                    names.append(entry.name)
    except OSError as fault:
        raise _broken(path, fault) from None
    if len(names) > FILES_MAX:
        raise errors.too_much(path, f"{FILES_MAX} files")
    return sorted(names)


def _check_entry(entry: os.DirEntry[str], path: str) -> None:
    if not entry.name.isprintable() or len(entry.name) > NAME_CHARACTERS:
        shown = f"{path}/{visible(entry.name, NAME_CHARACTERS)}"
        raise errors.unusable(shown, "Its name can't be shown, or is too long.", "Rename it.")
    _refuse_odd(f"{path}/{entry.name}", entry.stat(follow_symlinks=False).st_mode)


def _broken(path: str, fault: OSError) -> HostError:
    words = os.strerror(fault.errno or 0)
    return errors.unusable(path, f"It can't be opened: the system says “{words}”.")


def _refuse_odd(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise errors.odd_entry(path, _kind(mode))


def _read_inside(folder: int, path: str, limit: int) -> bytes:
    """A regular file's bytes, looked up in the open folder and nowhere else."""
    try:
        return read_file(path, _FIELD, limit, opener=_opener(folder))
    except BadInput as error:
        raise errors.unreadable(error) from None


def _opener(folder: int) -> Callable[[PathLike, int], int]:
    """Opens the last part of a path in ``folder``; never through a link."""

    def open_inside(path: PathLike, flags: int) -> int:
        return os.open(Path(path).name, flags | os.O_NOFOLLOW, dir_fd=folder)

    return open_inside


def _launch_named(content: bytes, where: str) -> str:
    """The id in a LAUNCH file."""
    for line in content.decode("utf-8", "replace").splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == LAUNCH_KEY and value.strip():
            return value.strip()
    raise errors.unusable(where, f"It has no line “{LAUNCH_KEY}: …”.", "Leave this file out.")


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a file"
