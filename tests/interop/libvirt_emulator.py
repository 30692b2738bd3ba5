# SPDX-License-Identifier: Apache-2.0
"""The emulator of libvirt's domains in tests: has the test prepare each QEMU, and becomes it.

It is copied beside the test's socket and runs as the daemon's user, with Debian's Python and
nothing but the standard library. See libvirt_machine.py for the other end.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path

REAL = "/usr/bin/qemu-system-x86_64"
_SECONDS = 60


def main(words: list[str]) -> None:
    """Become QEMU, started as the test says; ends with its words where it says no."""
    listener = _monitor(words)
    if listener is None:
        os.execv(REAL, [REAL, *words])
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_SECONDS)
        line.connect(str(Path(__file__).parent / "machine.sock"))
        socket.send_fds(line, [b"."], [listener.fileno()])
        line.sendall(json.dumps(words).encode())
        line.shutdown(socket.SHUT_WR)
        _, descriptors, _, _ = socket.recv_fds(line, 1, 8)
        answer = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
    listener.close()
    if "refused" in answer:
        sys.exit("\n".join(answer["refused"]))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    given = [
        re.sub(r"@([0-9])@", lambda m: str(descriptors[int(m[1])]), w) for w in answer["words"]
    ]
    os.execv(REAL, [REAL, *given])


def _monitor(words: list[str]) -> socket.socket | None:
    """The socket on which libvirt looks for the monitor; None where it wants none."""
    for word in words:
        if found := re.match(r"socket,id=charmonitor,fd=([0-9]+)", word):
            return socket.socket(fileno=int(found[1]))
        if found := re.match(r"unix:([^,]+),server=on", word):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(found[1])
            listener.listen(1)
            return listener
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
