# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the guest's bytes of a qcow2 through qemu-nbd, on a private socket.

Source: NBD protocol, doc/proto.md (fixed newstyle handshake, simple replies).
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..hosts.host_words import visible
from .image_errors import IMAGE, in_use, too_short
from .programs import find_program

LARGEST_REQUEST: Final = 1 << 20
_SECONDS: Final = 30.0
_START_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.01
_GREETING: Final = struct.Struct(">8s8sH")
_EXPORT: Final = struct.Struct(">QH")
_REQUEST: Final = struct.Struct(">IHHQQI")
_REPLY: Final = struct.Struct(">IIQ")
_REQUEST_MAGIC: Final = 0x25609513
_REPLY_MAGIC: Final = 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_NO_ZEROES: Final = 2


class NbdDisk:
    """An open export; what has been written is on the disk after :meth:`flush`.

    The methods raise BadInput ``image-unreadable`` where qemu-nbd fails.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._handle = 0
        magic, option, flags = _GREETING.unpack(self._receive(_GREETING.size))
        if magic != b"NBDMAGIC" or option != b"IHAVEOPT":
            raise _failed("it speaks another protocol")
        quiet = flags & _NO_ZEROES
        self._send(struct.pack(">I8sII", 1 | quiet, b"IHAVEOPT", 1, 0))
        self.size, _ = _EXPORT.unpack(self._receive(_EXPORT.size))
        if not quiet:
            self._receive(124)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes at an offset, all of them. Raises BadInput ``image-too-short`` too."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise too_short()
        data = bytearray()
        while len(data) < size:
            count = min(size - len(data), LARGEST_REQUEST)
            self._request(_READ, offset + len(data), count)
            data += self._receive(count)
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it. Raises BadInput ``image-too-short`` too."""
        if offset < 0 or offset + len(data) > self.size:
            raise too_short()
        for start in range(0, len(data), LARGEST_REQUEST):
            piece = data[start : start + LARGEST_REQUEST]
            self._request(_WRITE, offset + start, len(piece), piece)

    def flush(self) -> None:
        """Bring to the disk what was written."""
        self._request(_FLUSH, 0, 0)

    def close(self) -> None:
        """Take leave; qemu-nbd ends then."""
        with contextlib.suppress(OSError):
            self._connection.sendall(_REQUEST.pack(_REQUEST_MAGIC, 0, _DISCONNECT, 0, 0, 0))
        self._connection.close()

    def _request(self, kind: int, offset: int, count: int, data: bytes = b"") -> None:
        self._handle += 1
        self._send(_REQUEST.pack(_REQUEST_MAGIC, 0, kind, self._handle, offset, count) + data)
        magic, error, handle = _REPLY.unpack(self._receive(_REPLY.size))
        if magic != _REPLY_MAGIC or handle != self._handle:
            raise _failed("its answers are out of order")
        if error:
            raise _failed(os.strerror(error) if error < 200 else "an unknown fault")

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            raise _failed("it has ended") from None

    def _receive(self, size: int) -> bytes:
        data = bytearray(size)
        done = 0
        with memoryview(data) as view:
            while done < size:
                try:
                    count = self._connection.recv_into(view[done:])
                except OSError:
                    count = 0
                if not count:
                    raise _failed("it has ended, or takes too long")
                done += count
        return bytes(data)


@contextlib.contextmanager
def opened_qcow2(path: Path, descriptor: int, *, writable: bool) -> Iterator[NbdDisk]:
    """The guest's disk in a qcow2 file that names no other files; see Qcow2Header.

    ``descriptor`` is the file, open: by then its name may be another's. To be written it is
    locked against every other program, as QEMU does. Raises BadInput ``image-in-use``,
    ``image-unreadable``, ``program-missing``.
    """
    with tempfile.TemporaryDirectory(prefix="watchword-") as folder:
        place = Path(folder) / "nbd"
        process = _start(descriptor, place, writable=writable)
        try:
            connection = _connect(process, place, path)
            try:
                disk = NbdDisk(connection)
                yield disk
                disk.close()
            finally:
                connection.close()
                # What it has in memory goes to the file, also where something went wrong here.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_SECONDS)
        finally:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


def _start(descriptor: int, place: Path, *, writable: bool) -> subprocess.Popen[bytes]:
    options = f"driver=qcow2,file.driver=file,file.filename=/dev/fd/{descriptor}"
    words = ["--socket", str(place), "--shared", "1", "--cache", "writeback", "--image-opts"]
    if not writable:
        words.insert(0, "--read-only")
        options += ",read-only=on,force-share=on"
    return subprocess.Popen(
        [find_program("qemu-nbd"), *words, options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        pass_fds=(descriptor,),
        start_new_session=True,
    )


def _connect(process: subprocess.Popen[bytes], place: Path, path: Path) -> socket.socket:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SECONDS)
        try:
            connection.connect(str(place))
        except OSError:
            connection.close()
        else:
            return connection
        if process.poll() is not None:
            said = process.stderr.read(4096).decode("utf-8", "replace") if process.stderr else ""
            if "lock" in said:
                raise in_use(str(path))
            raise _failed(visible(said.strip().replace("\n", "; "), 400))
        time.sleep(_POLL_SECONDS)
    raise _failed("it does not begin")


def _failed(what: str) -> BadInput:
    return BadInput(
        "image-unreadable",
        IMAGE,
        f"qemu-nbd, which reads qcow2 images, failed: {what}.",
        "Check the image with `qemu-img check`; convert it to raw if that finds nothing.",
    )
