# SPDX-License-Identifier: Apache-2.0
"""A new boot key comes into slot, root, vault and ledger together, or nothing is changed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.image import luks_tool
from watchword.core.image.disk_access import opened_image
from watchword.core.image.encrypted_volume import EncryptedVolume
from watchword.core.image.image_history import Standing
from watchword.core.image.inspection import encrypted_volume, inspect_image
from watchword.core.image.key_check import check_image
from watchword.core.image.programs import KeyPipe
from watchword.core.image.rekey import rekey_image
from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.secret import Secret

from .disk_support import (
    BOOT_KEY,
    ENTRY,
    RECOVERY,
    RECOVERY_KEY,
    ROOT_AT,
    ROOT_SIZE,
    decrypted,
    make_disk,
    opens,
    root_tree,
    run,
    volume_key,
)

FORMS = [(1, "raw"), (2, "raw"), (1, "qcow2"), (2, "qcow2")]


def rekey(desk, path, **options):
    options.setdefault("recovery", RECOVERY)
    with desk.vault() as vault, desk.records() as records:
        return asyncio.run(rekey_image(path, vault, Ledger(records), ENTRY, **options))


def check(desk, path, entry=ENTRY, recovery=None):
    with desk.vault() as vault, desk.records() as records:
        return asyncio.run(check_image(path, vault, Ledger(records), entry, recovery))


def inspect(desk, path):
    with desk.records() as records:
        return inspect_image(path, Ledger(records))


def as_raw(path: Path) -> Path:
    if path.suffix != ".qcow2":
        return path
    raw = path.with_suffix(".as-raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw


def slots(path):
    with opened_image(path) as image:
        return [slot.number for slot in encrypted_volume(image)[1].slots]


@pytest.mark.parametrize(("version", "form"), FORMS)
def test_the_new_key_is_everywhere_and_the_old_one_nowhere(desk, disk, made_disks, version, form):
    path = disk(version, form)
    before = (made_disks(version, "raw").parent / "plain").read_bytes()
    done = rekey(desk, path)
    new = desk.value()
    raw = as_raw(path)
    assert (done.removed_slot, done.added_slot, done.recovery_slot) == (0, 2, 1)
    assert opens(raw, new, ROOT_AT) == 2
    assert opens(raw, RECOVERY_KEY, ROOT_AT) == 1
    assert opens(raw, BOOT_KEY, ROOT_AT) is None
    # Every other byte of the root is as it was, read by somebody else's program.
    assert before.count(BOOT_KEY) == len(done.files) == 2
    assert decrypted(raw, new, version) == before.replace(BOOT_KEY, new)
    with desk.vault() as vault:
        assert {info.name for info in vault.list()} == {ENTRY, RECOVERY}
    if form == "qcow2":
        run("qemu-img", "check", "-q", path)


def test_the_file_system_inside_is_whole(desk, disk, tmp_path):
    path = disk()
    rekey(desk, path)
    plain = tmp_path / "plain"
    plain.write_bytes(decrypted(path, desk.value(), 1))
    assert run("e2fsck", "-fn", plain).returncode == 0
    listing = run("debugfs", "-R", "stat /etc/hostname", plain).stdout
    assert b"Size: 5" in listing


def test_the_ledger_knows_new_image_and_older_copy(desk, disk):
    path, copy = disk(), disk(name="copy")
    assert inspect(desk, path).history.standing is Standing.UNKNOWN
    done = rekey(desk, path)
    assert inspect(desk, path).history.standing is Standing.CURRENT
    older = inspect(desk, copy)
    assert older.history.standing is Standing.OLDER
    assert any("OLDER COPY" in line and "Destroy it" in line for line in older.meaning())
    with desk.records() as records:
        (entry,) = Ledger(records).entries(kinds=[EntryKind.IMAGE_REKEYED])
    assert entry.body["header_sha256"] == done.header_sha256
    assert BOOT_KEY.decode() not in str(entry.body)
    assert desk.value().decode() not in str(entry.body)


def test_check_names_the_slots_and_refuses_an_older_copy(desk, disk):
    path, copy = disk(), disk(name="copy")
    checked = check(desk, path, recovery=RECOVERY)
    assert [key.slot.number for key in checked.keys] == [0, 1]
    assert checked.refusal is None
    rekey(desk, path)
    assert [key.slot.number for key in check(desk, path).keys] == [2]
    refused = check(desk, copy)
    assert refused.refusal.code == "image-older-copy"
    assert "the replaced key does" in refused.refusal.message
    # Its recovery key opens it still, and it is refused all the same.
    assert check(desk, copy, RECOVERY).refusal.code == "image-older-copy"


def test_a_key_that_opens_nothing_is_refused_before_anything_is_changed(desk, disk):
    path = disk()
    before = path.read_bytes()
    with desk.vault() as vault:
        vault.add(ENTRY, vault.info(ENTRY).kind, Secret(b"x" * 44), replace=True)
    assert check(desk, path).refusal.code == "image-key-wrong"
    with pytest.raises(VerificationRefused) as caught:
        rekey(desk, path)
    assert caught.value.code == "image-key-wrong"
    assert path.read_bytes() == before


def test_a_recovery_key_that_does_not_open_it_stops_everything(desk, disk):
    path = disk()
    before = path.read_bytes()
    with desk.vault() as vault:
        vault.add("other", vault.info(RECOVERY).kind, Secret(b"another one"))
    for recovery in ("other", ENTRY):
        with pytest.raises((VerificationRefused, BadInput)):
            rekey(desk, path, recovery=recovery)
    assert path.read_bytes() == before
    with desk.vault() as vault:
        assert ENTRY + ".rekey-new" not in {info.name for info in vault.list()}


def test_names_that_are_no_boot_keys_are_refused(desk, disk):
    path = disk()
    with desk.vault() as vault, desk.records() as records:
        for name in ("a" * 120, ENTRY + ".rekey-old"):
            with pytest.raises(UsageError):
                asyncio.run(rekey_image(path, vault, Ledger(records), name))


@contextlib.contextmanager
def qemu_that_uses(path, form, socket):
    """qemu-nbd locks an image as a running QEMU does."""
    words = ["--socket", str(socket), "--persistent", "-f", form, str(path)]
    process = subprocess.Popen(["qemu-nbd", *words])
    try:
        deadline = time.monotonic() + 60
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert socket.exists()
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_an_image_that_a_qemu_uses_is_refused(desk, disk, tmp_path, form):
    path = disk(1, form)
    with qemu_that_uses(path, form, tmp_path / "socket"):
        with pytest.raises(BadInput) as caught:
            rekey(desk, path)
        assert caught.value.code == "image-in-use"
        assert inspect(desk, path).in_use
    assert not inspect(desk, path).in_use


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_no_qemu_gets_at_an_image_while_its_key_is_replaced(desk, disk, form):
    path = disk(1, form)
    refused = []

    def observe(point):
        if point in ("slot-added", "vault-exchanged"):
            done = run("qemu-io", "-f", form, "-c", "read 0 512", "-c", "quit", path, check=False)
            refused.append(done.returncode != 0 and b"lock" in done.stderr)

    rekey(desk, path, observe=observe)
    assert refused == [True, True]


def test_a_qcow2_with_snapshots_is_refused(desk, disk):
    path = disk(1, "qcow2")
    run("qemu-img", "snapshot", "-c", "before", path)
    with pytest.raises(BadInput) as caught:
        rekey(desk, path)
    assert caught.value.code == "image-snapshots"


def made_with(tmp_path, **tree):
    folder = tmp_path / "made"
    folder.mkdir()
    return make_disk(folder, tree=root_tree(folder, BOOT_KEY, **tree))


def test_an_initrd_that_has_the_key_packed_is_refused_unless_it_does_not_matter(
    desk, tmp_path, made_disks
):
    made_disks(1, "raw")  # the tools are there
    path = made_with(tmp_path, initrd=os.urandom(20000))
    before = path.read_bytes()
    with pytest.raises(BadInput) as caught:
        rekey(desk, path)
    assert caught.value.code == "image-initrd-without-key"
    assert "/boot/initrd.img" in caught.value.message
    assert path.read_bytes() == before
    done = rekey(desk, path, leave_initrd=True)
    assert len(done.files) == 1
    assert opens(path, desk.value(), ROOT_AT) == 2


def test_only_what_the_menu_starts_has_to_hold_the_key(desk, tmp_path, made_disks):
    made_disks(1, "raw")
    folder = tmp_path / "made"
    folder.mkdir()
    menu = "menuentry 'Linux' {\n  linux /boot/vmlinuz\n  initrd /boot/initrd.img-6.1\n}\n"
    tree = root_tree(folder, BOOT_KEY, menu=menu)
    (tree / "boot/initrd.img-5.10").write_bytes(os.urandom(5000))
    path = make_disk(folder, tree=tree)
    assert len(rekey(desk, path).files) == 2


def test_a_half_written_key_is_written_again(desk, disk):
    """As a power cut may leave it: neither the old key nor the new one, but where one belongs."""
    path = disk()

    class Stopped(Exception):
        pass

    def observe(point):
        if point == "slot-added":
            raise Stopped

    with pytest.raises(Stopped):
        rekey(desk, path, observe=observe)
    new = desk.value(ENTRY + ".rekey-new")
    replace_inside(path, BOOT_KEY, new[:20] + BOOT_KEY[20:])
    done = rekey(desk, path)
    assert done.resumed
    assert len(done.files) == 2
    plain = decrypted(path, new, 1)
    assert plain.count(new) == 2
    assert plain.count(BOOT_KEY[20:]) == 0


def replace_inside(path, old, new):
    with opened_image(path, writable=True) as image:
        part, header = encrypted_volume(image)
        alone = path.with_name("root-alone")
        alone.write_bytes(image.disk.read(part.offset, header.payload_offset))
        key = volume_key(alone, BOOT_KEY)
        volume = EncryptedVolume(image.disk, part.offset, part.size, header, key)
        plain = volume.read(0, volume.size)
        assert plain.count(old) == 2
        for match in re.finditer(re.escape(old), plain):
            volume.write(match.start(), new)


def test_a_key_file_that_holds_something_else_is_refused(desk, tmp_path, made_disks):
    made_disks(1, "raw")
    folder = tmp_path / "made"
    folder.mkdir()
    path = make_disk(
        folder, tree=root_tree(folder, b"another key of the same length, 44 bytes....")
    )
    with pytest.raises(BadInput) as caught:
        rekey(desk, path)
    assert caught.value.code == "image-key-file-differs"


def test_a_root_without_a_key_gets_a_new_slot_alone(desk, tmp_path, made_disks):
    made_disks(1, "raw")
    folder = tmp_path / "made"
    tree = folder / "tree"
    (tree / "boot").mkdir(parents=True)
    (tree / "boot/initrd.img").write_bytes(os.urandom(5000))
    path = make_disk(folder, tree=tree)
    done = rekey(desk, path)
    assert done.files == ()
    assert opens(path, desk.value(), ROOT_AT) == 2


def test_all_slots_in_use_is_refused(desk, disk, tmp_path):
    path = disk()
    luks, spare = tmp_path / "alone", tmp_path / "spare"
    data = bytearray(path.read_bytes())
    luks.write_bytes(data[ROOT_AT : ROOT_AT + (ROOT_SIZE[1])])
    for number in range(6):
        spare.write_bytes(b"one more %d" % number)
        words = ("--pbkdf-force-iterations", "1000", "--key-file=-", luks, spare)
        run("cryptsetup", "luksAddKey", "-q", *words, feed=BOOT_KEY)
    data[ROOT_AT : ROOT_AT + (ROOT_SIZE[1])] = luks.read_bytes()
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        rekey(desk, path)
    assert caught.value.code == "image-no-free-slot"


def test_a_rekey_that_was_begun_elsewhere_is_not_finished_on_a_copy(desk, disk):
    path, copy = disk(), disk(name="copy")

    class Stopped(Exception):
        pass

    def observe(point):
        if point == "vault-exchanged":
            raise Stopped

    with pytest.raises(Stopped):
        rekey(desk, path, observe=observe)
    with pytest.raises(BadInput) as caught:
        rekey(desk, copy)
    assert caught.value.code == "image-rekey-elsewhere"
    assert rekey(desk, path).resumed
    assert slots(path) == [1, 2]


def _of_process(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_no_key_is_on_any_command_line(desk, disk, monkeypatch):
    """What every child's /proc/PID/cmdline and environ would show, and what files it leaves."""
    seen = []
    plain = luks_tool.run_program

    async def recording(name, arguments, **options):
        seen.append([word for word in arguments if not isinstance(word, KeyPipe)])
        return await plain(name, arguments, **options)

    shown = []
    begin = asyncio.create_subprocess_exec

    async def exec_seen(*words, **options):
        process = await begin(*words, **options)
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                shown.append(_of_process(process.pid, name))
        return process

    monkeypatch.setattr(luks_tool, "run_program", recording)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", exec_seen)
    path = disk()
    rekey(desk, path)
    keys = (BOOT_KEY, RECOVERY_KEY, desk.value())
    assert len(seen) > 5
    assert len(shown) > 5
    assert not any(key.decode() in str(words) for words in seen for key in keys)
    assert not any(key in text for text in shown for key in keys)
    kept = [file for file in desk.home.rglob("*") if file.is_file()]
    assert not any(key in file.read_bytes() for file in [*kept, path] for key in keys)
