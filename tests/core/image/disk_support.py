# SPDX-License-Identifier: Apache-2.0
"""Encrypted disks for tests, made by the system's own tools: GPT, an ESP, a LUKS root with ext4."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from watchword.core.errors import BadInput
from watchword.core.image.disk_access import RawDisk
from watchword.core.image.encrypted_volume import EncryptedVolume
from watchword.core.image.luks_header import read_luks
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Scrypt
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.vault import Vault

BOOT_KEY = b"Bootkey0Bootkey1Bootkey2Bootkey3Bootkey4Boot"
RECOVERY_KEY = b"a spare passphrase for bad days"
ENTRY, RECOVERY = "web1/disk", "web1/recovery"
UUID = "5fd3b1f4-2d47-4d67-9a17-0d0d3c9f8c11"
ROOT_AT = 2 << 20
ROOT_SIZE = {1: 6 << 20, 2: 20 << 20}
ENVIRONMENT = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LC_ALL": "C"}
SECTORS = "label: gpt\nstart=2048,size=2048,type=U\nstart=4096,size={},type=L,name=root\n"


def run(*words: str | Path, feed: bytes = b"", check: bool = True):
    return subprocess.run(
        [str(word) for word in words],
        input=feed,
        env=ENVIRONMENT,
        capture_output=True,
        check=check,
        timeout=60,
    )


def read_or_refused(read, *codes: str):
    """What ``read`` gives; None where it refuses with one of these codes."""
    refusal = None
    try:
        return read()
    except BadInput as error:
        refusal = error
    assert refusal.code in codes
    return None


def make_luks(path: Path, version: int, key: bytes = BOOT_KEY, size: int | None = None) -> None:
    """A LUKS volume in a plain file: boot key in slot 0, recovery key in slot 1."""
    with path.open("wb") as file:
        file.truncate(size or ROOT_SIZE[version])
    stretching = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations")
    run(
        *("cryptsetup", "luksFormat", "-q", "--type", f"luks{version}", *stretching, "1000"),
        *("--uuid", UUID, "--key-file=-", path),
        feed=key,
    )
    spare = path.with_name("spare")
    spare.write_bytes(RECOVERY_KEY)
    run(
        *("cryptsetup", "luksAddKey", "-q", *stretching, "150000"),
        *("--key-file=-", path, spare),
        feed=key,
    )
    spare.unlink()


def opens(path: Path, key: bytes, offset: int = 0) -> int | None:
    """cryptsetup's own word: the slot that a key opens; None for none."""
    header = path
    if offset:
        header = path.with_name("header-alone")
        with path.open("rb") as disk:
            disk.seek(offset)
            header.write_bytes(disk.read(17 << 20))
    done = run(
        *("cryptsetup", "open", "--test-passphrase", "-v", "--key-file=-", header),
        feed=key,
        check=False,
    )
    words = done.stdout.split()
    return int(words[words.index(b"slot") + 1]) if done.returncode == 0 else None


def initrd_with(key: bytes) -> bytes:
    """What stands for a packed initrd, and a second cpio behind it with the key in clear."""
    name = f"etc/cryptsetup-keys.d/luks-{UUID}.key\0".encode()
    fields = (1, 0o100600, 0, 0, 1, 0, len(key), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    head += bytes(-len(head) % 4)
    return os.urandom(9000) + bytes(1000) + head + key + bytes(512)


def root_tree(
    folder: Path, key: bytes, *, initrd: bytes | None = None, menu: str | None = None
) -> Path:
    """A root with the key where `image build` puts it, and a kernel's initrd.

    ``initrd`` stands for another one, ``menu`` for a GRUB menu that names one.
    """
    tree = folder / "tree"
    (tree / "etc/cryptsetup-keys.d").mkdir(parents=True)
    (tree / "boot").mkdir()
    (tree / "etc/hostname").write_text("web1\n")
    (tree / f"etc/cryptsetup-keys.d/luks-{UUID}.key").write_bytes(key)
    (tree / "boot/initrd.img-6.1").write_bytes(initrd_with(key) if initrd is None else initrd)
    (tree / "boot/initrd.img").symlink_to("initrd.img-6.1")
    if menu is not None:
        (tree / "boot/grub").mkdir()
        (tree / "boot/grub/grub.cfg").write_text(menu)
    return tree


def make_disk(
    folder: Path, version: int = 1, *, tree: Path | None = None, key: bytes = BOOT_KEY
) -> Path:
    """A raw GPT disk with an encrypted root that holds its key, as `image build` makes them."""
    luks, plain, disk = folder / "luks", folder / "plain", folder / "disk.img"
    make_luks(luks, version, key)
    header = read_luks(lambda at, size: _pread(luks, at, size), luks.stat().st_size)
    with plain.open("wb") as file:
        file.truncate(luks.stat().st_size - header.payload_offset)
    run("mkfs.ext4", "-q", "-F", "-d", tree or root_tree(folder, key), plain)
    encrypt(luks, plain, key)
    with disk.open("wb") as file:
        file.truncate(ROOT_AT + ROOT_SIZE[version] + (1 << 20))
    run("sfdisk", "-q", disk, feed=SECTORS.format(ROOT_SIZE[version] // 512).encode())
    with disk.open("r+b") as file:
        file.seek(ROOT_AT)
        file.write(luks.read_bytes())
    return disk


def encrypt(luks: Path, plain: Path, key: bytes) -> None:
    """Put the bytes of a plain file system into a LUKS volume."""
    with luks.open("r+b") as file:
        disk = RawDisk(file.fileno())
        header = read_luks(disk.read, disk.size)
        volume = EncryptedVolume(disk, 0, disk.size, header, volume_key(luks, key))
        data = plain.read_bytes()
        for at in range(0, len(data), 1 << 16):
            volume.write(at, data[at : at + (1 << 16)])


def volume_key(luks: Path, key: bytes) -> Secret:
    words = run(
        *("cryptsetup", "luksDump", "-q", "--dump-volume-key", "--key-file=-", luks), feed=key
    )
    digits = words.stdout.partition(b"MK dump:")[2].decode()
    return Secret(bytes.fromhex("".join(digits.split())))


def root_of(disk: Path, key: bytes) -> bytes:
    """The root of a disk, read by ourselves, which is faster."""
    with disk.open("rb") as file:
        raw = RawDisk(file.fileno())
        size = raw.size - ROOT_AT - (1 << 20)
        header = read_luks(lambda at, count: raw.read(ROOT_AT + at, count), size)
        alone = disk.with_name("root-alone")
        alone.write_bytes(raw.read(ROOT_AT, header.payload_offset))
        volume = EncryptedVolume(raw, ROOT_AT, size, header, volume_key(alone, key))
        return volume.read(0, volume.size)


def decrypted(disk: Path, key: bytes, version: int) -> bytes:
    """The root of a disk, read by dissect.fve, which shares no code with us."""
    from dissect.fve.luks import LUKS

    with disk.open("rb") as file:
        volume = LUKS(_Window(file, ROOT_AT, ROOT_SIZE[version]))
        volume.unlock_with_passphrase(key.decode())
        return volume.open().read(-1)


class _Window:
    """A part of a file, as a file."""

    def __init__(self, file, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def seek(self, at: int, whence: int = 0) -> int:
        self._at = at if whence == 0 else at + (self._at if whence == 1 else self._size)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        count = left if size < 0 else min(size, left)
        self._file.seek(self._start + self._at)
        data = self._file.read(count)
        self._at += len(data)
        return data


def _pread(path: Path, at: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(size)


@dataclass
class Desk:
    """A vault with both keys, and records, in a folder that outlives the process."""

    home: Path

    @property
    def ways(self):
        given = lambda: Secret(b"the passphrase of a test vault")  # noqa: E731 - short
        return {OpenWith.PASSPHRASE: PassphraseWay(given, given, Scrypt(14))}

    def make(self, key: bytes = BOOT_KEY) -> None:
        with Vault.create(self.home / "vault", self.ways[OpenWith.PASSPHRASE]) as vault:
            vault.add(ENTRY, EntryKind.DISK_SECRET, Secret(key))
            vault.add(RECOVERY, EntryKind.RECOVERY, Secret(RECOVERY_KEY))

    def vault(self) -> Vault:
        return Vault.open(self.home / "vault", self.ways)

    def records(self) -> Records:
        return Records.open(self.home)

    def value(self, name: str = ENTRY) -> bytes:
        with self.vault() as vault, vault.get(name).reveal() as view:
            return bytes(view)
