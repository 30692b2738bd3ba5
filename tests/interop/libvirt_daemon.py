# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd with folders of its own, as a user's session daemon, for some tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

NOBODY = 65534
"""As root libvirtd would be the system's daemon: it gets a user who owns nothing."""
START_SECONDS = 60
EMULATOR = Path(__file__).with_name("libvirt_emulator.py")


class LibvirtDaemon:
    """libvirtd and virtlogd; a context manager that leaves no process and no file behind.

    ``folder`` is open to the daemon's user, ``emulator`` QEMU as its domains and its probe for
    capabilities find it, ``url`` the way to it.
    """

    def __init__(self, libvirtd: Path, virtlogd: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ww-virt-", dir="/tmp"))
        self.emulator = self.folder / "bin" / "qemu-system-x86_64"
        self.socket = self.folder / "run" / "libvirt" / "libvirt-sock"
        self._programs = (virtlogd, libvirtd)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._user: dict[str, object] = {}
        for name in ("bin", "run", "home"):
            (self.folder / name).mkdir(mode=0o755)
        text = EMULATOR.read_text(encoding="utf-8")
        self.emulator.write_text(f"#!/usr/bin/python3 -IB\n{text}", encoding="utf-8")
        self.emulator.chmod(0o755)
        self.folder.chmod(0o755)
        if os.getuid() == 0:
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)

    @property
    def uri(self) -> str:
        """libvirt's own."""
        return f"qemu+unix:///session?socket={self.socket}"

    def url(self, domain: str | None = None) -> str:
        """Watchword's."""
        return f"libvirt+{self.uri}" + ("" if domain is None else f"&domain={domain}")

    def start(self, *options: str | Path) -> None:
        """Start both, libvirtd with more options, and wait until it listens."""
        home = self.folder / "home"
        folders = {"XDG_RUNTIME_DIR": self.folder / "run", "HOME": home}
        folders |= {"XDG_CONFIG_HOME": home / "config", "XDG_CACHE_HOME": home / "cache"}
        folders |= {"XDG_DATA_HOME": home / "data", "TMPDIR": home}
        environment = {name: str(path) for name, path in folders.items()}
        environment |= {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C",
        }
        self.socket.unlink(missing_ok=True)
        for program in self._programs:
            name = program.name
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        # Where nobody ends them, they end by themselves.
                        [program, "--timeout", "60", *(options if name == "libvirtd" else ())],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        cwd=home,
                        env=environment,
                        start_new_session=True,
                        **self._user,  # type: ignore[call-overload]
                    )
                )
        deadline = time.monotonic() + START_SECONDS
        while not self.socket.exists():
            assert self._processes[-1].poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    @property
    def log(self) -> str:
        """What libvirtd said."""
        return (self.folder / "libvirtd.log").read_text(errors="replace")[-8000:]

    @property
    def pid(self) -> int:
        """libvirtd's."""
        return self._processes[-1].pid

    def kill(self) -> None:
        """End both at once; the domains go on."""
        for process in self._processes:
            process.kill()
            process.wait(10)
        self._processes.clear()

    def virsh(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """libvirt's own client, as its users call it."""
        return subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder / "home")},
        )

    def processes(self) -> list[int]:
        """All that was started with a path of this folder: daemons, QEMUs, probes."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if bytes(self.folder) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def __enter__(self) -> LibvirtDaemon:
        return self

    def __exit__(self, *problem: object) -> None:
        self.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)
