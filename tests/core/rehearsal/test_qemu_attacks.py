# SPDX-License-Identifier: Apache-2.0
"""Hostile hosts with a guest that really boots: refused at the right place, the disk locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchword.core.errors import ExitStatus
from watchword.core.rehearsal.qemu_console import Sign
from watchword.core.rehearsal.qemu_run import guest_behaviours
from watchword.core.rehearsal.qemu_verdict import Verdict
from watchword.core.rehearsal.qemu_words import verdict_error
from watchword.core.simulator import Disk, PlatformKeys

from .locked_disk import Artifacts, make_disk
from .qemu_play import grub_guest, kernel_guest, order, play, setup

pytestmark = pytest.mark.slow

REFUSED = {
    "forged-chain": ("platform", "chain-refused", ExitStatus.REFUSED),
    "wrong-firmware": ("measurement", "measurement-mismatch", ExitStatus.REFUSED),
    # The altered kernel's own hashes are measured: the table is altered with it.
    "wrong-kernel": ("measurement", "measurement-mismatch", ExitStatus.REFUSED),
    "replayed-measurement": ("measurement", "measurement-mismatch", ExitStatus.REFUSED),
    "policy-downgrade": ("measurement", "measurement-mismatch", ExitStatus.REFUSED),
    "cloned-launch": ("secret", "packet-refused", ExitStatus.REFUSED),
    "tampered-packet": ("secret", "packet-refused", ExitStatus.REFUSED),
    "state-lies": ("secret", "guest-state-forbids", ExitStatus.HOST),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_the_launch_ends_where_the_lie_shows_and_the_guest_never_has_the_secret(
    each_firmware: Artifacts, locked_disk: Path, machine_keys: PlatformKeys, attack: str
) -> None:
    step, code, status = REFUSED[attack]
    guest = kernel_guest(each_firmware, order())
    outcome = play(guest, setup(locked_disk), machine_keys, attack)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.exit_status) == (code, status)
    assert verdict_error(outcome, attack) is outcome.error
    assert [one.step.id for one in outcome.launch.statuses() if one.state == "failed"] == [step]
    assert outcome.sighting is None
    assert not outcome.secret_in_guest


def test_a_host_that_only_says_it_injected_leaves_the_disk_locked(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    guest = grub_guest(artifacts, order())
    outcome = play(guest, setup(locked_disk), machine_keys, "says-injected-but-not")
    error = verdict_error(outcome)
    assert error is not None
    assert error.code == ("guest-halted" if artifacts.halts else "guest-asked-for-a-passphrase")
    assert "No secret reached the guest" in error.message
    assert (outcome.packets, outcome.secret_in_guest) == (0, False)


def test_the_right_table_with_other_kernel_bytes_is_refused_by_the_firmware(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys
) -> None:
    guest = kernel_guest(artifacts, order())
    outcome = play(guest, setup(locked_disk), machine_keys, "swapped-kernel")
    # No measurement covers it: the owner's checks all pass.
    assert outcome.error is None
    assert outcome.launch.complete
    error = verdict_error(outcome, "swapped-kernel")
    assert error is not None
    assert error.exit_status is ExitStatus.REFUSED
    assert outcome.sighting is not None
    if artifacts.halts:
        assert outcome.sighting.verdict in (Verdict.HALTED, Verdict.KERNEL_REFUSED)
        assert Sign.UNLOCKED not in outcome.sighting.also
    else:
        assert outcome.sighting.verdict is Verdict.KERNEL_REFUSED
        # What issue 6 warns of: this firmware's GRUB then opens the disk.
        assert ("OPENED THE DISK" in error.message) == (Sign.UNLOCKED in outcome.sighting.also)


@pytest.mark.parametrize("route", [kernel_guest, grub_guest])
def test_an_empty_disk_of_the_hosts_gets_no_secret_to_read(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys, route
) -> None:
    outcome = play(route(artifacts, order()), setup(locked_disk), machine_keys, "own-disk")
    assert outcome.sighting is not None
    assert outcome.sighting.verdict in (Verdict.ASKED, Verdict.ENDED, Verdict.HALTED)
    assert not outcome.sighting.leaked


def test_an_encrypted_disk_of_the_hosts_gets_no_secret_to_read(
    artifacts: Artifacts, locked_disk: Path, machine_keys: PlatformKeys, tmp_path: Path
) -> None:
    theirs = Disk(make_disk(artifacts, tmp_path, b"a passphrase of the host's"))
    how = setup(locked_disk, host_disk=theirs)
    outcome = play(grub_guest(artifacts, order()), how, machine_keys, "own-disk")
    assert outcome.sighting is not None
    # It would open to whoever types its passphrase: nobody does here.
    assert outcome.sighting.verdict in (Verdict.ASKED, Verdict.ENDED, Verdict.HALTED)
    assert not outcome.sighting.leaked


def test_every_attack_that_is_offered_has_a_name_of_its_own() -> None:
    names = [behaviour.attack for behaviour in guest_behaviours()]
    assert names[0] is None
    assert len(set(names)) == len(names)
    assert {"swapped-kernel", "own-disk", "tampered-packet"} <= set(names)
