# SPDX-License-Identifier: Apache-2.0
"""A relay in front of a daemon's socket, whose connections a test can cut while both ends live."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

Address = Path | tuple[str, int]


class Relay:
    """Passes bytes on between ``own`` and ``target``, paths or ports; a context manager."""

    def __init__(self, own: Address, target: Address) -> None:
        self._target = target
        self._listener = _made(own)
        self._listener.bind(_plain(own))
        self._listener.listen()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self) -> int:
        """Where it listens, of a port."""
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """End every connection; new ones are taken."""
        for one in tuple(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(self, *problem: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = _made(self._target)
                self._open |= {near, far}
                far.connect(_plain(self._target))
                for source, sink in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=_pump, args=(source, sink)))
                    self._threads[-1].start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def _made(address: Address) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET)


def _plain(address: Address) -> str | tuple[str, int]:
    return str(address) if isinstance(address, Path) else address
