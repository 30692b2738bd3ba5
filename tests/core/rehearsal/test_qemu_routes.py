# SPDX-License-Identifier: Apache-2.0
"""Guests that really boot: with the right secret their disk opens, without it it stays locked."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchword.core.errors import ExitStatus
from watchword.core.rehearsal.qemu_console import Sign
from watchword.core.rehearsal.qemu_verdict import Verdict
from watchword.core.rehearsal.qemu_words import kernel_note, verdict_error
from watchword.core.simulator import PlatformKeys

from .locked_disk import PASSPHRASE, Artifacts
from .qemu_play import grub_guest, kernel_guest, order, play, setup

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files of a rehearsal go to a folder of the test, which must be empty afterwards."""
    with tempfile.TemporaryDirectory(prefix="wwt") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
        assert list(Path(folder).iterdir()) == []


def test_the_kernel_route_unlocks_and_the_owners_image_is_not_touched(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    before = hashlib.sha256(locked_disk.read_bytes()).digest()
    shown: list[str] = []
    guest = kernel_guest(artifacts, order())
    outcome = play(guest, setup(locked_disk), machine_keys, show=shown.append)
    assert outcome.error is None
    assert verdict_error(outcome) is None
    assert outcome.sighting is not None
    assert outcome.sighting.verdict is Verdict.UNLOCKED
    assert not outcome.sighting.leaked
    assert (outcome.secret_in_guest, outcome.packets) == (True, 1)
    assert any("SIM-CRYPTSETUP rc=0" in line and "efi_secret" in line for line in shown)
    assert hashlib.sha256(locked_disk.read_bytes()).digest() == before
    times = [outcome.seconds[phase] for phase in ("start", "measurement", "secret", "verdict")]
    assert times == sorted(times)


def test_the_digest_is_of_the_owners_kernel_and_the_note_says_what_qemu_edits(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    guest = kernel_guest(artifacts, order())
    outcome = play(guest, setup(locked_disk), machine_keys)
    record = outcome.launch.facts["measurement"].record
    assert record["launch_digest"] == guest.launch_digest().value.hex()
    assert outcome.edited_bytes
    note = kernel_note(outcome)
    assert note is not None
    assert f"edits {outcome.edited_bytes} bytes" in note
    assert "digest is of your kernel's file" in note


def test_the_grub_route_unlocks(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    outcome = play(grub_guest(artifacts, order()), setup(locked_disk), machine_keys)
    assert outcome.error is None
    assert outcome.sighting is not None
    assert outcome.sighting.verdict is Verdict.UNLOCKED
    assert Sign.ASKED not in outcome.sighting.also
    assert outcome.edited_bytes is None
    secret = outcome.launch.facts["secret"].record["secrets"][0]  # type: ignore[index]
    assert secret["trailing_nul_added"] is True


@pytest.mark.parametrize(
    ("memory", "initrd_size"), [(256, None), (256, 0), (1024, 3_000_001), (3072, None), (3072, 7)]
)
def test_firmware_accepts_the_kernel_with_any_memory_and_initrd(
    artifacts: Artifacts, machine_keys: PlatformKeys, memory: int, initrd_size: int | None
) -> None:
    # QEMU writes memory's and the initrd's sizes into the kernel's header.
    initrd = None
    if initrd_size is not None:
        initrd = artifacts.initrd.read_bytes() + bytes(initrd_size)
    guest = replace(kernel_guest(artifacts), initrd=initrd, cmdline="console=ttyS0 panic=-1")
    outcome = play(guest, setup(None, memory=memory << 20), machine_keys)
    assert outcome.error is None
    assert outcome.sighting is not None
    assert Sign.BOOTED in outcome.sighting.also
    assert Sign.REFUSED not in outcome.sighting.also
    assert outcome.sighting.verdict is Verdict.ENDED


def test_a_wrong_secret_leaves_the_disk_locked_on_the_kernel_route(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    guest = kernel_guest(artifacts, order(b"not the passphrase"))
    outcome = play(guest, setup(locked_disk), machine_keys)
    error = verdict_error(outcome)
    assert error is not None
    assert (error.code, error.exit_status) == ("guest-asked-for-a-passphrase", ExitStatus.HOST)
    assert outcome.secret_in_guest


def test_a_wrong_secret_makes_grub_ask_and_ours_halt(
    each_firmware: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    outcome = play(grub_guest(each_firmware, order(b"wrong")), setup(locked_disk), machine_keys)
    assert outcome.sighting is not None
    assert outcome.sighting.verdict is (Verdict.HALTED if each_firmware.halts else Verdict.ASKED)
    assert PASSPHRASE.decode() not in "".join(outcome.sighting.lines)


def test_without_a_secret_the_disk_stays_locked(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    outcome = play(kernel_guest(artifacts), setup(locked_disk), machine_keys)
    error = verdict_error(outcome)
    assert error is not None
    assert error.code == "guest-ended"
    assert "No secret reached the guest" in error.message
    assert outcome.packets == 0


def test_a_guest_that_shows_no_sign_in_time_is_stuck(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    outcome = play(kernel_guest(artifacts, order()), setup(locked_disk, limit=0.5), machine_keys)
    error = verdict_error(outcome)
    assert error is not None
    assert (error.code, error.exit_status) == ("guest-stuck", ExitStatus.HOST)
