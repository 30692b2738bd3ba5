# SPDX-License-Identifier: Apache-2.0
"""In what a VM's files differ when people get them wrong: firmware, kernel, command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .diagnosis_question import Alternative, Deviation, DirectBoot, distinct
from .firmware import FirmwareImage
from .kernel_hashes import KernelHashes

OTHER_FIRMWARE_MOST = 64
"""So many other images are tried; the first ones also together with other deviations."""
_FIRMWARE_IN_THREES, _FIRMWARE_IN_PAIRS = 8, 32

_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "--",
        "\u00a0": " ",
    }
)


# -- firmware ------------------------------------------------------------------------


def firmware_alternatives(
    approved: FirmwareImage | None, others: Sequence[tuple[str, FirmwareImage]]
) -> tuple[Alternative[FirmwareImage], ...]:
    """The other images, each once; equal ones under each of their names."""
    by_hash = {image.sha256: image for _, image in reversed(others)}
    found = (
        Alternative(image.sha256, 3, (partial(_other_firmware, name),)) for name, image in others
    )
    each = distinct(approved.sha256 if approved else None, found, all_reasons=True)
    return tuple(
        Alternative(by_hash[one.value], _firmware_depth(index), one.reasons)
        for index, one in enumerate(each[:OTHER_FIRMWARE_MOST])
    )


def _firmware_depth(index: int) -> int:
    return 1 + (index < _FIRMWARE_IN_PAIRS) + (index < _FIRMWARE_IN_THREES)


def _other_firmware(name: str) -> Deviation:
    return Deviation(
        "other-firmware",
        f"The VM was started with the firmware “{name}”, not with the one that you approved.",
        "Have the VM started with the approved file, the very one. Approve the other only if it is"
        " the one that you meant: see first what `watchword firmware inspect` says of it.",
        alarm=True,
        profile=("firmware", name),
        on_host=f"Start the VM with the firmware that was approved, not with “{name}”.",
    )


# -- kernel hashes -------------------------------------------------------------------


def table_alternatives(boot: DirectBoot | None) -> tuple[Alternative[bytes], ...]:
    """Other tables of kernel hashes (176 bytes each; none: empty) than the approved one."""
    if boot is None:
        return ()
    if not boot.measured:
        return (Alternative(boot.hashes().build(), 3, (_hashes_on,)),)
    return distinct(boot.table(), _tables(boot))


def _tables(boot: DirectBoot) -> Iterator[Alternative[bytes]]:
    hashes = boot.hashes()
    yield Alternative(b"", 3, (_hashes_off,))
    for spelling in cmdline_alternatives(boot.cmdline):
        yield replace(spelling, value=replace(hashes, cmdline=spelling.value).build())
    no_initrd = replace(hashes, initrd=KernelHashes.NO_INITRD)
    yield Alternative(no_initrd.build(), 2, (_initrd_absent,))
    swapped = replace(hashes, kernel=hashes.initrd, initrd=hashes.kernel)
    yield Alternative(swapped.build(), 2, (_swapped_boot_files,))


def _hashes_off() -> Deviation:
    return Deviation(
        "kernel-hashes-off",
        "Kernel, initrd and command line were not measured: the VM was started without kernel"
        " hashes, so that the host may boot any kernel.",
        "Have the VM started with kernel-hashes=on (libvirt: kernelHashes='yes').",
        alarm=True,
        on_host="Start the VM with kernel-hashes=on (libvirt: kernelHashes='yes').",
    )


def _hashes_on() -> Deviation:
    return Deviation(
        "kernel-hashes-on",
        "Kernel, initrd and command line were measured: the VM was started with kernel hashes.",
        "Nothing speaks against that: give kernel, initrd and command line as part of what you"
        " expect.",
    )


def _initrd_absent() -> Deviation:
    return Deviation(
        "initrd-absent",
        "The VM was started without an initrd.",
        "Have it started with the initrd that you approved, or leave the initrd out on both sides.",
        alarm=True,
        on_host="Start the VM with the initrd that was approved (-initrd).",
    )


def _swapped_boot_files() -> Deviation:
    return Deviation(
        "kernel-initrd-swapped",
        "Kernel and initrd have changed places.",
        "Look which of the two files, or hashes, is which, here and on the host.",
        on_host="Start the VM with kernel and initrd in their own places (-kernel, -initrd).",
    )


# -- the command line ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the host's command line comes of the approved one: text gets its NUL, bytes do not."""

    code: str
    depth: int
    change: Callable[[str], str | bytes]
    words: str
    alarm: bool = False

    def deviation(self, number: int) -> Deviation:
        return Deviation(
            self.code,
            f"The command line on the host {self.words}.",
            "Give it here exactly as the host's -append gets it, or have it put right there:"
            " each byte counts.",
            alarm=self.alarm,
            profile=None if self.alarm else ("cmdline", number),
            on_host="Give -append the command line that was approved: each byte counts.",
        )


_ABSENT = _Spelling("cmdline-absent", 3, lambda _: "", "is empty: there is none", alarm=True)
_SPELLINGS = (
    _Spelling("cmdline-newline-added", 3, lambda t: t + "\n", "ends with a newline, yours not"),
    _Spelling(
        "cmdline-newline-missing",
        3,
        lambda t: t.removesuffix("\n").removesuffix("\r"),
        "lacks the newline at the end of yours",
    ),
    _Spelling("cmdline-blank-added", 3, lambda t: t + " ", "ends with one blank more than yours"),
    _Spelling("cmdline-trimmed", 3, str.rstrip, "lacks the blanks at the end of yours"),
    _Spelling("cmdline-trimmed", 3, str.strip, "lacks the blanks around yours"),
    _Spelling("cmdline-trimmed", 2, str.lstrip, "lacks the blanks before yours"),
    _Spelling("cmdline-no-nul", 3, str.encode, "was hashed without the NUL at its end"),
    _Spelling(
        "cmdline-two-nuls",
        3,
        lambda t: t.encode() + bytes(2),
        "was hashed with two NULs at its end",
    ),
    _ABSENT,
    _Spelling("cmdline-crlf-added", 2, lambda t: t + "\r\n", "ends with CR and LF, yours not"),
    _Spelling(
        "cmdline-newline-no-nul",
        2,
        lambda t: t.encode() + b"\n",
        "was hashed with a newline in the place of the NUL",
    ),
    _Spelling("cmdline-blank-first", 2, lambda t: " " + t, "begins with one blank more than yours"),
    _Spelling(
        "cmdline-typography",
        2,
        lambda t: t.translate(_TYPOGRAPHY),
        "has plain quotes, dashes and blanks where yours has those of a word processor",
    ),
    _Spelling(
        "cmdline-blanks-collapsed",
        2,
        lambda t: " ".join(t.split()),
        "has single blanks between its words",
    ),
    _Spelling("cmdline-quoted", 2, lambda t: f'"{t}"', "has double quotes around it"),
    _Spelling("cmdline-quoted", 2, lambda t: f"'{t}'", "has single quotes around it"),
    _Spelling("cmdline-unquoted", 2, lambda t: t.strip("\"'"), "lacks the quotes around yours"),
    _Spelling(
        "cmdline-initrd-missing",
        2,
        lambda t: " ".join(word for word in t.split(" ") if word != "initrd=initrd"),
        "lacks initrd=initrd, which the firmware adds inside the VM",
    ),
    _Spelling("cmdline-initrd-added", 2, lambda t: t + " initrd=initrd", "ends with initrd=initrd"),
    _Spelling(
        "cmdline-latin-1",
        2,
        lambda t: t.encode("latin-1", "replace") + b"\0",
        "is in Latin-1, not in UTF-8",
    ),
)


def cmdline_alternatives(cmdline: str | bytes | None) -> tuple[Alternative[bytes], ...]:
    """SHA-256 of other spellings of a command line; of one known by its hash, only of none."""
    known = isinstance(cmdline, bytes)
    text = cmdline if isinstance(cmdline, str) else ""
    found = (
        Alternative(
            _hash(spelling.change(text)), spelling.depth, (partial(spelling.deviation, number),)
        )
        for number, spelling in enumerate(_SPELLINGS)
        if not known or spelling is _ABSENT
    )
    return distinct(cmdline if isinstance(cmdline, bytes) else _hash(text), found)


def respelled(cmdline: str, number: int) -> str | bytes:
    """A command line in the spelling of this number; SHA-256 (32 bytes) where no text has it."""
    changed = _SPELLINGS[number].change(cmdline)
    return changed if isinstance(changed, str) else _hash(changed)


def _hash(line: str | bytes) -> bytes:
    return hashlib.sha256(line.encode() + b"\0" if isinstance(line, str) else line).digest()
