# SPDX-License-Identifier: Apache-2.0
"""The two who exchange a folder: an owner who verifies, and an operator with QEMU or virsh."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import xml.etree.ElementTree as ET
from contextlib import asynccontextmanager
from pathlib import Path

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.hosts.exchange import ExchangeHost
from watchword.core.hosts.exchange_secret import report_nonce
from watchword.core.hosts.protocol import StartOrder
from watchword.core.hosts.urls import ExchangeAddress
from watchword.core.launch.host_certificates import read_host_certificates
from watchword.core.secret import Secret
from watchword.core.sev.attestation_report import AttestationReport, verify_report
from watchword.core.sev.certificates import AmdCertificate, SevCertificate
from watchword.core.sev.chain_files import recognise
from watchword.core.sev.digest import launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    FirmwareRequirements,
    ReportedMeasurement,
    verify_measurement,
)
from watchword.core.sev.platform import judge_chain
from watchword.core.sev.policy import approve_policy, parse_policy
from watchword.core.sev.secret_packet import seal
from watchword.core.sev.secret_table import DISK_PASSPHRASE, TestSecretEntry
from watchword.core.sev.session import SessionRandomness, create_session
from watchword.core.simulator import SimulatedHost, build_firmware
from watchword.core.simulator import StartOrder as MachineOrder

POLICY = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
FIRMWARE = build_firmware()
SECRET = b"a passphrase that nobody but the guest may see"
LAUNCH = "vm1-20270101-7f3a"


class Owner:
    """Goes through a launch as a program does, with a new host object for each call."""

    def __init__(self, folder: Path, keys, launch_id: str = LAUNCH) -> None:
        self.folder = folder
        self.launch_id = launch_id
        self._root = AmdCertificate.parse(keys.root.ark)
        self._known = ("AMD's", keys.full_chain)
        self.session = self.material = self.verified = self.packet = self.platform = None

    @property
    def host(self) -> ExchangeHost:
        return ExchangeHost(ExchangeAddress(str(self.folder)), self.launch_id)

    async def check_platform(self) -> None:
        answer = await self.host.platform()
        self._chain = answer.cert_chain
        files = [*read_host_certificates(answer.pdh, answer.cert_chain), self._known]
        self.platform = judge_chain(
            recognise(files).certificates,
            amd_roots(),
            published_advisories(),
            trusted_roots=(self._root,),
            waiver=None,
        )
        randomness = SessionRandomness.draw(os.urandom)
        self.session, self.material = create_session(self.platform, POLICY, randomness)

    async def start(self, **more) -> None:
        order = StartOrder(
            self.material.godh.build(), self.material.blob.build(), POLICY.policy.value, **more
        )
        await self.host.start(order)

    async def verify(self) -> None:
        state = await self.host.state()
        assert state.policy == POLICY.policy.value
        self.verified = verify_measurement(
            self.session,
            ReportedMeasurement.parse(await self.host.measurement()),
            FirmwareVersion(state.api_major, state.api_minor, state.build),
            [launch_digest(FirmwareImage.from_bytes(FIRMWARE)).value],
            FirmwareRequirements((0, 17), 0, published_advisories()),
        )

    async def hand_over(self) -> None:
        entries = [TestSecretEntry(DISK_PASSPHRASE, Secret(SECRET))]
        self.packet = self.packet or seal(self.verified, entries, os.urandom(16), 0xC00)
        await self.host.inject(self.packet)

    async def check_report(self) -> None:
        nonce = report_nonce(self.launch_id, self.packet)
        pek = recognise(read_host_certificates(self.platform.pdh.build(), self._chain))
        data = await self.host.attestation_report(nonce)
        verify_report(
            AttestationReport.parse(data),
            SevCertificate.parse(pek.certificates.pek, "PEK"),
            nonce,
            launch_digest=self.verified.digest,
            policy=POLICY.policy.value,
        )


class Operator:
    """Has the exchange folder, QEMU or virsh, and nothing of Watchword's."""

    def __init__(self, host: SimulatedHost, folder: Path) -> None:
        self.simulated = host
        self.folder = folder
        self.machine = None

    def file(self, turn: str, name: str) -> Path:
        (found,) = self.folder.glob(f"{turn}-*")
        return found / name

    async def start_vm(self) -> None:
        """With what stands in turn 2: dh-cert-file, session-file and the policy of the XML."""
        element = ET.parse(self.file("2", "launchSecurity.xml")).getroot()
        order = MachineOrder(
            firmware=FIRMWARE,
            policy=int(element.findtext("policy"), 16),
            dh_cert=self.file("2", "godh.b64").read_bytes(),
            session=self.file("2", "session.b64").read_bytes(),
            name="vm1",
        )
        self.machine = await self.simulated.start_vm(order)

    async def capabilities(self) -> str:
        """What `query-sev-capabilities` answers, with all that QMP says around it."""
        monitor = await self.simulated.open_monitor()
        return await converse(
            monitor.address, '{"execute":"qmp_capabilities"}{"execute":"query-sev-capabilities"}'
        )

    async def send(self, turn: str, name: str) -> str:
        """Send a file of commands as it is, and return all that came back."""
        return await converse(self.machine.address, self.file(turn, name).read_text())

    async def ask(self, command: str, **arguments) -> dict[str, object]:
        request = json.dumps({"execute": command, "arguments": arguments})
        said = await converse(self.machine.address, '{"execute":"qmp_capabilities"}' + request)
        return json.loads(said.splitlines()[-1])["return"]

    async def launch_info(self) -> str:
        """What `virsh domlaunchsecinfo` prints. Source: libvirt tools/virsh-domain.c."""
        sev = await self.ask("query-sev")
        measured = await self.ask("query-sev-launch-measure")
        return virsh_table(
            {
                "sev-measurement": measured["data"],
                "sev-api-major": sev["api-major"],
                "sev-api-minor": sev["api-minor"],
                "sev-build-id": sev["build-id"],
                "sev-policy": sev["policy"],
            }
        )

    async def set_launch_state(self) -> None:
        """What `virsh domsetlaunchsecstate --secrethdr --secret` does with its two files."""
        header = self.file("4", "secret-header.b64").read_text()
        secret = self.file("4", "secret.b64").read_text()
        await self.ask("sev-inject-launch-secret", **{"packet-header": header, "secret": secret})

    @property
    def guest_has_the_secret(self) -> bool:
        return self.machine.machine.memory.holds(SECRET)


def virsh_table(fields: dict[str, object]) -> str:
    return "".join(f"{name:<18}: {value}\n" for name, value in fields.items()) + "\n"


def node_info(capabilities: str) -> str:
    """The same as `virsh nodesevinfo` prints it."""
    answer = json.loads(capabilities.splitlines()[-1])["return"]
    rows = {name: answer[name] for name in ("pdh", "cert-chain", "cpu0-id")}
    return virsh_table({**rows, "cbitpos": 51, "reduced-phys-bits": 1, "max-guests": 509})


async def converse(address: Path, requests: str) -> str:
    """As socat does: send everything, return everything that a QMP server says."""
    wanted = requests.count('"execute"')
    reader, writer = await asyncio.open_unix_connection(str(address))
    said = []
    try:
        writer.write(requests.encode())
        async with asyncio.timeout(60):
            while wanted:
                line = (await reader.readline()).decode()
                said.append(line.rstrip())
                wanted -= any(f'"{kind}":' in line for kind in ("return", "error"))
    finally:
        writer.close()
        await writer.wait_closed()
    return "\n".join(said) + "\n"


@asynccontextmanager
async def people(keys, folder: Path):
    """An owner and an operator of an honest host, who share a folder."""
    async with SimulatedHost(keys) as host:
        yield Owner(folder, keys), Operator(host, folder)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
