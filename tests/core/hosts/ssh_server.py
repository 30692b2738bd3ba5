# SPDX-License-Identifier: Apache-2.0
"""A real sshd on loopback with keys of its own, and a user who knows it, for one test."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from watchword.core.hosts.ssh_url import SshAddress

START_SECONDS = 60
# As root sshd wants /run/sshd: it gets a /run of its own, which ends with it.
PRIVATE_RUN = 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"'
# In a chroot or a container there may be no mounts of one's own; then sshd's folder is made.
IN_PRIVATE = (
    'if unshare --mount true 2>/dev/null; then exec unshare --mount sh -c "$0" sh "$@"; fi;'
    ' mkdir -p -m 755 /run/sshd && exec "$@"'
)


class SshServer:
    """``restart`` takes options for sshd_config; a context that leaves nothing behind.

    The user's ssh is found on the PATH: it is the real one, with a config and known hosts of
    this folder, since ssh looks for those where passwd says, whatever HOME is.
    """

    def __init__(self, sshd: Path, ssh: Path, **options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ww-sshd-", dir="/tmp"))
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self._sshd = sshd
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "user_key", "other_key"):
            make_key(self.folder / name)
        self.know(self.folder / "host_key")
        self.allow(self.folder / "user_key")
        (self.folder / "bin").mkdir()
        self.configure_client()
        shim = self.folder / "bin" / "ssh"
        shim.write_text(f'#!/bin/sh\nexec {ssh} -F {self.folder}/config "$@"\n')
        shim.chmod(0o755)
        self.start(**options)

    @property
    def path(self) -> str:
        """A PATH on which this user's ssh comes first."""
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def address(self, path: str | Path, **changes: object) -> SshAddress:
        return SshAddress("127.0.0.1", str(path), self.user, changes.pop("port", self.port))

    def know(self, key: Path | None) -> None:
        """Make a host key the known one; None forgets all."""
        line = "" if key is None else f"[127.0.0.1]:{self.port} {public(key)}\n"
        (self.folder / "known_hosts").write_text(line)

    def allow(self, key: Path) -> None:
        (self.folder / "authorized_keys").write_text(public(key) + "\n")

    def configure_client(self, *lines: str) -> None:
        folder = self.folder
        own = (
            f"IdentityFile {folder}/user_key",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {folder}/known_hosts",
            "GlobalKnownHostsFile none",
        )
        (folder / "config").write_text("\n".join((*lines, "Host *", *own)) + "\n")

    def start(self, **options: str) -> None:
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": str(self.port),
            "HostKey": f"{self.folder}/host_key",
            "AuthorizedKeysFile": f"{self.folder}/authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            **options,
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self.folder / "sshd_config").write_text(text)
        command = [str(self._sshd), "-D", "-e", "-f", f"{self.folder}/sshd_config"]
        if os.getuid() == 0:
            command = ["sh", "-c", IN_PRIVATE, PRIVATE_RUN, *command]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End sshd and every connection that it serves."""
        if self._process is None:
            return
        for pid in (*descendants(self._process.pid), self._process.pid):
            kill(pid)
        self._process.wait(10)
        self._process = None

    def restart(self, **options: str) -> None:
        self.stop()
        self.start(**options)

    def connections(self) -> list[int]:
        """The processes that serve somebody."""
        return descendants(self._process.pid) if self._process else []

    def signal_connections(self, number: int) -> None:
        for pid in self.connections():
            os.kill(pid, number)

    def __enter__(self) -> SshServer:
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    none = forms.NoEncryption()
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.OpenSSH, none)
    path.touch(0o600)
    path.write_bytes(private)
    openssh = forms.Encoding.OpenSSH
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(openssh, forms.PublicFormat.OpenSSH)
    )


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text()


def descendants(pid: int) -> list[int]:
    """The processes below one, the deepest first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [*descendants(int(child)), int(child)]
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
