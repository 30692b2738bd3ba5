# SPDX-License-Identifier: Apache-2.0
"""The image builder as a whole: what comes out is read back by other people's programs."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest
from dissect.fve.luks import LUKS

from watchword.core.image.disk_access import ImageFormat
from watchword.core.image.ext4_files import Ext4
from watchword.core.image.order import ImageOrder, Stage
from watchword.core.image.used_blocks import used_parts
from watchword.core.ledger.entries import EntryKind as LedgerKind
from watchword.core.sev.secret_table import Route
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.vault import Vault

from . import root_tree
from .build_support import build, order_of, text_of
from .root_tree import CAPABILITY, KERNEL, Tree, bootable, rich

MIB = 1 << 20
pytestmark = pytest.mark.usefixtures("build_tools")


def partition(path: Path) -> tuple[int, int]:
    listed = subprocess.run(["sfdisk", "-d", path], capture_output=True, text=True, check=True)
    line = next(line for line in listed.stdout.splitlines() if "cryptroot" in line)
    start, size = (int(line.split(f"{w}=")[1].split(",")[0]) * 512 for w in ("start", "size"))
    return start, size


def decrypted(path: Path, key: bytes, slot: int) -> BinaryIO:
    """The data of the second partition, by a reader that shares nothing with us."""
    start, size = partition(path)
    with path.open("rb") as file:
        file.seek(start)
        volume = LUKS(io.BytesIO(file.read(size)))
    volume.unlock_with_passphrase(key, slot)
    return volume.open()


def decrypted_by_qemu(path: Path, key: bytes, target: Path) -> bytes:
    """All of the data; the reader above takes half a minute for that."""
    start, size = partition(path)
    secret = target.with_suffix(".key")
    secret.write_bytes(key)
    options = f"driver=luks,key-secret=k,file.driver=raw,file.offset={start},file.size={size}"
    options += f",file.file.driver=file,file.file.filename={path}"
    words = ["--object", f"secret,id=k,file={secret}", "--image-opts", options, "-O", "raw", target]
    subprocess.run(["qemu-img", "convert", *words], check=True)
    return target.read_bytes()


def debugfs(path: Path, command: str) -> str:
    done = subprocess.run(
        ["debugfs", "-R", command, path], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("route", list(Route))
@pytest.mark.parametrize("form", list(ImageFormat))
def test_both_keys_open_the_disk_and_it_holds_what_went_in(
    tmp_path: Path, vault: Vault, plain: Path, route: Route, form: ImageFormat
) -> None:
    seen: list[Stage] = []
    order = order_of(tmp_path, bootable(tmp_path / "root.tar", more=rich), route=route, format=form)
    built = build(order, vault, observe=lambda progress: seen.append(progress.stage))
    assert stat.S_IMODE(built.path.stat().st_mode) == 0o600
    raw = built.path
    if form is ImageFormat.QCOW2:
        raw = tmp_path / "raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", built.path, raw], check=True)
    boot, recovery = text_of(vault, "web1/disk"), text_of(vault, "web1/recovery")
    assert [info.kind for info in vault.list()] == [EntryKind.DISK_SECRET, EntryKind.RECOVERY]
    before = plain.read_bytes()
    assert boot not in before, "the key has lain in clear on the disk"
    descriptor = os.open(plain, os.O_RDONLY)
    try:
        parts = list(used_parts(descriptor))
    finally:
        os.close(descriptor)
    found, spare = decrypted(raw, boot, 0), decrypted(raw, recovery, 1)
    spare.seek(parts[-1][0])
    assert spare.read(4096) == before[parts[-1][0] :][:4096]
    differing, new = 0, b""
    for offset, size in parts:
        one = before[offset : offset + size]
        found.seek(offset)
        other = found.read(size)
        if one != other:  # only where the key stands now
            differing += sum(a != b for a, b in zip(one, other, strict=True))
        new += other
    if route is Route.KERNEL:
        assert differing == 0
        assert built.kernel.read_bytes() == KERNEL
        assert boot not in built.initrd.read_bytes()
        assert stat.S_IMODE(built.initrd.stat().st_mode) == 0o600
    else:
        assert new.count(boot) == 2  # key file and initial RAM disk
        assert 0 < differing <= 2 * len(boot)
    assert built.luks == (1 if route is Route.GRUB else 2)
    assert list(dict.fromkeys(seen)) == [
        stage for stage in Stage if stage is not Stage.CONVERT or form is ImageFormat.QCOW2
    ]
    assert sorted(path.name for path in order.output.parent.iterdir()) == sorted(
        path.name for path in (built.path, built.kernel, built.initrd) if path is not None
    )


@pytest.mark.parametrize("route", list(Route))
def test_cryptsetup_takes_the_header_and_both_keys(
    tmp_path: Path, vault: Vault, route: Route
) -> None:
    order = order_of(tmp_path, bootable(tmp_path / "root.tar"), route=route)
    built = build(order, vault)
    volume = tmp_path / "volume"
    with built.path.open("rb") as file:
        file.seek(65 * MIB)
        volume.write_bytes(file.read(24 * MIB))
    dump = subprocess.run(
        ["cryptsetup", "luksDump", volume], capture_output=True, text=True, check=True
    ).stdout
    assert built.luks_uuid in dump
    for slot, name in enumerate(("web1/disk", "web1/recovery")):
        key = text_of(vault, name)
        words = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", volume]
        subprocess.run([*words, "--key-slot", str(slot)], input=key, check=True)
        wrong = subprocess.run(
            [*words, "--key-slot", str(1 - slot)], input=key, check=False, capture_output=True
        )
        assert wrong.returncode == 2


def test_owners_modes_links_devices_and_attributes_of_the_tar_are_in_the_image(
    tmp_path: Path, vault: Vault, plain: Path
) -> None:
    build(order_of(tmp_path, bootable(tmp_path / "root.tar", more=rich)), vault)
    checked = subprocess.run(["e2fsck", "-fn", plain], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    ping = debugfs(plain, "stat /usr/bin/ping")
    assert "Mode:  04755" in ping
    assert "User: 100001   Group: 70000" in ping
    assert "Links: 2" in ping
    assert debugfs(plain, "stat /usr/bin/ping4").splitlines()[0] == ping.splitlines()[0]
    raw = debugfs(plain, "ea_get -x /usr/bin/ping security.capability").replace(" ", "")
    assert CAPABILITY.hex() in raw
    assert "system_u:object_r:etc_t:s0" in debugfs(plain, "ea_list /etc/labelled")
    assert 'Fast link dest: "hello.txt"' in debugfs(plain, "stat /etc/short")
    assert "Size: 103" in debugfs(plain, "stat /etc/long")
    assert "Device major/minor number: 01:03" in debugfs(plain, "stat /dev/null")
    assert "259" in debugfs(plain, "stat /dev/nvme")
    assert "FIFO" in debugfs(plain, "stat /dev/pipe")
    assert debugfs(plain, "cat /etc/again") == "the later one"
    assert "Blockcount: 8" in debugfs(plain, "stat /etc/zeros")
    data = plain.read_bytes()
    system = Ext4(lambda offset, size: data[offset : offset + size], len(data))
    many = dict(system.folder(system.find("/var/lib/many")))
    assert len(many) >= 600
    for name in ("/etc/hello.txt", "/etc/zeros", "/usr/bin/ping"):
        inode = system.find(name)
        with tarfile.open(tmp_path / "root.tar") as tar:
            wanted = tar.extractfile(name[1:]).read()
        assert system.read(inode, 0, inode.size) == wanted


def test_the_guest_finds_what_it_needs_to_start(tmp_path: Path, vault: Vault, plain: Path) -> None:
    def more(tree: Tree) -> None:
        tree.add("etc/selinux/config", b"SELINUX=enforcing\n")
        tree.add("etc/crypttab", b"old UUID=1 none luks\n")

    built = build(order_of(tmp_path, bootable(tmp_path / "root.tar", more=more)), vault)
    key = f"/etc/cryptsetup-keys.d/luks-{built.luks_uuid}.key"
    crypttab = debugfs(plain, "cat /etc/crypttab")
    assert crypttab == (
        f"# by Watchword: old UUID=1 none luks\ncr_root UUID={built.luks_uuid} {key} luks\n"
    )
    fstab = debugfs(plain, "cat /etc/fstab").splitlines()
    assert fstab[:2] == [
        "# by Watchword: /dev/sda1 / ext4 defaults 0 1",
        "tmpfs /tmp tmpfs defaults 0 0",
    ]
    assert fstab[2].endswith(" / ext4 errors=remount-ro 0 1")
    assert " /boot/efi vfat " in fstab[3]
    assert "Mode:  0600" in debugfs(plain, f"stat {key}")
    assert "Mode:  0700" in debugfs(plain, "stat /etc/cryptsetup-keys.d")
    grub = debugfs(plain, "cat /etc/default/grub")
    assert "GRUB_ENABLE_CRYPTODISK=y\n" in grub
    assert f"rd.luks.uuid={built.luks_uuid}" in grub
    assert "/etc/cryptsetup-keys.d/*" in debugfs(plain, "cat /etc/dracut.conf.d/cryptodisk.conf")
    pattern = debugfs(plain, "cat /etc/cryptsetup-initramfs/conf-hook")
    assert pattern == 'KEYFILE_PATTERN="/etc/cryptsetup-keys.d/*"\n'
    menu = debugfs(plain, "cat /boot/grub/grub.cfg")
    assert menu == debugfs(plain, "cat /boot/grub2/grub.cfg")
    assert "linux /boot/vmlinuz-6.1.0-10-amd64 root=UUID=" in menu, "the newest kernel"
    assert "Size: 0" in debugfs(plain, "stat /.autorelabel")
    assert "vmlinuz-6.1.0-9-amd64" not in menu, "nothing could open the disk for it"
    assert [warning.partition(" would")[0] for warning in built.warnings] == [
        "The older kernel /boot/vmlinuz-6.1.0-9-amd64"
    ]
    listed = tmp_path / "initrd"
    debugfs(plain, f"dump /boot/initrd.img-6.1.0-10-amd64 {listed}")
    initrd = listed.read_bytes()
    original = root_tree.debian_initrd()
    assert initrd.startswith(original)
    second = initrd[len(original) + -len(original) % 4 :]
    names = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=second, capture_output=True, check=True
    ).stdout.decode()
    assert "-rw-------   1 root     root" in names
    assert "cryptroot/keyfiles/cr_root.key" in names
    assert "drwx------" in names


def test_every_kernel_of_the_menu_is_given_the_key(
    tmp_path: Path, vault: Vault, plain: Path
) -> None:
    def older(tree: Tree) -> None:
        tree.add("boot/initrd.img-6.1.0-9-amd64", root_tree.debian_initrd())
        tree.add("boot/vmlinuz", kind=tarfile.SYMTYPE, link="vmlinuz-6.1.0-9-amd64")
        tree.add("boot/initrd.img", kind=tarfile.SYMTYPE, link="initrd.img-6.1.0-9-amd64")

    built = build(order_of(tmp_path, bootable(tmp_path / "root.tar", more=older)), vault)
    assert built.warnings == ()
    menu = debugfs(plain, "cat /boot/grub/grub.cfg")
    named = [line.split()[1] for line in menu.splitlines() if line.startswith("  initrd ")]
    assert named == [f"/boot/initrd.img-6.1.0-{number}-amd64" for number in (10, 9)]
    key = debugfs(plain, f"cat /etc/cryptsetup-keys.d/luks-{built.luks_uuid}.key").encode()
    for path in named:
        copy = tmp_path / "initrd"
        debugfs(plain, f"dump {path} {copy}")
        assert copy.read_bytes().count(key) == 1
        assert "Mode:  0600" in debugfs(plain, f"stat {path}")


def test_the_esp_has_grub_where_firmware_looks_and_its_script_never_asks(
    tmp_path: Path, vault: Vault
) -> None:
    built = build(order_of(tmp_path, bootable(tmp_path / "root.tar")), vault)
    where = f"{built.path}@@1M"
    listed = subprocess.run(
        ["mdir", "-/", "-b", "-i", where, "::"], capture_output=True, text=True, check=True
    ).stdout
    assert "::/EFI/BOOT/BOOTX64.EFI" in listed
    from watchword.core.image.esp import grub_script

    script = grub_script(built.luks_uuid)
    words = ["mcopy", "-i", where, "::/EFI/BOOT/BOOTX64.EFI", "-"]
    grub = subprocess.run(words, capture_output=True, check=True).stdout
    assert script.encode() in grub, "without its script GRUB gives the host a shell"
    for line in script.splitlines():
        assert "cryptomount -a" not in line
        if "cryptomount" in line:
            assert "cryptomount -s" in line
    assert script.rstrip().endswith("halt")
    done = subprocess.run(
        ["grub-script-check"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_and_the_root_of_an_older_image_serve_as_well(
    tmp_path: Path, vault: Vault
) -> None:
    folder = tmp_path / "root"
    with tarfile.open(bootable(tmp_path / "root.tar")) as tar:
        tar.extractall(folder, filter="data")
    first = build(order_of(tmp_path, folder), vault)
    disk = tmp_path / "old.img"
    with disk.open("wb") as file:
        file.truncate(80 * MIB)
    subprocess.run(
        ["sfdisk", "-q", disk], input=b"label: gpt\nstart=2048, size=131072\n", check=True
    )
    subprocess.run(
        ["mkfs.ext4", "-q", "-d", folder, "-E", f"offset={MIB}", disk, "64M"], check=True
    )
    qcow2 = tmp_path / "old.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk, qcow2], check=True)
    second = build(ImageOrder(qcow2, tmp_path / "out" / "b.img", "web2", size=200 * MIB), vault)
    for built, name in ((first, "web1"), (second, "web2")):
        copy = tmp_path / f"{name}.copy"
        data = decrypted_by_qemu(built.path, text_of(vault, f"{name}/disk"), copy)
        assert b"Hello from the encrypted root" in data
        subprocess.run(["e2fsck", "-fn", copy], check=True, capture_output=True)
    assert second.size == 200 * MIB


def test_profile_and_ledger_name_the_image(tmp_path: Path, vault: Vault) -> None:
    from watchword.core.guest.store import ProfileStore
    from watchword.core.ledger.ledger import Ledger
    from watchword.core.records.database import Records
    from watchword.core.simulator.firmware_builder import build_firmware

    firmware = tmp_path / "OVMF.fd"
    firmware.write_bytes(build_firmware())
    store = ProfileStore(tmp_path / "guests")
    order = order_of(
        tmp_path,
        bootable(tmp_path / "root.tar"),
        route=Route.KERNEL,
        firmware=firmware,
        vcpus="1-2",
        cpu="EPYC-Milan",
    )
    with Records.open(tmp_path / "records") as records:
        ledger = Ledger(records)
        built = build(order, vault, profiles=store, ledger=ledger)
        entries = list(ledger.entries(kinds=[LedgerKind.IMAGE_BUILT]))
    profile = store.load("web1").profile
    assert built.profile == "web1"
    assert profile.secrets == {"disk-passphrase": "web1/disk"}
    assert profile.kernel[0].path == str(built.kernel)
    assert profile.kernel[0].is_approved
    assert profile.cmdline[0].text == built.cmdline
    assert entries[0].body["luks_uuid"] == built.luks_uuid
    assert entries[0].body["header_sha256"] == built.header_sha256
    assert text_of(vault, "web1/disk").decode() not in str(entries[0].as_json())
