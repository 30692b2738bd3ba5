# SPDX-License-Identifier: Apache-2.0
"""Makes small encrypted disks for tests: GPT, an ESP, and ext4 in LUKS1; without root."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...firmware.artifacts import BootFiles, artifacts_folder

PASSPHRASE = b"correct horse battery staple"
HELLO = "hello from inside the encrypted disk"
UNLOCKED = f"SIM-ROOT {HELLO}"
"""What the guest of the artifacts prints once it has read a file on the opened disk."""

_SECTOR = 512
_ROOT_MIB = 32
_FIRST = 2048
_SECONDS = 60
_GRUB = """echo "SIM-GRUB stage 2"
linux /boot/vmlinuz console=ttyS0
initrd /boot/initrd.gz
boot
"""
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "cryptsetup": "cryptsetup-bin",
    "mkfs.ext4": "e2fsprogs",
    "sfdisk": "fdisk",
}
"""Programs and the Debian packages that hold them."""


@dataclass(frozen=True)
class Artifacts:
    """Firmware, kernel and initrd that know what to do with a secret."""

    folder: Path

    @property
    def halts(self) -> bool:
        """Whether the firmware halts at a kernel that is not the measured one."""
        return (self.folder / "HALTS").exists()

    @property
    def firmware(self) -> Path:
        """AmdSev OVMF with GRUB inside."""
        return self.folder / "OVMF.amdsev.fd"

    @property
    def kernel(self) -> Path:
        """A Linux with efi_secret."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """An initrd that opens the disk with the secret, prints UNLOCKED, and powers off."""
        return self.folder / "initrd.gz"


def find_artifacts() -> Artifacts | None:
    """Those of WATCHWORD_ARTIFACTS, or the given ones, if they are there."""
    folder = Path(os.environ.get("WATCHWORD_ARTIFACTS") or artifacts_folder())
    return Artifacts(folder) if (folder / "OVMF.amdsev.fd").is_file() else None


def gather_artifacts(folder: Path, firmware: Path, kernel: BootFiles) -> Artifacts:
    """Our own firmware, which halts, and a kernel with efi_secret, in an empty folder."""
    ours = Artifacts(folder)
    ours.firmware.symlink_to(firmware)
    ours.kernel.symlink_to(kernel.kernel)
    ours.initrd.symlink_to(kernel.initrd)
    (folder / "grubmods").mkdir()  # all that its GRUB can do is inside it
    (folder / "HALTS").touch()
    return ours


def make_disk(artifacts: Artifacts, folder: Path, passphrase: bytes = PASSPHRASE) -> Path:
    """A disk for both routes, raw: GRUB finds kernel and initrd inside the encrypted root."""
    key = folder / "key"
    key.write_bytes(passphrase)
    root = folder / "root"
    _fill(root, artifacts, passphrase)
    plain, luks, disk = folder / "root.ext4", folder / "luks", folder / "disk.img"
    _run("mkfs.ext4", "-q", "-F", "-L", "root", "-d", root, plain, f"{_ROOT_MIB}M")
    luks.touch()
    os.truncate(luks, (_ROOT_MIB + 4) << 20)
    options = "--batch-mode --type luks1 --cipher aes-xts-plain64 --key-size 512 --hash sha256"
    _run(
        "cryptsetup",
        "luksFormat",
        *options.split(),
        *("--pbkdf-force-iterations", "1000", "--key-file", key, luks),
    )
    listed = _run("cryptsetup", "luksDump", luks)
    offset = next(line.split()[2] for line in listed.splitlines() if "Payload offset" in line)
    os.truncate(luks, int(offset) * _SECTOR + (_ROOT_MIB << 20))
    # Not with qemu-img's own header: its benchmark fails at random.
    _run(
        *("qemu-img", "convert", "-n", "--object", f"secret,id=s0,file={key}", "-f", "raw"),
        *("--target-image-opts", plain),
        f"driver=luks,key-secret=s0,file.driver=file,file.filename={luks}",
    )
    _partition(disk, luks)
    for spent in (key, plain, luks):
        spent.unlink()
    shutil.rmtree(root)
    return disk


def _fill(root: Path, artifacts: Artifacts, passphrase: bytes) -> None:
    modules = root / "boot" / "grub" / "x86_64-efi"
    modules.mkdir(parents=True)
    for module in (artifacts.folder / "grubmods").iterdir():
        shutil.copy(module, modules)
    (root / "hello.txt").write_text(HELLO + "\n")
    shutil.copy(artifacts.kernel, root / "boot" / "vmlinuz")
    # GRUB wipes the secret that it used: Linux has the key in its initrd, inside the disk.
    initrd = artifacts.initrd.read_bytes()
    padding = bytes(-len(initrd) % 4)
    (root / "boot" / "initrd.gz").write_bytes(initrd + padding + _cpio("etc/root.key", passphrase))
    (root / "boot" / "grub" / "grub.cfg").write_text(_GRUB)


def _partition(disk: Path, luks: Path) -> None:
    sectors = luks.stat().st_size // _SECTOR
    disk.touch()
    os.truncate(disk, (_FIRST + 2048 + sectors + 2048) * _SECTOR)
    table = f"label: gpt\nstart={_FIRST}, size=2048, type=uefi\n"
    table += f"start={_FIRST + 2048}, size={sectors}, type=linux\n"
    _run("sfdisk", "-q", disk, given=table)
    with disk.open("r+b") as target, luks.open("rb") as source:
        target.seek((_FIRST + 2048) * _SECTOR)
        shutil.copyfileobj(source, target, 1 << 20)


def _cpio(name: str, content: bytes) -> bytes:
    """An archive of one file and its folder, in the form that Linux unpacks (newc)."""
    folder = _member(name.rpartition("/")[0], 0o040755, b"")
    return folder + _member(name, 0o100600, content) + _member("TRAILER!!!", 0, b"")


def _member(name: str, mode: int, content: bytes) -> bytes:
    fields = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def _run(*command: object, given: str = "") -> str:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    program = shutil.which(str(command[0]), path=path)
    assert program is not None, command[0]
    ended = subprocess.run(
        [program, *map(str, command[1:])],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env={"PATH": path, "LC_ALL": "C"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
