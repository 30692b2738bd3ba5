# SPDX-License-Identifier: Apache-2.0
"""Makes the LUKS partition of a new image: its header by cryptsetup, its data through qemu-nbd.

QEMU encrypts as LUKS1 only. A LUKS2 volume is written under a LUKS1 header with the same
volume key and the same beginning of data, and gets its own header at the end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..hosts.process_end import kill_group
from ..secret import Secret
from .luks_header import LuksHeader
from .luks_tool import BOOT_ITERATIONS, HeaderCopy
from .nbd_client import NbdDisk, _connect
from .order import MIB
from .programs import KeyPipe, Limits, OpenFile, filled_pipe, find_program, run_program

RECOVERY_ITERATIONS: Final = 200_000
_PAYLOAD: Final = {1: 2 * MIB, 2: 16 * MIB}
_LIMITS: Final = Limits(seconds=120)
_CIPHER: Final = ("--cipher", "aes-xts-plain64", "--key-size", "512", "--hash", "sha256")


def payload_offset(luks: int) -> int:
    """Bytes before the encrypted data."""
    return _PAYLOAD[luks]


@dataclass(frozen=True, slots=True)
class LuksMaterial:
    """A new header, and the one that QEMU writes the data under; equal for LUKS1."""

    final: bytes
    working: bytes
    header: LuksHeader


async def make_header(luks: int, uuid: str, boot: Secret, recovery: Secret) -> LuksMaterial:
    """A header with the boot key in slot 0 and the recovery key in slot 1.

    Both keys are tried before it is returned. Raises as run_program does.
    """
    final = await _format(luks, uuid, boot, None)
    with HeaderCopy.of(final) as copy:
        await _add(copy, boot, recovery)
        final = copy.bytes()
        for slot, key in enumerate((boot, recovery)):
            if await copy.opened_slot(key, slot) != slot:
                raise AssertionError("a key that was just set does not open its slot")
        header = copy.parsed()
        if luks == 1:
            return LuksMaterial(final, final, header)
        volume_key = await copy.volume_key(boot)
    try:
        working = await _format(1, uuid, boot, volume_key)
    finally:
        volume_key.wipe()
    return LuksMaterial(final, working, header)


async def _format(luks: int, uuid: str, boot: Secret, volume_key: Secret | None) -> bytes:
    offset = _PAYLOAD[2 if volume_key is not None else luks]
    words: list[str | KeyPipe | OpenFile] = ["luksFormat", "--batch-mode", "--type", f"luks{luks}"]
    words += [*_CIPHER, "--uuid", uuid, "--key-slot", "0", "--use-urandom"]
    words += ["--offset", str(offset // 512), "--pbkdf-force-iterations", str(BOOT_ITERATIONS)]
    words += ["--pbkdf", "pbkdf2"]
    if luks == 2:
        words += ["--sector-size", "512"]
    if volume_key is not None:
        words += ["--volume-key-file", KeyPipe(volume_key)]
    with HeaderCopy.of(bytes(offset + MIB)) as copy:
        place = OpenFile(copy._descriptor)
        await run_program(
            "cryptsetup", [*words, "--key-file", KeyPipe(boot), place], limits=_LIMITS
        )
        return copy.bytes()[:offset]


async def _add(copy: HeaderCopy, boot: Secret, recovery: Secret) -> None:
    await run_program(
        "cryptsetup",
        [
            *("luksAddKey", "--batch-mode", "--key-slot", "1", "--pbkdf", "pbkdf2"),
            *("--pbkdf-force-iterations", str(RECOVERY_ITERATIONS)),
            *("--key-file", KeyPipe(boot)),
            OpenFile(copy._descriptor),
            KeyPipe(recovery),
        ],
        limits=_LIMITS,
    )


@contextlib.contextmanager
def opened_data(path: Path, start: int, size: int, key: Secret) -> Iterator[NbdDisk]:
    """The decrypted data of a LUKS1 partition of a raw image, to be written.

    Raises BadInput ``image-unreadable`` and ``program-missing``.
    """
    with tempfile.TemporaryDirectory(prefix="watchword-") as folder, filled_pipe(key) as reader:
        place = Path(folder) / "nbd"
        name = str(path.absolute()).replace(",", ",,")
        options = (
            f"driver=luks,key-secret=key,file.driver=raw,file.offset={start},file.size={size},"
            f"file.file.driver=file,file.file.filename={name}"
        )
        process = subprocess.Popen(
            [
                find_program("qemu-nbd"),
                *("--socket", str(place), "--shared", "1", "--cache", "writeback"),
                *("--object", f"secret,id=key,file=/dev/fd/{reader}", "--image-opts"),
                options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            pass_fds=(reader,),
            start_new_session=True,
        )
        try:
            connection = _connect(process, place, path)
            with connection:
                disk = NbdDisk(connection)
                yield disk
                disk.flush()
                disk.close()
            process.wait(60)
        finally:
            kill_group(process)
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
