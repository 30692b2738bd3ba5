# SPDX-License-Identifier: Apache-2.0
"""What the tests of recorded launches share: an owner's home, and a simulated host beside it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import HostError, VerificationRefused
from watchword.core.evidence.store import EvidenceStore
from watchword.core.evidence.verify import Trust, verify_evidence
from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.hosts.qmp import QmpHost
from watchword.core.hosts.urls import parse_host_url
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.store import LaunchStore
from watchword.core.launch.surroundings import Surroundings
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate, SevCertificate
from watchword.core.sev.chain import RootKeys
from watchword.core.sev.policy import parse_policy
from watchword.core.simulator import SimulatedHost, StartOrder, attack_named, build_firmware
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
SECRET = b"correct horse battery staple, for tests"
ENTRY = "vm1/disk"
POLICY = "nodbg,noks,nosend,sev,min-api=0.17"
PASSPHRASE = b"five words chosen by chance"


def passphrase_way():
    """The cheapest way to open a vault that outlives a process."""
    stretching = Scrypt(log2_n=14, r=1)
    return PassphraseWay(lambda: Secret(PASSPHRASE), lambda: Secret(PASSPHRASE), stretching)


def open_vault(home):
    return Vault.open(home / "vault", {OpenWith.PASSPHRASE: passphrase_way()})


def add_secret(vault, value=SECRET, kind=EntryKind.TEST_SECRET, name=ENTRY):
    vault.add(name, kind, Secret(value), replace=True)


def make_profile(firmware, **values):
    """An approved profile of plain SEV with one secret; values as in TOML."""
    document = {
        "name": "vm1",
        "technology": "sev",
        "policy": POLICY,
        "firmware": [{"path": str(firmware)}],
        "host": "qmp+unix:///run/vm1.sock",
        "secrets": {"disk-passphrase": ENTRY},
        **values,
    }
    profile = profile_from_document(document, "guest profile vm1")
    return approve(profile, APPROVABLE, NOW)[0]


def amd_like_roots(keys):
    """Roots under which the simulated machine is AMD's."""
    ark, ask = AmdCertificate.parse(keys.root.ark), AmdCertificate.parse(keys.root.ask)
    return (RootKeys("simulated", ark, ask),)


class Clock:
    """A time that passes a second at each look."""

    def __init__(self):
        self.time = NOW

    def __call__(self):
        self.time += timedelta(seconds=1)
        return self.time


class Stage:
    """A simulated host in this process; an async context."""

    def __init__(self, keys, attack=None, **options):
        self.host = SimulatedHost(keys, attack, **options)
        self.servers = []
        self.connections = 0
        self.before_connecting = lambda: None
        self.wrap = lambda host: host

    async def __aenter__(self):
        await self.host.__aenter__()
        self.servers.append(await self.host.open_monitor())
        return self

    async def __aexit__(self, *error):
        await self.host.__aexit__(*error)

    async def connect(self, url, launch_id):
        self.before_connecting()
        self.connections += 1
        host = await QmpHost.connect(parse_host_url(self.servers[-1].url))
        return self.wrap(host)

    async def start(self, material, firmware=None, policy=None, **options):
        """What the host's operator does with the launch blob."""
        order = StartOrder(
            firmware=firmware or build_firmware(),
            policy=policy or profile_policy(),
            dh_cert=material.godh_base64.encode(),
            session=material.session_base64.encode(),
            **options,
        )
        self.servers.append(await self.host.start_vm(order))
        return self.servers[-1].machine

    @property
    def machine(self):
        return self.servers[-1].machine

    @property
    def packets(self):
        return self.host.processor.packets

    def holds(self, secret=SECRET):
        return self.machine.memory.holds(secret)


def profile_policy():
    return parse_policy(POLICY).value


class Office:
    """An owner's home: vault, records, a firmware file and a profile."""

    def __init__(self, home, keys):
        self.home = home
        self.keys = keys
        self.firmware = home / "OVMF.fd"
        self.firmware.write_bytes(build_firmware())
        self.profile = make_profile(self.firmware)
        self.roots = ()
        self.clock = Clock()
        Vault.create(home / "vault", passphrase_way()).close()
        with open_vault(home) as vault:
            add_secret(vault)

    def order(self, **values):
        """An order for this machine under its own root."""
        files = (("export", self.keys.full_chain),)
        roots = () if self.roots else (AmdCertificate.parse(self.keys.root.ark),)
        return LaunchOrder(
            **{
                "profile": self.profile,
                "certificate_files": files,
                "trusted_roots": roots,
                **values,
            }
        )

    def surroundings(self, stage=None, **values):
        return Surroundings(
            **{
                "connect": no_host if stage is None else stage.connect,
                "roots": self.roots,
                "advisories": published_advisories(),
                "clock": self.clock,
                "lock_seconds": 0.2,
                **values,
            }
        )

    @contextlib.contextmanager
    def desk(self, stage=None, **values):
        """A desk as a new process has it: records and vault are opened anew."""
        with (
            Records.open(self.home) as records,
            open_vault(self.home) as vault,
            LaunchDesk(records, vault, self.surroundings(stage, **values)) as desk,
        ):
            yield desk

    def ledger_kinds(self, launch_id=None):
        with Records.open(self.home) as records:
            ledger = Ledger(records)
            ledger.verify()
            return [entry.kind.value for entry in ledger.entries(launch_id=launch_id)]

    def vault_entries(self):
        with open_vault(self.home) as vault:
            return {entry.name for entry in vault.list()}

    def files_with(self, secret):
        """The files under home in which a secret can be read: raw, in hex or in base64."""
        forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
        forms |= {base64.b64encode(secret), base64.urlsafe_b64encode(secret)}
        return [
            str(path)
            for path in self.home.rglob("*")
            if path.is_file() and any(form in path.read_bytes() for form in forms)
        ]


async def no_host(url, launch_id):
    raise AssertionError("nobody may be asked here")


def edit_document(home, launch_id, change):
    """Do to a launch's document what somebody with an editor could do."""
    with contextlib.closing(sqlite3.connect(home / "records.sqlite3")) as connection:
        (data,) = connection.execute(
            "select document from launches where id = ?", (launch_id,)
        ).fetchone()
        document = json.loads(data)
        change(document["record"])
        connection.execute(
            "update launches set document = ? where id = ?",
            (json.dumps(document).encode(), launch_id),
        )
        connection.commit()


def edit_rows(home, *statements):
    """Do to the records file what somebody with SQLite could do: its triggers stop nobody."""
    with contextlib.closing(sqlite3.connect(home / "records.sqlite3")) as connection:
        for table in ("packets", "nonces", "ledger", "evidence"):
            for what in ("changed", "removed"):
                connection.execute(f"drop trigger if exists {table}_not_{what}")
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()


async def prepared(office, stage, *, start=True, firmware=None, **order):
    """The id of a launch that is prepared, its VM started; the process that did it is gone."""
    with office.desk(stage) as desk:
        run = desk.new(office.order(**order))
        await run.run(until="session")
        if start:
            await stage.start(run.material, firmware)
        return run.id


def cek_of(keys):
    return SevCertificate.parse(keys.cek).fingerprint()


def outcome_of(office, launch_id):
    """What the newest document of a launch says; all are verified as strangers would do it."""
    ark = AmdCertificate.parse(office.keys.root.ark)
    with Records.open(office.home) as records:
        store = EvidenceStore(records)
        envelopes = [store.envelope(stored) for stored in store.list(launch_id)]
    trust = Trust(
        roots=office.roots,
        advisories=published_advisories(),
        trusted_roots=(ark,),
        accept_unknown_signer=True,
    )
    verdicts = [verify_evidence(envelope, trust) for envelope in envelopes]
    return verdicts[-1].opened.statement


def state_of(office, launch_id):
    with Records.open(office.home) as records:
        return LaunchStore(records).load(launch_id).record.state


def refused(office, keys, attack=None, *, code, error=VerificationRefused, firmware=None, **order):
    """Prepare and complete a launch that is refused; its id and the error."""

    async def scenario():
        async with Stage(keys, attack_named(attack) if attack else None) as stage:
            launch_id = await prepared(office, stage, firmware=firmware, **order)
            with office.desk(stage) as desk, pytest.raises(error) as caught:
                await desk.open(launch_id).run()
            assert caught.value.code == code
            assert stage.packets == ()
            return launch_id, caught.value

    launch_id, error = asyncio.run(scenario())
    assert outcome_of(office, launch_id).predicate.error.code == error.code
    return launch_id, error


class LosesTheAnswer:
    """Does what a host does, and then the connection is lost."""

    def __init__(self, host):
        self._host = host

    def __getattr__(self, name):
        return getattr(self._host, name)

    async def inject(self, packet):
        await self._host.inject(packet)
        raise HostError("host-timeout", "No answer", "…", "…", {"packet_arrived": "unknown"})
