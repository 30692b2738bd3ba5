# SPDX-License-Identifier: Apache-2.0
"""A VM that was started with another tool's launch blob is attested by ``watchword attest``.

The flow of the articles that describe the system: sev-tool (or sevctl) made the launch blob
and the keys, QEMU started the VM, and the owner measures it, verifies, and hands over the
secret. The platform is a synthetic one whose PDH private key is known; the blobs were made
for it by the two tools, and the simulated secure processor opens them with that key.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.simulator import (
    FirmwareRecipe,
    PlatformKeys,
    SimulatedHost,
    StartFailure,
    StartOrder,
    build_firmware,
)
from watchword.core.simulator.certificate_layout import (
    Algorithm,
    Usage,
    ecdsa_slot,
    sev_body,
    sev_certificate,
)

from .desk import REASON
from .table import Counts

PASSPHRASE = b"a pass phrase of no worth"
VCPUS = 2
ES = 1 << 2
ROLES = ("ark", "ask", "cek", "oca", "pek", "pdh")


@dataclass(frozen=True, slots=True)
class PeersSession:
    """GODH and launch blob of a peer, and the keys inside."""

    tool: str
    policy: int
    godh: bytes
    blob: bytes
    tek: bytes
    tik: bytes

    @classmethod
    def read(cls, row: dict) -> PeersSession:
        blob, tek, tik = (bytes.fromhex(row[name]) for name in ("session_hex", "tek", "tik"))
        return cls(row["tool"], row["policy"], base64.b64decode(row["godh_b64"]), blob, tek, tik)

    def order(self, firmware: bytes) -> StartOrder:
        """QEMU's part of it."""
        return StartOrder(
            firmware=firmware,
            policy=self.policy,
            dh_cert=base64.b64encode(self.godh),
            session=base64.b64encode(self.blob),
            vcpus=VCPUS,
        )

    def key_options(self, folder: Path) -> list[str]:
        """The keys in the files that the tool writes: one of 32 bytes, or one for each."""
        if self.tool == "sev-tool":
            (folder / "tmp_tk.bin").write_bytes(self.tek + self.tik)
            return [f"--tk={folder / 'tmp_tk.bin'}"]
        (folder / "vm_tek.bin").write_bytes(self.tek)
        (folder / "vm_tik.bin").write_bytes(self.tik)
        return [f"--tek={folder / 'vm_tek.bin'}", f"--tik={folder / 'vm_tik.bin'}"]


@pytest.fixture(scope="module")
def manifest(vectors: Path) -> dict:
    return json.loads((vectors / "fake-platform" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def sessions(manifest: dict) -> list[PeersSession]:
    return [PeersSession.read(row) for row in manifest["sessions"]]


@pytest.fixture(scope="module")
def fake_platform(manifest: dict, platform_keys: PlatformKeys, vectors: Path) -> PlatformKeys:
    """The machine that the tools saw: its certificates, and the key of its PDH."""
    key = ec.derive_private_key(int(manifest["pdh_private_hex"], 16), ec.SECP384R1())
    seen = {role: (vectors / "fake-platform" / f"{role}.cert").read_bytes() for role in ROLES}
    root = replace(platform_keys.root, ark=seen.pop("ark"), ask=seen.pop("ask"))
    return replace(platform_keys, root=root, pdh_key=key, **seen)


@pytest.fixture(scope="module")
def own_platform(fake_platform: PlatformKeys, platform_keys: PlatformKeys) -> PlatformKeys:
    """A machine with that same PDH key, of which the other private keys are known too.

    It can sign the report on the running guest.
    """
    key, pek = fake_platform.pdh_key, platform_keys.pek_key
    body = sev_body(Usage.PDH, Algorithm.ECDH_SHA256, key.public_key(), platform_keys.api)
    pdh = sev_certificate(body, ecdsa_slot(Usage.PEK, pek, body))
    return replace(platform_keys, pdh_key=key, pdh=pdh)


@dataclass(frozen=True, slots=True)
class Attested:
    """How ``watchword attest`` ended, and what the host got and has."""

    status: int
    result: dict
    packets: int
    in_guest: bool
    resumed: bool


def command(session: PeersSession, folder: Path, *words: str) -> list[str]:
    """``watchword attest`` as a process, but for the host."""
    options = [
        *session.key_options(folder),
        f"--policy=0x{session.policy:x}",
        f"--waive-policy={REASON}",
        f"--firmware={folder / 'firmware'}",
        *words,
    ]
    if session.policy & ES:
        options += [f"--vcpus={VCPUS}", "--cpu=EPYC-Milan"]
    return [sys.executable, "-m", "watchword.core", "attest", "--json", *options]


async def attest(
    platform: PlatformKeys, session: PeersSession, folder: Path, *words: str, started: bytes = b""
) -> Attested:
    """Start the VM behind a real QMP socket, and run the command.

    ``started``  what the host starts instead of the owner's firmware
    """
    firmware = build_firmware()
    (folder / "firmware").write_bytes(firmware)
    (folder / "passphrase").write_bytes(PASSPHRASE)
    words = words or (f"--secret=disk-passphrase={folder / 'passphrase'}",)
    async with SimulatedHost(platform) as host:
        server = await host.start_vm(session.order(started or firmware))
        ended = await asyncio.to_thread(
            subprocess.run,
            [*command(session, folder, *words), f"--host={server.url}"],
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Attested(
            ended.returncode,
            json.loads(ended.stdout),
            packets=len(host.processor.packets),
            in_guest=server.machine.memory.holds(PASSPHRASE + b"\0"),
            resumed=server.machine.run_state == "running",
        )


async def attest_all(
    platform: PlatformKeys, sessions: list[PeersSession], folder: Path
) -> list[Attested]:
    """All at once, each on a host of its own."""
    folders = [folder / str(number) for number in range(len(sessions))]
    for one in folders:
        one.mkdir()
    return await asyncio.gather(*map(attest, [platform] * len(sessions), sessions, folders))


def test_vms_started_with_the_peers_blobs_get_their_secret(
    fake_platform: PlatformKeys, sessions: list[PeersSession], tmp_path: Path, compared: Counts
) -> None:
    outcomes = asyncio.run(attest_all(fake_platform, sessions, tmp_path))
    for outcome in outcomes:
        # These policies are weak: done, but waived.
        assert outcome.status == 8, outcome.result
        assert outcome.result["platform"] == "not-checked-here"
        assert (outcome.packets, outcome.in_guest, outcome.resumed) == (1, True, True)
    tools = Counter(session.tool for session in sessions)
    for tool in ("sev-tool", "sevctl"):
        compared.agree(f"attested-{tool}", tools[tool])


def per_tool(sessions: list[PeersSession]) -> Iterator[PeersSession]:
    """A session with SEV-ES of each tool."""
    for tool in ("sev-tool", "sevctl"):
        yield next(one for one in sessions if one.tool == tool and one.policy & ES)


def test_a_vm_with_other_firmware_gets_nothing(
    fake_platform: PlatformKeys, sessions: list[PeersSession], tmp_path: Path
) -> None:
    other = build_firmware(FirmwareRecipe(seed="other"))
    for session in per_tool(sessions):
        outcome = asyncio.run(attest(fake_platform, session, tmp_path, started=other))
        assert outcome.status == 3
        assert outcome.result["error"]["code"] == "measurement-mismatch"
        assert (outcome.packets, outcome.in_guest, outcome.resumed) == (0, False, False)


def test_a_blob_under_another_policy_does_not_start_a_vm(
    fake_platform: PlatformKeys, sessions: list[PeersSession]
) -> None:
    async def start(session: PeersSession) -> None:
        async with SimulatedHost(fake_platform) as host:
            await host.start_vm(replace(session, policy=session.policy ^ 1).order(build_firmware()))

    for session in per_tool(sessions):
        with pytest.raises(StartFailure, match="Bad measurement"):
            asyncio.run(start(session))


def test_with_the_platforms_chain_the_running_guest_is_confirmed(
    own_platform: PlatformKeys, sessions: list[PeersSession], tmp_path: Path
) -> None:
    """Its root is not AMD's, so that only a secret of no worth may go there."""
    chain, ark, secret = (tmp_path / name for name in ("chain", "ark.cert", "passphrase"))
    chain.write_bytes(own_platform.full_chain)
    ark.write_bytes(own_platform.root.ark)
    words = (f"--platform={chain}", f"--trust-root={ark}")
    session = next(per_tool(sessions))

    def attest_with(option: str) -> Attested:
        order = f"{option}=disk-passphrase={secret}"
        return asyncio.run(attest(own_platform, session, tmp_path, *words, order))

    test = attest_with("--test-secret")
    assert test.status == 8, test.result
    assert test.in_guest
    last = test.result["steps"][-1]["record"]
    assert last["running"] == "confirmed by a report that the platform's PEK signed"
    real = attest_with("--secret")
    assert (real.status, real.result["error"]["code"]) == (3, "platform-not-proven")
    assert (real.packets, real.in_guest) == (0, False)
