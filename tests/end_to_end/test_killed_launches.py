# SPDX-License-Identifier: Apache-2.0
"""Launches whose process is killed, anywhere and again: no key is lost, and no second packet.

Each launch is driven by processes that die with SIGKILL, at a named point or after a
random time, until one gets to the end. The host is simulated in this process, so that
it counts every packet that it is given.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.evidence.store import EvidenceStore
from watchword.core.evidence.verify import Trust, verify_evidence
from watchword.core.guest.document import profile_text
from watchword.core.launch.fault_points import FAULT_POINTS
from watchword.core.launch.store import LaunchStore
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.simulator import PlatformKeys, StartOrder, build_firmware
from watchword.core.vault.vault import Vault

from ..core.launch.support import (
    SECRET,
    Stage,
    add_secret,
    make_profile,
    open_vault,
    passphrase_way,
)

ROOT = Path(__file__).resolve().parents[2]
ABANDONING = "abandonment-recorded"
RANDOM_RUNS = 300
RANDOM_SECONDS = 180.0
"""Random kills end after that many runs or seconds, whichever comes first."""


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture(scope="module")
def template(keys, tmp_path_factory):
    """A home with a vault and a profile, and no launch yet."""
    folder = tmp_path_factory.mktemp("killed")
    firmware = folder / "OVMF.fd"
    firmware.write_bytes(build_firmware())
    home = folder / "home"
    home.mkdir()
    Vault.create(home / "vault", passphrase_way()).close()
    with open_vault(home) as vault:
        add_secret(vault)
    (home / "profile.toml").write_text(profile_text(make_profile(firmware)))
    (home / "ark.cert").write_bytes(keys.root.ark)
    (home / "chain.cert").write_bytes(keys.full_chain)
    return home


@pytest.fixture
def home(template, tmp_path):
    return shutil.copytree(template, tmp_path / "home")


class Server:
    """The process from which the others are forked."""

    def __init__(self, process):
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, seconds=400):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.end_to_end.launch_server",
            str(seconds),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            process.stdin.close()
            await process.wait()

    async def fork(self, home, control, *, act="drive", kill_at=None, delay=None, until=None):
        request = {
            "home": str(home),
            "control": str(control),
            "act": act,
            "kill_at": kill_at,
            "delay": delay,
            "until": until,
        }
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        answer = await asyncio.wait_for(self._process.stdout.readline(), 90)
        assert answer, "the server is gone"
        return json.loads(answer)


@dataclass
class Operator:
    """The person at the host: starts the VM of a blob, once, and says where it is."""

    stage: Stage
    blobs: dict[str, int] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def answering(self, path):
        server = await asyncio.start_unix_server(self._answer, path)
        try:
            yield path
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, json.JSONDecodeError):
            question = json.loads(await reader.readline())
            if question.get("blob") and question["blob"] not in self.blobs:
                order = StartOrder(
                    firmware=build_firmware(),
                    policy=question["policy"],
                    dh_cert=question["godh"].encode(),
                    session=question["blob"].encode(),
                )
                self.stage.servers.append(await self.stage.host.start_vm(order))
                self.blobs[question["blob"]] = self.stage.machine.handle
            writer.write(json.dumps({"url": self.stage.servers[-1].url}).encode() + b"\n")
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


def transport_keys(stage):
    """TEK and TIK of every VM, as the secure processor unwrapped them."""
    guests = stage.host.processor._guests.values()
    found = []
    for guest in guests:
        with guest.keys.tek.reveal() as tek, guest.keys.tik.reveal() as tik:
            found += [bytes(tek), bytes(tik)]
    return found


def files_with(home, secrets):
    forms = set()
    for secret in secrets:
        encoded = base64.b64encode(secret)
        forms |= {secret, secret.hex().encode(), secret.hex().upper().encode()}
        forms |= {encoded, encoded.rstrip(b"="), base64.urlsafe_b64encode(secret).rstrip(b"=")}
    return [
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


def trust_in(machine):
    """What somebody trusts who has never heard of the owner, and names the simulated root."""
    return Trust(
        roots=(),
        advisories=published_advisories(),
        accept_unknown_signer=True,
        trusted_roots=(AmdCertificate.parse(machine.root.ark),),
    )


def check(home, stage, launch_id):
    """All that must hold once a launch came to its end, however often its process died."""
    assert stage.holds(SECRET)
    assert stage.machine.run_state == "running"
    assert len({packet.packet_sha256 for packet in stage.packets}) == 1
    secrets = [SECRET, *transport_keys(stage)]
    assert len(secrets) == 3, "the operator was given more than one blob"
    assert files_with(home, secrets) == []
    with open_vault(home) as vault:
        assert not [entry.name for entry in vault.list() if entry.name.startswith("launch/")]
    with Records.open(home) as records:
        ledger, evidence = Ledger(records), EvidenceStore(records)
        ledger.verify()
        kinds = [entry.kind.value for entry in ledger.entries(launch_id=launch_id)]
        for kind in ("launch-prepared", "packet-sealed", "launch-running", "evidence-made"):
            assert kinds.count(kind) == 1, kinds
        documents = evidence.list(launch_id)
        assert len(documents) == 1
        verdict = verify_evidence(evidence.envelope(documents[0]), trust_in(stage.host.genuine))
        assert verdict.opened.statement.predicate.outcome == "running"
        assert [launch.id for launch in LaunchStore(records).list()] == [launch_id]


@contextlib.asynccontextmanager
async def scene(keys, home):
    """A simulated host with its operator, for one launch."""
    async with Stage(keys) as stage, Operator(stage).answering(home.parent / "operator") as control:
        yield stage, control


async def finish(server, home, control, **first):
    """Run a process as ``first`` says, and one that nobody kills; the launch's id."""
    for request in (first, {}):
        ended = await server.fork(home, control, **request)
        if ended["signal"] == 0:
            assert ended["result"] is not None
            assert ended["result"]["error"] is None, ended
            assert ended["result"]["state"] == "running", ended
            return ended["result"]["launch"]
        assert ended["signal"] == signal.SIGKILL
    raise AssertionError("the launch never came to its end")


POINTS = [point for point in FAULT_POINTS if point != ABANDONING]


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_a_launch_killed_at_any_named_point_comes_to_its_end(keys, template, tmp_path, again):
    async def scenario():
        async with Server.running() as server:
            for point in POINTS:
                home = shutil.copytree(template, tmp_path / point / "home")
                async with scene(keys, home) as (stage, control):
                    first = await server.fork(home, control, kill_at=point)
                    assert first["signal"] == signal.SIGKILL, point
                    request = {"kill_at": point} if again else {}
                    launch_id = await finish(server, home, control, **request)
                    check(home, stage, launch_id)

    asyncio.run(scenario())


@pytest.mark.slow
def test_an_abandoning_that_was_killed_is_made_good(keys, home):
    async def scenario():
        async with Server.running() as server, scene(keys, home) as (stage, control):
            ended = await server.fork(home, control, until="measurement")
            assert ended["result"]["error"] is None
            # The second process erases what the first one left before it does anything else.
            for left in (True, False):
                ended = await server.fork(home, control, act="abandon", kill_at=ABANDONING)
                assert ended["signal"] == signal.SIGKILL
                with open_vault(home) as vault:
                    assert any(entry.name.endswith("/tik") for entry in vault.list()) == left
            ended = await server.fork(home, control, act="abandon")
            assert ended["result"]["state"] == "abandoned"
            with open_vault(home) as vault:
                assert not any(entry.name.endswith("/tik") for entry in vault.list())
            assert files_with(home, [SECRET, *transport_keys(stage)]) == []
            assert stage.packets == ()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_launch_killed_at_any_moment_comes_to_its_end(keys, template, tmp_path):
    seed = os.environ.get("WATCHWORD_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"\nWATCHWORD_SEED={seed}")

    async def one_run(server, number, usual):
        chance = random.Random(f"{seed}:{number}")
        home = shutil.copytree(template, tmp_path / "run" / "home")
        try:
            async with scene(keys, home) as (stage, control):
                killed = 0
                for _ in range(chance.choice((1, 1, 1, 2))):
                    ended = await server.fork(home, control, delay=chance.uniform(0, usual))
                    killed += ended["signal"] == signal.SIGKILL
                launch_id = await finish(server, home, control)
                check(home, stage, launch_id)
        except BaseException:
            print(f"run {number} of seed {seed}")
            raise
        finally:
            shutil.rmtree(tmp_path / "run")
        return killed

    async def usual_seconds(server):
        home = shutil.copytree(template, tmp_path / "first" / "home")
        async with scene(keys, home) as (_, control):
            return (await server.fork(home, control))["seconds"]

    async def scenario():
        async with Server.running() as server:
            began, usual = time.monotonic(), await usual_seconds(server)
            runs = kills = 0
            while runs < RANDOM_RUNS and time.monotonic() - began < RANDOM_SECONDS:
                kills += await one_run(server, runs, usual)
                runs += 1
            print(f"{runs} runs, {kills} kills, seed {seed}")

    asyncio.run(scenario())
