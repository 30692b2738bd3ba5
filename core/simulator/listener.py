# SPDX-License-Identifier: Apache-2.0
"""Listening sockets for the simulated QEMU: UNIX paths and TCP addresses, both bounded and tidy."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from ..errors import BadInput

Address = Path | tuple[str, int]
"""A socket file, or host and port (0: any free port)."""

_LONGEST_PATH = 107
_BACKLOG = 8
_HIGHEST_PORT = 65535


def listen(address: Address) -> socket.socket:
    """A bound, listening, non-blocking socket.

    A socket file gets mode 0600; one that nobody listens on any more is replaced.
    Raises BadInput ``simulator-address`` where the address can't be used.
    """
    try:
        return _listen_tcp(*address) if isinstance(address, tuple) else _listen_unix(address)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise BadInput(
            "simulator-address",
            "the address",
            f"{describe(address)} can't be listened on: {reason}.",
            "Name a new socket file in a directory of yours, or a free port on loopback.",
        ) from None


def describe(address: Address) -> str:
    """The address as people write it."""
    if isinstance(address, Path):
        return str(address)
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen_tcp(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _HIGHEST_PORT:
        raise OSError(errno.EINVAL, f"ports go from 0 to {_HIGHEST_PORT}")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, target = found[0]
    server = socket.socket(family, kind, protocol)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(target)
        server.listen(_BACKLOG)
    except BaseException:
        server.close()
        raise
    server.setblocking(False)
    return server


def _listen_unix(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, f"socket paths go up to {_LONGEST_PATH} bytes")
    _remove_dead_socket(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_privately(server, path)
        server.listen(_BACKLOG)
    except BaseException:
        server.close()
        raise
    server.setblocking(False)
    return server


def _bind_privately(server: socket.socket, path: Path) -> None:
    # No umask: it belongs to the whole process, and two threads that each change it and set it
    # back can leave it changed for good. Linux gives the file the mode of its socket.
    with contextlib.suppress(OSError):
        os.fchmod(server.fileno(), 0o600)
    server.bind(os.fspath(path))
    path.chmod(0o600)


def _remove_dead_socket(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(os.fspath(path)) == errno.ECONNREFUSED:
            path.unlink(missing_ok=True)
