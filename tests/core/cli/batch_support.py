# SPDX-License-Identifier: Apache-2.0
"""What the tests of ``--batch`` share: a home with vault and guests, and simulated VMs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import UTC, datetime

from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.guest.store import ProfileStore
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import RootKeys
from watchword.core.simulator import StartOrder, attack_named
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault

from .support import HostThread

PASSPHRASE = b"five words chosen by chance"
SECRET = b"canary-9Kq2vX7mZwPb4TjR"
NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)

# A process of its own in which the simulated machine's root counts as AMD's.
DRIVER = """\
import sys
from pathlib import Path
from watchword.core.amd import roots
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import RootKeys
folder = Path(sys.argv[1])
ark, ask = (AmdCertificate.parse((folder / f"{name}.cert").read_bytes()) for name in ("ark", "ask"))
roots.amd_roots = lambda: (RootKeys("milan", ark, ask),)
from watchword.core.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def simulated_roots(keys):
    """AMD's keys, for as long as the simulated machine's are."""
    ark, ask = AmdCertificate.parse(keys.root.ark), AmdCertificate.parse(keys.root.ask)
    return (RootKeys("milan", ark, ask),)


def cek_fingerprint(keys):
    """SHA-256 over the signed part of the machine's CEK."""
    return hashlib.sha256(keys.cek[:0x414]).hexdigest()


class Home:
    """A home with a passphrase vault that holds one disk secret, and with guest profiles."""

    def __init__(self, path, keys, firmware):
        self.path, self.keys, self.firmware = path, keys, firmware
        self.passphrase = path / "passphrase"
        self.passphrase.write_bytes(PASSPHRASE + b"\n")
        self.store = ProfileStore(path / "guests")
        with Vault.create(path / "vault", self._way()) as vault:
            vault.add("web/disk", EntryKind.DISK_SECRET, Secret(SECRET))

    def _way(self):
        return PassphraseWay(lambda: Secret(PASSPHRASE), lambda: Secret(PASSPHRASE), Scrypt(14, 1))

    def open_vault(self):
        return Vault.open(self.path / "vault", {OpenWith.PASSPHRASE: self._way()})

    def document(self, name="web", **values):
        return {
            "name": name,
            "technology": "sev-es",
            "policy": "default",
            "firmware": str(self.firmware),
            "vcpus": 2,
            "cpu": "EPYC-Milan",
            "ceks": [cek_fingerprint(self.keys)],
            "secrets": {"disk-passphrase": "web/disk"},
            **values,
        }

    def profile(self, name="web", **values):
        """A guest profile that is kept, with its files approved."""
        profile = profile_from_document(self.document(name, **values), name)
        profile = approve(profile, APPROVABLE, NOW)[0]
        self.store.add(profile)
        return profile


class Batches:
    """``watchword --batch`` over manifests in a folder: ``batches(text, "--check")``."""

    def __init__(self, command, folder, home):
        self._command, self.folder, self.home = command, folder, home

    def words(self, text, *words):
        """The command line for a manifest of this text."""
        path = self.folder / "fleet.toml"
        path.write_text(text)
        return ("--batch", path, "--passphrase-file", self.home.passphrase, *words)

    def __call__(self, text, *words):
        return self._command(*self.words(text, *words))

    def manifest(self, *names, more=""):
        """Launches of guest web, each on a socket of its own in the folder."""
        text = (
            f'[defaults]\nhost = "qmp+unix://{self.folder}/{{name}}.sock"\n'
            f'certificates = "{self.folder}/chain.cert"\n{more}'
        )
        return text + "".join(f'[[launch]]\nname = "{name}"\nguest = "web"\n' for name in names)

    @contextlib.contextmanager
    def vm(self, name, attack=None):
        """The VM of a launch, started paused with the files that were written for it."""
        give = self.folder / "out" / name
        order = StartOrder(
            firmware=self.home.firmware.read_bytes(),
            policy=0x1100002F,
            dh_cert=(give / "godh.b64").read_bytes(),
            session=(give / "session.b64").read_bytes(),
            vcpus=2,
        )
        lie = attack_named(attack) if attack else None
        with HostThread(self.home.keys, order, self.folder / f"{name}.sock", lie) as host:
            yield host


def lines(text):
    """The JSON values of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def outcomes(events):
    """Outcomes by name, in the order of the results."""
    return {one["name"]: one["outcome"] for one in events if one.get("event") == "result"}
