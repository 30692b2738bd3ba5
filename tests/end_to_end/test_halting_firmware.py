# SPDX-License-Identifier: Apache-2.0
"""Our own firmware where something is not the owner's: it halts, asks nobody, and tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..core.rehearsal.locked_disk import gather_artifacts, make_disk
from ..firmware.artifacts import BootFiles
from .conftest import BuiltGuest
from .test_built_image import assert_halted_by_firmware

pytestmark = pytest.mark.slow

NO_KEY = "WATCHWORD-GRUB halted: no disk key in the launch secret"
OPENS_NOTHING = "WATCHWORD-GRUB halted: the launch secret opens no disk"


def test_other_kernel_bytes_than_the_measured_ones_match_the_measurement_and_halt_it(
    kernel_image: BuiltGuest,
) -> None:
    answer = kernel_image.rehearse("--attack", "swapped-kernel")
    assert_halted_by_firmware(
        answer, "WATCHWORD-OVMF halted: not the measured kernel, initrd or command line"
    )
    # No measurement covers it: all that the owner could check was in order.
    assert answer.payload["complete"] is True
    assert answer.payload["secret_in_guest"] is True


def test_without_a_secret_it_halts(grub_image: BuiltGuest, own_firmware: Path) -> None:
    words = ("rehearse", "--qemu", "--firmware", own_firmware, "--disk", grub_image.image)
    answer = grub_image(*words, "--vcpus", "1", "--time-limit", "60")
    assert_halted_by_firmware(answer, NO_KEY)
    assert "No secret reached the guest" in answer.payload["error"]["message"]
    assert answer.payload["packets"] == 0


def test_a_host_that_only_says_it_injected_halts_it(grub_image: BuiltGuest) -> None:
    assert_halted_by_firmware(grub_image.rehearse("--attack", "says-injected-but-not"), NO_KEY)


@pytest.mark.parametrize("disk", ["empty", "encrypted"])
def test_a_disk_of_the_hosts_own_gets_no_secret_to_read(
    grub_image: BuiltGuest, own_firmware: Path, secret_kernel: BootFiles, tmp_path: Path, disk: str
) -> None:
    words: tuple[str | Path, ...] = ("--attack", "own-disk")
    if disk == "encrypted":
        folder = tmp_path / "theirs"
        folder.mkdir()
        files = gather_artifacts(folder, own_firmware, secret_kernel)
        theirs = make_disk(files, tmp_path, b"a passphrase of the host's")
        words = (*words, "--host-disk", theirs)
    answer = grub_image.rehearse(*words)
    assert_halted_by_firmware(answer, OPENS_NOTHING)
    assert answer.payload["secret_on_console"] is False


def test_a_measured_kernel_tells_a_disk_of_the_hosts_nothing(kernel_image: BuiltGuest) -> None:
    answer = kernel_image.rehearse("--attack", "own-disk")
    assert (answer.status, answer.code) == (4, "guest-ended")
    assert answer.payload["secret_on_console"] is False
