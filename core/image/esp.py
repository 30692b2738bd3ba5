# SPDX-License-Identifier: Apache-2.0
"""Makes the EFI system partition: GRUB where every firmware looks for it, and its script."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .order import ESP_SIZE
from .programs import Limits, OpenFile, run_program

_PIECE: Final = 1 << 16
_LIMITS: Final = Limits(seconds=120)
_GRUB_MODULES: Final = (
    "cryptodisk luks luks2 gcry_rijndael gcry_sha256 gcry_sha512 gcry_sha1 pbkdf2 afsplitter ext2"
    " part_gpt fat normal configfile test echo sleep halt reboot linux search search_fs_uuid"
    " all_video boot true"
)
_README: Final = b"""\
This disk is encrypted. Its key comes from the owner, once the machine has proved itself.
"""


def grub_script(uuid: str) -> str:
    """The script of the GRUB on the ESP: opens the disk by the injected secret, or halts.

    ``uuid`` is the LUKS volume's. A prompt would take a passphrase from whoever has the
    console, and that is the host; a shell would be his. GRUB's providers wipe a secret that
    they have handed out.
    """
    short = uuid.replace("-", "")
    return f"""\
set check_signatures=
set superusers=none
set timeout=0
set opened=
if cryptomount -s efisecret -u {short}; then set opened=1; fi
if [ -z "$opened" ]; then
  if sevsecret; then
    if cryptomount -s -u {short}; then set opened=1; fi
  fi
fi
if [ -z "$opened" ]; then
  echo "The disk was not opened by an injected secret: halting."
  sleep 5
  halt
fi
set root=cryptouuid/{short}
if [ -e ($root)/boot/grub/grub.cfg ]; then
  set prefix=($root)/boot/grub
  configfile ($root)/boot/grub/grub.cfg
fi
if [ -e ($root)/boot/grub2/grub.cfg ]; then
  set prefix=($root)/boot/grub2
  configfile ($root)/boot/grub2/grub.cfg
fi
echo "The encrypted volume has no GRUB configuration: halting."
sleep 5
halt
"""


@contextlib.contextmanager
def _memory(name: str, size: int = 0) -> Iterator[int]:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, size)
        yield descriptor
    finally:
        os.close(descriptor)


async def write_esp(target: int, offset: int, volume_id: str, luks_uuid: str | None) -> None:
    """Write a FAT of 64 MiB into an open file, with GRUB where every firmware looks for it.

    Without ``luks_uuid`` there is no GRUB on it; ``volume_id`` has eight hex digits.
    Raises as run_program does.
    """
    with _memory("esp", ESP_SIZE) as disk, _memory("readme") as readme:
        os.pwrite(readme, _README, 0)
        esp = OpenFile(disk)
        await run_program("mkfs.vfat", ["-F", "32", "-n", "ESP", "-i", volume_id, esp])
        environment = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}
        await run_program("mmd", ["-i", esp, "::EFI", "::EFI/BOOT"], environment=environment)
        files = [(readme, "::README.TXT")]
        with _memory("bootx64") as grub:
            if luks_uuid is not None:
                await _make_grub(grub, luks_uuid)
                files.append((grub, "::EFI/BOOT/BOOTX64.EFI"))
            for descriptor, name in files:
                await run_program(
                    "mcopy", ["-i", esp, OpenFile(descriptor), name], environment=environment
                )
        for at in range(0, ESP_SIZE, _PIECE):
            piece = os.pread(disk, _PIECE, at)
            if piece.count(0) != len(piece):  # what is empty stays a hole
                os.pwrite(target, piece, offset + at)


async def _make_grub(descriptor: int, uuid: str) -> None:
    with _folder() as folder:
        made, script = folder / "bootx64.efi", folder / "grub.cfg"
        # A file with a name: grub-mkstandalone leaves out all others, without a word.
        script.write_text(grub_script(uuid), encoding="ascii")
        await run_program(
            "grub-mkstandalone",
            [
                *("--format", "x86_64-efi", "--output", made),
                *("--locales=", "--fonts=", "--themes="),
                f"--install-modules={_GRUB_MODULES}",
                f"--modules={_GRUB_MODULES}",
                f"boot/grub/grub.cfg={script}",
            ],
            limits=_LIMITS,
            environment={"TMPDIR": str(folder)},
        )
        data = made.read_bytes()
    os.pwrite(descriptor, data, 0)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="watchword-") as folder:
        yield Path(folder)
