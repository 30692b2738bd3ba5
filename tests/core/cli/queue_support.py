# SPDX-License-Identifier: Apache-2.0
"""What the tests of fleets past one machine share: an owner, workers, and their queue."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

from watchword.core.evidence.signing_key import signer_fingerprint
from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault
from watchword.core.workers.enrolment import enrol, read_request
from watchword.core.workers.guard import GUARD_SCHEMA
from watchword.core.workers.owner_key import owner_key
from watchword.core.workers.queue_address import queue_parameters
from watchword.core.workers.queue_schema import apply_schema
from watchword.core.workers.worker_key import enrolment_request, make_worker_key

from ...fleet_hosts import FleetHosts
from .batch_support import DRIVER, PASSPHRASE

LONG = 200
"""Seconds: what takes a moment may take that long on a machine that has much else to do."""


class QueueFleet:
    """An owner with a manifest, workers with homes of their own, simulated hosts, a queue."""

    def __init__(self, batches, folder, platform, firmware, url):
        self.batches, self.folder, self.url = batches, folder, url
        self.platform, self.firmware = platform, firmware
        self.results = folder / "results.jsonl"
        self.homes = {}
        apply_schema(queue_parameters(url), (GUARD_SCHEMA,))
        with batches.home.open_vault() as vault:
            self.owner = signer_fingerprint(owner_key(vault, make=True))

    def hosts(self, **behaviours):
        return FleetHosts(self.folder, self.platform, self.firmware, behaviours)

    def manifest(self, count, wait=30, more=""):
        """``v1`` and so on; with ``more``, all on one machine of which more is said."""
        place = (
            f'host = "qmp+unix://{self.folder}/{{name}}.sock"\n'
            f'certificates = "{self.folder}/chain.cert"\n'
        )
        machine = ""
        if more:
            machine = f"[hosts.rack]\n{place.replace('host =', 'url =')}{more}"
            place = 'on = "rack"\n'
        return (
            f'{machine}[templates.web]\nguest = "web"\nwait = {wait}\n{place}'
            f'[[launch]]\nname = "v{{1..{count}}}"\ntemplate = "web"\n'
        )

    def enrol(self, *names):
        """Workers with homes, vaults and keys, enrolled by the owner."""
        now = datetime.now(UTC)
        for name in names:
            home = self.folder / f"home-{name}"
            home.mkdir(mode=0o700)
            with Vault.create(home / "vault", _way()) as vault, make_worker_key(vault) as key:
                request = read_request(enrolment_request(key, name, now), name)
            with self.batches.home.open_vault() as vault:
                file = enrol(
                    request,
                    owner_key(vault),
                    owner_fingerprint=self.owner,
                    serial=os.urandom(32).hex(),
                    now=now,
                )
            (self.folder / f"{name}.enrolment").write_bytes(file)
            self.homes[name] = home
        return self

    @contextlib.contextmanager
    def worker(self, name, *words, owner=None):
        """``watchword worker run`` in a process of its own."""
        process = self.start_worker(name, *words, owner=owner)
        try:
            yield process
        finally:
            end(process)

    def start_worker(self, name, *words, owner=None):
        words = (
            *("worker", "run", "--queue", self.url, "--owner", owner or self.owner),
            *("--out", self.folder / "out", "--jobs", "16"),
            *("--passphrase-file", self.batches.home.passphrase, *words),
        )
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            return self._process(words, log, {"WATCHWORD_HOME": str(self.homes[name])})

    def start_batch(self, text, *words, output=None):
        files = [self.folder / f"{name}.enrolment" for name in self.homes]
        workers = [word for file in files for word in ("--worker", file)]
        words = self.batches.words(
            text, "--output", output or self.results, "--queue", self.url, *workers, *words
        )
        return self._process(words, subprocess.PIPE, {})

    def _process(self, words, err, more):
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.platform), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env={**os.environ, **more},
        )

    @contextlib.contextmanager
    def batch(self, text, *words, output=None):
        process = self.start_batch(text, *words, output=output)
        try:
            yield process
        finally:
            end(process)

    def run(self, text, *words, output=None):
        with self.batch(text, *words, output=output) as process:
            _, err = process.communicate(timeout=LONG)
        return process.returncode, err.decode()

    def local(self, text):
        """The same without workers, in a home that knows nothing of them."""
        words = self.batches.words(text, "--output", self.folder / "local.jsonl")
        process = self._process(words, subprocess.PIPE, {})
        try:
            _, err = process.communicate(timeout=LONG)
        finally:
            end(process)
        return process.returncode, err.decode()

    def workers_secrets(self):
        """What the workers' vaults hold, by name: their own keys, and those of launches."""
        found = {}
        for home in self.homes.values():
            with Vault.open(home / "vault", {OpenWith.PASSPHRASE: _way()}) as vault:
                for entry in vault.list():
                    with vault.get(entry.name).reveal() as view:
                        found[entry.name] = bytes(view)
        return found

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def events(self, path=None):
        found = []
        path = path or self.results
        for line in path.read_text().splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):  # cut off by a kill
                found.append(json.loads(line))
        return found


def _way():
    return PassphraseWay(lambda: Secret(PASSPHRASE), lambda: Secret(PASSPHRASE), Scrypt(14, 1))


def given(hosts):
    """Distinct packets by name, of each VM that was offered any."""
    told = hosts.report()
    assert all(one["blobs"] == 1 for one in told.values()), "a launch was begun a second time"
    return {name: set(one["packets"]) for name, one in told.items() if one["packets"]}


def end(process):
    """End a process in order, or else kill it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LONG)
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def wait_until(true, seconds=LONG):
    """Return once it is true; fail if that takes too long."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
