# SPDX-License-Identifier: Apache-2.0
"""Listening sockets of the service: socket files for those who may ask, and loopback addresses."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..errors import BadInput

LONGEST_PATH: Final = 107
"""Bytes of a socket file's path."""
_BACKLOG: Final = 64


class Listening:
    """A listening, non-blocking socket; the file that it made goes when it is closed.

    ``socket``  to be given to ``asyncio.start_server(sock=…)`` or ``start_unix_server``
    """

    def __init__(self, listening: socket.socket, path: Path | None = None) -> None:
        self.socket = listening
        self._path = path
        self._made = None if path is None else _identity(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it, and remove the file if it is still the one that was made."""
        self.socket.close()
        if self._path is not None and _identity(self._path) == self._made:
            self._path.unlink(missing_ok=True)
        self._path = None


def listen_on_file(path: Path, field: str, *, group: int | None = None) -> Listening:
    """Listen on a socket file, 0600, or 0660 for a group; a file nobody listens on is replaced.

    Raises BadInput ``cannot-listen``; ``field`` is for that.
    """
    try:
        return _on_file(path, group)
    except (OSError, ValueError) as fault:
        raise _cannot_listen(str(path), field, fault) from None


def listen_on_loopback(host: str, port: int, field: str) -> Listening:
    """Listen on an address of this machine that no other reaches; port 0 for any free one.

    ``host``  a literal IPv4 or IPv6 address. Raises BadInput ``cannot-listen``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen(_BACKLOG)
    except OSError as fault:
        server.close()
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise _cannot_listen(shown, field, fault) from None
    server.setblocking(False)
    return Listening(server)


def _on_file(path: Path, group: int | None) -> Listening:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, f"the path of a socket has {LONGEST_PATH} bytes at most")
    _remove_dead_socket(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # The umask belongs to all threads: Linux gives the file the mode of its socket.
        os.fchmod(server.fileno(), 0o600)
        server.bind(os.fspath(path))
        path.chmod(0o600)
        listening = Listening(server, path)
        if group is not None:
            os.chown(path, -1, group, follow_symlinks=False)
            path.chmod(0o660)
        server.listen(_BACKLOG)
    except BaseException:
        server.close()
        raise
    server.setblocking(False)
    return listening


def _remove_dead_socket(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return  # bind refuses it
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        if probe.connect_ex(os.fspath(path)) == errno.ECONNREFUSED:
            path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = path.lstat()
        return status.st_dev, status.st_ino
    return None


def _cannot_listen(shown: str, field: str, fault: OSError | ValueError) -> BadInput:
    why = "no file can have this name"
    taken = False
    if isinstance(fault, OSError):
        taken = fault.errno == errno.EADDRINUSE
        why = fault.strerror or "the system refuses it"
    return BadInput(
        "cannot-listen",
        field,
        f"{shown} can't be listened on: {'it is in use' if taken else why}.",
        "See whether another `watchword --watch` runs with these settings, or name another."
        if taken
        else "Name a new socket file in a folder of yours, or a free port.",
        {"address": shown},
    )
