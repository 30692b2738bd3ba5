# SPDX-License-Identifier: Apache-2.0
"""Guests that really boot, with one side by others: libvirt's owner, and the first trial's host."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from qemu.qmp import QMPClient

from watchword.core.rehearsal.qemu_console import Console, ConsoleMarkers
from watchword.core.rehearsal.qemu_verdict import Verdict, watch
from watchword.core.simulator import Disk, PlatformKeys, QemuHost, QemuMachine, StartOrder
from watchword.core.simulator.other_owner import OwnerSession, make_session

from ..core.rehearsal.locked_disk import (
    PASSPHRASE,
    TOOLS,
    UNLOCKED,
    Artifacts,
    find_artifacts,
    make_disk,
)
from .command_line import watchword
from .peer_validator import Validator

pytestmark = pytest.mark.slow

POLICY = 0x1100002B
CMDLINE = "console=ttyS0"
SECONDS = 60


@pytest.fixture(scope="module")
def artifacts(program: Callable[[str, str], Path]) -> Artifacts:
    for name, package in TOOLS.items():
        program(name, package)
    found = find_artifacts()
    if found is None:
        pytest.skip("no ../shared/rehearsal/artifacts")
    return found


@pytest.fixture(scope="module")
def disk(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(artifacts, tmp_path_factory.mktemp("disk"))


def validators_packet(
    validator: Validator, session: OwnerSession, artifacts: Artifacts, said: dict, folder: Path
) -> tuple[str, str]:
    """Header and payload that virt-qemu-sev-validate makes for this measurement."""
    for name, key in (("tek", session.keys.tek), ("tik", session.keys.tik)):
        with key.reveal() as view:
            (folder / name).write_bytes(view)
    (folder / "secret").write_bytes(PASSPHRASE)
    answer = validator(
        *(f"--{name}={folder / name}" for name in ("tek", "tik")),
        *(f"--{name}={value}" for name, value in said.items()),
        f"--firmware={artifacts.firmware}",
        f"--kernel={artifacts.kernel}",
        f"--initrd={artifacts.initrd}",
        f"--cmdline={CMDLINE}",
        f"--inject-secret=luks-key:{folder / 'secret'}",
        f"--secret-header={folder / 'header'}",
        f"--secret-payload={folder / 'payload'}",
    )
    assert answer.status == 0, answer.printed
    return (folder / "header").read_text(), (folder / "payload").read_text()


def test_libvirts_owner_unlocks_a_guest_of_our_rehearsal_host(
    validator: Validator,
    platform_keys: PlatformKeys,
    artifacts: Artifacts,
    disk: Path,
    tmp_path: Path,
) -> None:
    session = make_session(platform_keys.pdh_key.public_key(), POLICY)
    order = StartOrder(
        firmware=artifacts.firmware.read_bytes(),
        policy=POLICY,
        dh_cert=session.dh_cert_file,
        session=session.session_file,
        kernel=artifacts.kernel.read_bytes(),
        initrd=artifacts.initrd.read_bytes(),
        command_line=CMDLINE,
    )

    async def whole() -> None:
        async with asyncio.timeout(SECONDS), QemuHost(platform_keys, disk=Disk(disk)) as host:
            server = await host.start_vm(order)
            machine = server.machine
            assert isinstance(machine, QemuMachine)
            said = {
                "api-major": machine.processor.version.api_major,
                "api-minor": machine.processor.version.api_minor,
                "build-id": machine.processor.version.build,
                "policy": POLICY,
                "measurement": machine.measurement,
            }
            header, payload = await asyncio.to_thread(
                validators_packet, validator, session, artifacts, said, tmp_path
            )
            owner = QMPClient("owner")
            await owner.connect(str(server.address))
            await owner.execute(
                "sev-inject-launch-secret", {"packet-header": header, "secret": payload}
            )
            await owner.execute("cont")
            await owner.disconnect()
            console = Console(ConsoleMarkers(unlocked=(UNLOCKED,)))
            sighting = await watch(machine, console, SECONDS)
            assert sighting.verdict is Verdict.UNLOCKED, sighting.lines

    asyncio.run(whole())


class TrialHost:
    """The host of the first trial (psim.py), as a process: another hand's secure processor."""

    def __init__(self, program: Path, artifacts: Artifacts, disk: Path, folder: Path) -> None:
        self.folder = folder
        self.socket, self.serial = folder / "q", folder / "serial"
        self.keys = os.urandom(32)
        words = [
            *(sys.executable, "-B", program, f"--firmware={artifacts.firmware}"),
            *(f"--listen={self.socket}", f"--serial={self.serial}", f"--ram={folder / 'ram'}"),
            *(f"--tek={self.keys[:16].hex()}", f"--tik={self.keys[16:].hex()}"),
            *(f"--kernel={artifacts.folder / 'vmlinuz.pp'}", f"--initrd={artifacts.initrd}"),
            *(f"--append={CMDLINE}", f"--disk={disk}", f"--policy={POLICY}"),
            f"--timeout={SECONDS - 20}",
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def wait_until_it_listens(self) -> None:
        for _ in range(1200):
            if "PSIM listening" in (self.folder / "log").read_text():
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)
        pytest.fail("the trial's host does not listen")

    def console_at_its_end(self) -> str:
        self._process.wait(SECONDS)
        return self.serial.read_text(errors="replace")

    def close(self) -> None:
        if self._process.poll() is None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
            guests = children.read_text().split()
            self._process.kill()
            self._process.wait(10)
            for guest in guests:
                os.kill(int(guest), 9)


@pytest.fixture
def trial_host(artifacts: Artifacts, disk: Path, tmp_path: Path) -> Iterator[TrialHost]:
    program = artifacts.folder.parent / "psim.py"
    if not program.is_file() or not (artifacts.folder / "vmlinuz.pp").is_file():
        pytest.skip("no ../shared/rehearsal/psim.py")
    host = TrialHost(program, artifacts, disk, tmp_path)
    try:
        host.wait_until_it_listens()
        yield host
    finally:
        host.close()


def test_our_owner_unlocks_a_guest_of_the_first_trials_host(
    trial_host: TrialHost, artifacts: Artifacts, tmp_path: Path
) -> None:
    (tmp_path / "tk").write_bytes(trial_host.keys)
    (tmp_path / "secret").write_bytes(PASSPHRASE)
    answer = watchword(
        *("attest", f"--host=qmp+unix://{trial_host.socket}", f"--tk={tmp_path / 'tk'}"),
        *(f"--policy={POLICY:#x}", f"--firmware={artifacts.firmware}"),
        # Its author changed the kernel's file so that QEMU's edits change nothing in it.
        *(f"--kernel={artifacts.folder / 'vmlinuz.pp'}", f"--initrd={artifacts.initrd}"),
        *(f"--cmdline={CMDLINE}", f"--secret=disk-passphrase={tmp_path / 'secret'}"),
        "--waive-firmware=a test: this firmware falls through, and prompts",
    )
    assert answer.status == 8, answer.payload
    assert answer.payload["injected"] is True
    assert UNLOCKED in trial_host.console_at_its_end()
