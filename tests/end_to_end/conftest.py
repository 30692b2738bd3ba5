# SPDX-License-Identifier: Apache-2.0
"""An encrypted image as `image build` makes it of a root that boots, with its vault, made once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from watchword.core.secret import Secret
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault

from ..core.image.build_support import PROGRAMS
from ..firmware.artifacts import BootFiles
from ..interop.command_line import Answer, watchword
from .guest_root import make_root

_PASSPHRASE = b"the passphrase of a test vault\n"
_TOOLS = (
    *PROGRAMS,
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("busybox", "busybox-static"),
)


@dataclass(frozen=True)
class BuiltGuest:
    """An image, and the home in which its keys and its profile are."""

    home: Path
    image: Path

    @classmethod
    def new(cls, folder: Path) -> BuiltGuest:
        """A home with an empty vault, and no image yet."""
        guest = cls(folder / "home", folder / "web1.qcow2")
        guest.home.mkdir(mode=0o700)
        (guest.home / "passphrase").write_bytes(_PASSPHRASE)
        Vault.create(guest.home / "vault", _way()).close()
        return guest

    def copied(self, folder: Path) -> BuiltGuest:
        """The same in another place, to be changed there."""
        copy = BuiltGuest(folder / "home", folder / "web1.qcow2")
        shutil.copytree(self.home, copy.home)
        shutil.copyfile(self.image, copy.image)
        return copy

    def value(self, entry: str) -> bytes:
        """An entry of the vault."""
        with (
            Vault.open(self.home / "vault", {OpenWith.PASSPHRASE: _way()}) as vault,
            vault.get(entry).reveal() as view,
        ):
            return bytes(view)

    def __call__(self, *words: str | Path) -> Answer:
        """Run a command that opens the vault."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WATCHWORD_HOME", str(self.home))
            return watchword(*words, "--passphrase-file", self.home / "passphrase")

    def build(self, root: Path, firmware: Path, *more: str) -> Answer:
        """Make the image, its keys and its profile ``web1``."""
        return self(
            *("image", "build", "--root", root, "--output", self.image, "--name", "web1"),
            *("--format", "qcow2", "--firmware", firmware, "--vcpus", "1", "--cpu", "EPYC-Milan"),
            *("--cmdline", "ro console=ttyS0", *more),
        )

    def rehearse(self, *more: str | Path) -> Answer:
        """Boot it by the ordinary launch of its profile."""
        words = ("rehearse", "--qemu", "--guest", "web1", "--disk", self.image)
        # "set up successfully" comes before the root has shown that it starts.
        return self(*words, "--unlocked-when", " login: ", "--time-limit", "120", *more)


def _way() -> PassphraseWay:
    def given() -> Secret:
        return Secret(_PASSPHRASE.strip())

    return PassphraseWay(given, given, Scrypt(14))


@pytest.fixture(scope="session")
def boot_tools(program: Callable[[str, str], Path]) -> Iterator[None]:
    """Everything that building and booting an image takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
        for name, package in _TOOLS:
            program(name, package)
        yield


@pytest.fixture(scope="session")
def grub_image(
    boot_tools: None,
    own_firmware: Path,
    stock_kernel: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BuiltGuest:
    """An image for the GRUB route, with Debian's own kernel; nothing may ever change it."""
    folder = tmp_path_factory.mktemp("grub")
    kernel, modules, scripts = (stock_kernel / name for name in ("vmlinuz", "modules", "initrd"))
    root = make_root(folder / "root.tar", kernel, modules, scripts)
    guest = BuiltGuest.new(folder)
    answer = guest.build(root, own_firmware)
    assert answer.status == 0, answer.payload
    return guest


@pytest.fixture(scope="session")
def kernel_image(
    boot_tools: None,
    own_firmware: Path,
    secret_kernel: BootFiles,
    stock_kernel: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> BuiltGuest:
    """An image for the kernel route, with a kernel that has efi_secret; nothing changes it."""
    folder = tmp_path_factory.mktemp("kernel")
    kernel = secret_kernel.kernel
    root = make_root(folder / "root.tar", kernel, kernel.parent, stock_kernel / "initrd")
    guest = BuiltGuest.new(folder)
    answer = guest.build(root, own_firmware, "--route", "kernel")
    assert answer.status == 0, answer.payload
    return guest
