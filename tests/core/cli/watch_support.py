# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``--watch`` share: the service as a real process, those who ask, and VMs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from watchword.core.simulator import StartOrder, attack_named

from .batch_support import DRIVER
from .support import HostThread

SECONDS = 40
LIMITS = {"instances_at_most": 3}


class Service:
    """``watchword --watch`` as a service manager starts it; an event is waited for at most 40 s."""

    def __init__(self, platform, folder, *words, **environment):
        self.notified = queue.Queue()
        self.events = []
        self._lines = queue.Queue()
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = folder / f"notify-{len(list(folder.iterdir()))}"
        self._manager.bind(str(address))
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(platform), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(address),
                "WATCHDOG_USEC": "400000",
                **environment,
            },
        )
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._hear, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.process.kill()
        self.process.wait()
        self._manager.shutdown(socket.SHUT_RD)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        self._manager.close()
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _hear(self):
        while data := self._manager.recv(4096):
            self.notified.put(data.decode())

    def wait_for(self, kind, **fields):
        """The next event of this kind with these fields; those before it are kept."""
        end = time.monotonic() + SECONDS
        while True:
            event = self._lines.get(timeout=max(0.1, end - time.monotonic()))
            assert event is not None, self.process.stderr.read().decode()
            self.events.append(event)
            wanted = {"event": kind, **fields}
            if {key: event.get(key) for key in wanted} == wanted:
                return event

    def wait_for_word(self, word):
        """The next message to systemd that begins so; its lines."""
        end = time.monotonic() + SECONDS
        while True:
            said = self.notified.get(timeout=max(0.1, end - time.monotonic()))
            if said.startswith(word):
                return said.split("\n")

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Stop it in order; its status and what it said on stderr."""
        self.signal(signal.SIGTERM)
        status = self.process.wait(SECONDS)
        self._threads[0].join(20)
        while (event := self._lines.get(timeout=20)) is not None:
            self.events.append(event)
        return status, self.process.stderr.read().decode()


class Watched:
    """A home with guest web, and a folder with settings, in which all sockets are."""

    def __init__(self, folder, home, platform):
        self.folder, self.home, self.platform = folder, home, platform
        (folder / "requests").mkdir()
        shutil.copyfile(platform / "full_chain.cert", folder / "chain.cert")
        self.settings = folder / "watch.toml"
        self.write()

    def write(self, more="", guests='["web"]'):
        self.settings.write_text(
            f'guests = {guests}\napprovals = "approvals"\nmetrics = "unix:metrics.sock"\n{more}\n'
            f'[[hosts]]\nurl = "qmp+unix://{self.folder}/*.qmp"\ncertificates = "chain.cert"\n'
            '[folder]\npath = "requests"\n[socket]\npath = "ask.sock"\n'
        )

    def words(self, *words):
        return ("--watch", self.settings, "--passphrase-file", self.home.passphrase, *words)

    def service(self, *words):
        return Service(self.platform, self.folder, *self.words(*words))

    def url(self, name):
        return f"qmp+unix://{self.folder}/{name}.qmp"

    def send(self, message):
        """What is answered to a line on the socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS)
            client.connect(str(self.folder / "ask.sock"))
            client.sendall(json.dumps(message).encode() + b"\n")
            with client.makefile("rb") as reader:
                return json.loads(reader.readline())

    def ask(self, name, guest="web"):
        """A request for a blob by the socket."""
        asked = {"event": "asked", "request": name, "guest": guest, "host": self.url(name)}
        return self.send(asked)

    def announce(self, name):
        return self.send({"event": "paused", "host": self.url(name)})

    def drop(self, name, message):
        """A request by the folder; its answer once it is there."""
        path = self.folder / "requests" / f"{name}.json"
        path.with_suffix(".tmp").write_text(json.dumps(message))
        path.with_suffix(".tmp").rename(path)
        answer = path.with_suffix(".answer.json")
        end = time.monotonic() + SECONDS
        while not answer.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        return json.loads(answer.read_text())

    @contextlib.contextmanager
    def vm(self, name, answer, attack=None, address=None):
        """The VM, started paused with what a request was answered."""
        order = StartOrder(
            firmware=self.home.firmware.read_bytes(),
            policy=int(answer["policy"], 16),
            dh_cert=answer["godh"].encode(),
            session=answer["session"].encode(),
            vcpus=2,
        )
        lie = attack_named(attack) if attack else None
        where = address or self.folder / f"{name}.qmp"
        with HostThread(self.home.keys, order, where, lie) as host:
            yield host

    def metrics(self):
        """What Prometheus would be told."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(SECONDS)
            client.connect(str(self.folder / "metrics.sock"))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            with client.makefile("rb") as reader:
                head, _, body = reader.read().decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 ")
        lines = [line.rpartition(" ") for line in body.splitlines() if not line.startswith("#")]
        return {name.removeprefix("watchword_watch_"): float(value) for name, _, value in lines}


class Gate:
    """Lets the service through to a VM once it is opened: a launch is under way until then."""

    def __init__(self, front, behind):
        self._behind = str(behind)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(front))
        self._server.listen()
        self.knocked, self.open = threading.Event(), threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *problem):
        self._over.set()
        self.open.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._server.close()

    def _run(self):
        self._server.settimeout(0.05)
        with contextlib.ExitStack() as stack:
            while not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = self._server.accept()
                    self.knocked.set()
                    self.open.wait()
                    if not self._over.is_set():
                        self._pass(stack.enter_context(client))
                    else:
                        client.close()

    def _pass(self, client):
        with socket.socket(socket.AF_UNIX) as host:
            host.connect(self._behind)
            other = {client: host, host: client}
            while not self._over.is_set():
                for one in select.select([client, host], [], [], 0.05)[0]:
                    try:
                        data = one.recv(65536)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    with contextlib.suppress(OSError):
                        other[one].sendall(data)
