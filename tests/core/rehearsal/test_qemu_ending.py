# SPDX-License-Identifier: Apache-2.0
"""However a rehearsal with a real QEMU ends, no process and no file of it is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, HostError, UsageError, VerificationRefused
from watchword.core.rehearsal.guest import RehearsedGuest
from watchword.core.rehearsal.qemu_run import QemuRun, QemuSetup
from watchword.core.rehearsal.qemu_verdict import Verdict
from watchword.core.rehearsal.qemu_words import verdict_error
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup
from watchword.core.simulator import Disk, PlatformKeys

from .locked_disk import Artifacts
from .qemu_play import kernel_guest, order, play, qemus, setup

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, which must be empty afterwards."""
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_a_cancelled_rehearsal_is_over_at_once(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys, moment: str
) -> None:
    async def whole() -> None:
        run = QemuRun(
            kernel_guest(artifacts, order()),
            setup(locked_disk),
            lambda launch: None,
            keys=machine_keys,
        )
        seen = asyncio.Event()

        async def rehearse() -> None:
            async with run:
                await run.run("session" if moment == "starting" else None)
                if moment == "starting":
                    seen.set()
                    await run.run()
                await run.watch(lambda line: seen.set())

        task = asyncio.create_task(rehearse())
        async with asyncio.timeout(40):
            await seen.wait()
            if moment == "starting":
                while not qemus():  # noqa: ASYNC110 - a process is waited for
                    await asyncio.sleep(0.005)
        task.cancel()
        async with asyncio.timeout(10):  # it takes a tenth of a second; a guest would take 40
            with pytest.raises(asyncio.CancelledError):
                await task
        run.forget()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())
    assert qemus() == []


def test_a_killed_rehearsal_takes_its_qemu_with_it(artifacts: Artifacts, temporary: Path) -> None:
    words = [sys.executable, "-m", "watchword.core", "rehearse", "--qemu", "--console"]
    words += ["--firmware", str(artifacts.firmware), "--waive-firmware", "a test", "--json"]
    words += ["--policy", "0x1100002b", "--time-limit", "50"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline()
        guest = next(
            int(child)
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children")
            .read_text()
            .split()
        )
        assert Path(f"/proc/{guest}/comm").read_text().startswith("qemu")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stderr.close()
    for _ in range(100):
        if not Path(f"/proc/{guest}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{guest}").exists()
    for left in temporary.iterdir():  # sockets, which a killed process can't remove
        assert [path.name for path in left.iterdir() if not path.is_socket()] == []
        for path in left.iterdir():
            path.unlink()
        left.rmdir()


def test_a_missing_qemu_is_named_with_its_package(
    artifacts: Artifacts, machine_keys: PlatformKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchword.core.simulator.qemu_files.find_program", lambda name: None)
    outcome = play(kernel_guest(artifacts, order()), setup(None), machine_keys)
    assert isinstance(outcome.error, UsageError)
    assert outcome.error.code == "program-missing"
    assert "apt install qemu-system-x86" in outcome.error.remedy


def test_what_qemu_says_when_it_can_not_start_is_told(
    artifacts: Artifacts, machine_keys: PlatformKeys, tmp_path: Path
) -> None:
    how = QemuSetup(disk=Disk(tmp_path / "no,such file.img"))
    outcome = play(kernel_guest(artifacts, order()), how, machine_keys)
    assert isinstance(outcome.error, HostError)
    assert outcome.error.code == "qemu-not-started"
    assert "no,such file.img" in outcome.error.message


def test_a_firmware_that_halts_is_told_from_a_guest_that_is_only_slow(
    program: Callable[[str, str], Path], machine_keys: PlatformKeys
) -> None:
    program("qemu-system-x86_64", "qemu-system-x86")
    # The simulated firmware's first instruction is a HLT.
    outcome = play(RehearsedGuest(vcpus=VcpuSetup(1, parse_cpu("EPYC"))), setup(None), machine_keys)
    assert outcome.sighting is not None
    assert outcome.sighting.verdict is Verdict.HALTED
    error = verdict_error(outcome)
    assert isinstance(error, VerificationRefused)
    assert error.code == "guest-halted"
    assert outcome.secret_in_guest


def test_a_kernel_that_is_none_is_refused_before_anything_runs(
    artifacts: Artifacts, machine_keys: PlatformKeys
) -> None:
    guest = replace(kernel_guest(artifacts, order()), kernel=b"MZ" + bytes(100_000))
    outcome = play(guest, setup(None), machine_keys)
    assert isinstance(outcome.error, BadInput | HostError)
    assert outcome.error.code in ("kernel-not-bootable", "qemu-not-started")
    assert outcome.sighting is None


@pytest.mark.parametrize("memory", [0, 127 << 20, (128 << 20) + 1, 1 << 50])
def test_a_memory_size_that_can_not_be_is_refused(memory: int) -> None:
    with pytest.raises(UsageError) as refused:
        QemuSetup(memory=memory)
    assert refused.value.code == "memory-size"
