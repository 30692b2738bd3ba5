# SPDX-License-Identifier: Apache-2.0
"""Has cryptsetup work on a copy of a LUKS header in memory; keys go to it through pipes alone."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

from ..errors import BadInput
from ..secret import Secret
from .image_errors import IMAGE, too_short
from .luks_header import LuksHeader, read_luks
from .programs import KeyPipe, Limits, OpenFile, run_program

BOOT_ITERATIONS: Final = 1000
"""Of PBKDF2, for a key of 264 random bits: more would only make GRUB slow."""
_MOST_ITERATIONS: Final = 1 << 28
_MOST_MEMORY_KIB: Final = 4 << 20
_LIMITS: Final = Limits(seconds=180)
_WRONG_KEY: Final = 2
_UNLOCKED: Final = re.compile(rb"Key slot ([0-9]{1,2}) unlocked")
_VOLUME_KEY: Final = re.compile(rb"MK dump:((?:\s+[0-9a-f]{2})+)")


class HeaderCopy:
    """A LUKS header, all that lies before the encrypted data, in a file that only memory holds.

    Nothing of it stays behind when the process is killed. The methods raise BadInput as
    run_program does, and ``image-bad-luks``.
    """

    def __init__(self, descriptor: int, original: bytes) -> None:
        self._descriptor = descriptor
        self.original = original
        """What it was a copy of."""

    @classmethod
    @contextlib.contextmanager
    def of(cls, data: bytes) -> Iterator[HeaderCopy]:
        """A copy of these bytes."""
        descriptor = os.memfd_create("luks-header", os.MFD_CLOEXEC)
        try:
            with memoryview(data) as view:
                done = 0
                while done < len(view):
                    done += os.write(descriptor, view[done:])
            yield cls(descriptor, data)
        finally:
            os.close(descriptor)

    def bytes(self) -> bytes:
        """All of it as it is now."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def parsed(self) -> LuksHeader:
        """What it says now."""
        data = self.bytes()
        # Behind a copy there is nothing, where behind the header are the data.
        return read_luks(lambda offset, size: _cut(data, offset, size), len(data) + 1)

    async def opened_slot(self, key: Secret, number: int | None = None) -> int | None:
        """The number of the slot that the key opens, None if it opens none.

        With ``number`` that slot alone is tried.
        """
        self._refuse_costly()
        only = [] if number is None else ["--key-slot", str(number)]
        done = await run_program(
            "cryptsetup",
            [
                *("open", "--test-passphrase", "--verbose", "--disable-external-tokens"),
                *(*only, *_key_file(key), OpenFile(self._descriptor)),
            ],
            limits=_LIMITS,
            allowed=(0, _WRONG_KEY),
        )
        if done.status == _WRONG_KEY:
            return None
        found = _UNLOCKED.search(done.output)
        if found is None:
            raise _misunderstood()
        return int(found[1])

    async def add_key(self, key: Secret, new: Secret, number: int) -> None:
        """Put a random key into a free slot, with few iterations."""
        await run_program(
            "cryptsetup",
            [
                *("luksAddKey", "--batch-mode", "--disable-external-tokens"),
                *("--key-slot", str(number), "--pbkdf", "pbkdf2"),
                *("--pbkdf-force-iterations", str(BOOT_ITERATIONS)),
                *(*_key_file(key), OpenFile(self._descriptor), KeyPipe(new)),
            ],
            limits=_LIMITS,
        )

    async def kill_slot(self, number: int, key: Secret) -> None:
        """Overwrite a slot's key and free the slot; ``key`` opens another one."""
        await run_program(
            "cryptsetup",
            [
                *("luksKillSlot", "--batch-mode", "--disable-external-tokens"),
                *(*_key_file(key), OpenFile(self._descriptor), str(number)),
            ],
            limits=_LIMITS,
        )

    async def volume_key(self, key: Secret) -> Secret:
        """The key that the data are encrypted with, which the caller wipes."""
        self._refuse_costly()
        done = await run_program(
            "cryptsetup",
            [
                *("luksDump", "--batch-mode", "--dump-volume-key", "--disable-external-tokens"),
                *(*_key_file(key), OpenFile(self._descriptor)),
            ],
            limits=_LIMITS,
        )
        found = _VOLUME_KEY.search(done.output)
        if found is None:
            raise _misunderstood()
        return Secret(bytes.fromhex(found[1].decode()))

    def _refuse_costly(self) -> None:
        for slot in self.parsed().slots:
            if slot.iterations > _MOST_ITERATIONS or slot.memory_kib > _MOST_MEMORY_KIB:
                raise BadInput(
                    "image-slot-too-costly",
                    IMAGE,
                    f"Key slot {slot.number} asks for {slot.iterations} iterations and"
                    f" {slot.memory_kib} KiB of memory: no tool chooses that much, so somebody"
                    " has altered the header.",
                    "Take another copy of the image.",
                )


def _key_file(key: Secret) -> list[str | KeyPipe]:
    return ["--key-file", KeyPipe(key)]


def _cut(data: bytes, offset: int, size: int) -> bytes:
    piece = data[offset : offset + size]
    if len(piece) != size:
        raise too_short()
    return piece


def _misunderstood() -> BadInput:
    return BadInput(
        "program-failed",
        "what cryptsetup said",
        "cryptsetup was content, but did not say which key slot it has opened.",
        "Use cryptsetup 2.4 or newer (Debian package cryptsetup-bin).",
        {"program": "cryptsetup"},
    )
