# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the tests' own: on a unix socket alone, killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "postgresql"
_USER = "nobody"
"""PostgreSQL refuses to run as root."""
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "unix_socket_permissions": "0777",
}


def postgres_programs() -> Path | None:
    """The folder of initdb and postgres, which Debian keeps off the PATH; None without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    return None if path is None else Path(path).parent


class Cluster:
    """A cluster in a temporary folder of its own, as a context; databases are made on demand.

    ``lasting``: commits wait for the disk, so that a crash of the machine would lose none;
    ``kill -9`` of PostgreSQL loses none either way.
    """

    def __init__(self, programs: Path, *, lasting: bool = False):
        self._programs = programs
        self._lasting = lasting
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self):
        # Sockets have short paths, and pytest's folders are closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="ww-pg-"))
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, _USER)
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *problem):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql:///{database}?host={quote(str(self.folder), safe='')}&user=postgres"

    def database(self) -> str:
        """The URL of a new, empty database."""
        if self._process is None or self._process.poll() is not None:
            self.start()  # a test that failed has left it so
        self._databases += 1
        name = f"test{self._databases}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    def psql(self, statement: str, url: str | None = None) -> str:
        """What a statement gives, as psql prints it unadorned."""
        return self._run("psql", "-X", "-At", "-c", statement, url or self.url())

    def dump(self, url: str) -> str:
        """The whole database as text."""
        return self._run("pg_dump", "--inserts", url)

    def files(self) -> bytes:
        """All that PostgreSQL has on the disk, its log of changes too."""
        self.psql("CHECKPOINT")
        parts = []
        for path in sorted(self.data.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    parts.append(path.read_bytes())
        return b"".join(parts)

    def start(self) -> None:
        """Start it, and return when it answers."""
        settings = {**_SETTINGS, "unix_socket_directories": str(self.folder)}
        if not self._lasting:
            settings.update(fsync="off", synchronous_commit="on", full_page_writes="off")
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self._as_user(), str(self._programs / "postgres"), "-D", str(self.data), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.psql("SELECT 1")
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer")

    def kill(self) -> None:
        """``kill -9`` of all its processes at once."""
        assert self._process is not None
        children = self._children()
        for pid in (self._process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        # One that still dies holds the shared memory, and the next PostgreSQL would not start.
        deadline = time.monotonic() + 20
        while any(map(_runs, children)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it in order, or else kill it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGINT)  # a fast shutdown
        try:
            self._process.wait(20)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        try:
            return [
                int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            ]
        except FileNotFoundError:
            return []

    def _as_user(self) -> list[str]:
        if os.getuid() != 0:
            return []
        group = "nogroup"
        return ["setpriv", f"--reuid={_USER}", f"--regid={group}", "--clear-groups", "--"]

    def _run(self, name: str, *words: object) -> str:
        done = subprocess.run(
            [*self._as_user(), str(self._programs / name), *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=120,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
        )
        return done.stdout.decode()


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has reaped yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
