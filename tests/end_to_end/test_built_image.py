# SPDX-License-Identifier: Apache-2.0
"""Images that `image build` makes, really booted by our own firmware: what opens them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..interop.command_line import Answer
from .conftest import BuiltGuest
from .guest_root import HELLO, KERNEL

pytestmark = pytest.mark.slow


def assert_unlocked(answer: Answer, status: int = 0) -> None:
    """The root's own program ran, of its own accord."""
    assert answer.status == status, answer.payload
    assert answer.payload["verdict"] == "unlocked"
    assert HELLO in answer.payload["console"]
    assert answer.payload["also"] == ["a-kernel-started"]
    assert (answer.payload["packets"], answer.payload["secret_on_console"]) == (1, False)


def assert_halted_by_firmware(answer: Answer, why: str) -> None:
    """It stopped by itself, before any kernel, with these words, and has asked nobody."""
    assert answer.status == 3, answer.payload
    assert answer.code == "guest-halted"
    assert answer.payload["verdict"] == "halted"
    assert answer.payload["also"] == []
    assert why in answer.payload["error"]["message"]
    assert "No kernel had started: it was firmware." in answer.payload["error"]["message"]
    assert HELLO not in answer.payload["console"]


def test_the_boot_key_opens_the_image_by_an_ordinary_launch_without_any_waiver(
    grub_image: BuiltGuest,
) -> None:
    answer = grub_image.rehearse()
    assert_unlocked(answer)
    assert answer.payload["waivers"] == {}
    assert answer.payload["complete"] is True
    # What GRUB was told by the menu that lies on the encrypted disk.
    menu = rf"BOOT_IMAGE=/{KERNEL} root=UUID=\S+ rd\.luks\.uuid=\S+ ro console=ttyS0"
    assert any(re.fullmatch(menu, line) for line in answer.payload["console"])


def test_the_recovery_key_opens_the_same_image(grub_image: BuiltGuest) -> None:
    assert_unlocked(grub_image.rehearse("--vault-secret", "disk-passphrase=web1/recovery"))


@pytest.fixture(scope="module")
def rekeyed(grub_image: BuiltGuest, tmp_path_factory: pytest.TempPathFactory) -> BuiltGuest:
    """A copy whose boot key was replaced twice; the one of before is in the file ``old``.

    The second time it comes back to slot 0: behind the recovery key's slot, GRUB takes
    twenty seconds more to get there.
    """
    guest = grub_image.copied(tmp_path_factory.mktemp("rekeyed"))
    for slot in (2, 0):
        (guest.home / "old").write_bytes(guest.value("web1/disk"))
        done = guest("image", "rekey", guest.image, "--entry", "web1/disk")
        assert done.status == 0, done.payload
        assert done.payload["added_slot"] == slot
        assert len(done.payload["files"]) == 2, "key file and initrd"
    return guest


def test_after_a_rekey_the_new_key_opens_the_image(rekeyed: BuiltGuest) -> None:
    assert rekeyed.value("web1/disk") != (rekeyed.home / "old").read_bytes()
    assert_unlocked(rekeyed.rehearse())


def test_after_a_rekey_the_old_key_is_a_wrong_one_and_halts_it_without_a_prompt(
    rekeyed: BuiltGuest,
) -> None:
    answer = rekeyed.rehearse("--secret", f"disk-passphrase={rekeyed.home / 'old'}")
    assert_halted_by_firmware(answer, "WATCHWORD-GRUB halted: the launch secret opens no disk")


@pytest.mark.parametrize("vcpus", ["1", "2"])  # with two, edk2's bug 4186 took the secret away
def test_the_kernel_route_opens_its_image_by_the_injected_secret(
    kernel_image: BuiltGuest, vcpus: str
) -> None:
    answer = kernel_image.rehearse("--vcpus", vcpus)
    assert_unlocked(answer)
    assert answer.payload["waivers"] == {}


def test_edk2s_own_grub_opens_the_image_too_once_its_faults_are_waived(
    grub_image: BuiltGuest, shared_artifacts: Path
) -> None:
    firmware = ("--firmware", shared_artifacts / "OVMF.amdsev.fd")
    refused = grub_image.rehearse(*firmware)
    assert (refused.status, refused.code) == (3, "firmware-refused")
    assert "packets" not in refused.payload
    assert_unlocked(grub_image.rehearse(*firmware, "--waive-firmware", "a test"), status=8)
