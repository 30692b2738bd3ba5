# SPDX-License-Identifier: Apache-2.0
"""What the modules in a firmware image tell: who checks kernel hashes, and whether GRUB can ask.

Everything here is as far as can be seen in the code of an image that is not run. It
finds honest mistakes in the owner's own firmware; it is no proof.
Sources: edk2 OvmfPkg/AmdSev/BlobVerifierLibSevHashes, OvmfPkg/QemuKernelLoaderFsDxe,
OvmfPkg/AmdSev/Grub and MdePkg/Library/BaseLib/CpuDeadLoop.c, before and since
edk2-stable202408.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from .firmware_volumes import ImageContents, Module
from .kernel_hashes import KERNEL_GUID

LOADER_GUID: Final = UUID("806040ca-dad9-4978-a3b4-2d2ab0c8a48f")
"""edk2's QemuKernelLoaderFsDxe, which takes kernel, initrd and command line from QEMU."""
GRUB_GUID: Final = UUID("b5ae312c-bc8a-43b1-9c62-ebb826dd5d07")
"""The GRUB in images of edk2's AmdSev package."""


class HashMismatch(StrEnum):
    """What the firmware does with a kernel whose hash is not the measured one."""

    HALTS = "halts"
    FALLS_THROUGH = "falls-through"
    UNCHECKED = "unchecked"
    UNSEEN = "unseen"


class Grub(StrEnum):
    """What the GRUB in the image opens disks with: the launch secret, or what else."""

    NONE = "none"
    SILENT = "silent"
    PROMPTS = "prompts"
    OTHER_KEY = "other-key"
    UNSEEN = "unseen"


class Layout(StrEnum):
    """What part of a firmware an image is."""

    FULL = "full"
    CODE = "code"
    VARIABLES = "variables"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observed:
    """Something seen in an image, and the sentence that says by what."""

    value: HashMismatch | Grub | Layout
    text: str


def observe_layout(contents: ImageContents) -> Observed:
    """Whether an image is code, variables or both."""
    code = any(volume.holds_files for volume in contents.volumes)
    variables = any(volume.holds_variables for volume in contents.volumes)
    if code and variables:
        return Observed(Layout.FULL, "Code and variable store in one image; all of it is measured.")
    if code:
        return Observed(
            Layout.CODE,
            "Code without a variable store: start the VM without NVRAM, because a store in a"
            " flash chip of its own is not measured.",
        )
    if variables:
        return Observed(Layout.VARIABLES, "A variable store without code.")
    return Observed(Layout.UNKNOWN, "No firmware volumes are to be seen in it.")


# -- kernel hashes -----------------------------------------------------------------

# DEBUG builds carry their messages; the second one came with the halt. The third is what our
# own builds of older edk2 print as they halt (tests/firmware/edk2/HaltOnMismatch.c).
_COMPARES: Final = b"Hash comparison failed for"
_HALTS: Final = (b"Fetching blob failed", b"halted: not the measured kernel")
# Files that the loader asks QEMU for by name since edk2-stable202502.
_NAMED_BLOBS: Final = b"etc/boot/"
# The loader has edk2's endless loop in any case, for a broken fw_cfg. How it was
# compiled dates it: it got its second operand for edk2-stable202408, as the halt did.
_STACK: Final = rb"(?:[\x44\x4c\x54]\x24.|[\x45\x4d\x55].)"
_RIP: Final = rb"[\x05\x0d\x15]...."
_BACK: Final = rb"(?:\x75.\xf3\x90\xeb|\x74)[\x80-\xff]"
_LOOP_BEFORE: Final = re.compile(rb"\x48\x8b" + _STACK + rb"\x48\x85[\xc0\xc9\xd2]" + _BACK, re.S)
_LOOP_SINCE: Final = re.compile(
    rb"\x48\x8b" + _STACK + rb"\x48(?:\x8b" + _RIP + rb"\x48\x39.|\x3b" + _RIP + rb")" + _BACK,
    re.S,
)


_FALLS_THROUGH: Final = (
    "On a kernel other than the measured one it goes on to its other boot options, such as GRUB"
)


def observe_hash_mismatch(contents: ImageContents) -> Observed:
    """What becomes of a kernel that is not the measured one."""
    loader = contents.module(LOADER_GUID)
    if loader is None and (contents.problems or not contents.modules):
        return _unseen("its code can't be read")
    code = bytes(loader.code) if loader is not None else b""
    if bytes(KERNEL_GUID) not in code:
        return Observed(
            HashMismatch.UNCHECKED,
            "Nothing in it checks the hash of a kernel: a stock OVMF build, not an AmdSev one.",
        )
    return _by_messages(code) or _by_age(code)


def _unseen(why: str) -> Observed:
    text = f"Whether it halts on a kernel other than the measured one can't be seen: {why}."
    return Observed(HashMismatch.UNSEEN, text)


def _by_messages(code: bytes) -> Observed | None:
    if any(message in code for message in _HALTS):
        text = "It halts on a kernel other than the measured one, to judge by its messages."
        return Observed(HashMismatch.HALTS, text)
    if _COMPARES in code:
        text = f"{_FALLS_THROUGH}: its messages are those of edk2 before stable202408."
        return Observed(HashMismatch.FALLS_THROUGH, text)
    return None


def _by_age(code: bytes) -> Observed:
    before, since = _LOOP_BEFORE.search(code), _LOOP_SINCE.search(code)
    if _NAMED_BLOBS in code or (since and not before):
        return Observed(
            HashMismatch.HALTS,
            "It halts on a kernel other than the measured one, to judge by code that edk2 has"
            " since stable202408.",
        )
    if before and not since:
        return Observed(
            HashMismatch.FALLS_THROUGH,
            f"{_FALLS_THROUGH}, to judge by code that edk2 had before stable202408 (unless whoever"
            " built it added the halt).",
        )
    return _unseen("its code is not of a form that is known here")


# -- GRUB --------------------------------------------------------------------------

_TEXT: Final = re.compile(rb"[\t\n\r\x20-\x7e]{12,65536}")
_GRUB_LIMIT: Final = 4 << 20  # bytes that are searched; real ones have 1 MiB
_KEYWORDS: Final = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!"})
_SECRET: Final = ("-s", "--secret")
_OTHER_KEY: Final = ("-p", "--password", "-k", "--key-file")


def observe_grub(contents: ImageContents) -> Observed:
    """Whether the script of the GRUB in the image can ask for a passphrase, or knows a key."""
    grub = contents.module(GRUB_GUID)
    if grub is None and (contents.problems or not contents.modules):
        return Observed(Grub.UNSEEN, "Whether there is a GRUB in it can't be seen.")
    if grub is None or not len(grub.code):
        return Observed(Grub.NONE, "It has no GRUB of its own.")
    commands = list(_unlocking_commands(grub))
    for command in commands:
        if _asks(command):
            return Observed(
                Grub.PROMPTS,
                "Its GRUB asks at the console for a passphrase where the secret opens nothing"
                f" (`{' '.join(command)[:80]}`): the host can offer a disk of its own there.",
            )
    if any(_takes(command, _OTHER_KEY) for command in commands):
        # The command is not shown: a password stands in it.
        return Observed(
            Grub.OTHER_KEY,
            "Its GRUB opens disks with a key that is in the image, which the host can read.",
        )
    if commands:
        return Observed(Grub.SILENT, "Its GRUB opens disks with the launch secret alone.")
    return Observed(Grub.UNSEEN, "It has a GRUB, but its script can't be seen.")


def _unlocking_commands(grub: Module) -> Iterator[list[str]]:
    if len(grub.code) <= _GRUB_LIMIT:
        for script in _scripts(grub):
            yield from _unlocking(script)


def _scripts(grub: Module) -> Iterator[str]:
    """Texts of several lines in GRUB that unlock something; its help texts are single lines."""
    for match in _TEXT.finditer(grub.code):
        text = match[0]
        if b"cryptomount" in text and b"\n" in text:
            yield text.decode("ascii")


def _unlocking(script: str) -> Iterator[list[str]]:
    """The ``cryptomount`` commands of a script, as lists of words."""
    for line in re.split(r"[\n;]", script):
        words = line.partition("#")[0].split()
        while words and words[0] in _KEYWORDS:
            words = words[1:]
        if words and words[0] == "cryptomount":
            yield words


def _asks(command: list[str]) -> bool:
    """Whether a ``cryptomount`` may ask: it does unless told where the key is."""
    return not _takes(command, (*_SECRET, *_OTHER_KEY))


def _takes(command: list[str], options: tuple[str, ...]) -> bool:
    return any(word.partition("=")[0] in options for word in command[1:])
