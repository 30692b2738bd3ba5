# SPDX-License-Identifier: Apache-2.0
"""The QEMU command for a prepared launch: as arguments, as a shell script, as an options file.

Source: QEMU docs/system/i386/amd-memory-encryption, qemu-options.hx, QEMU's -readconfig.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from ..errors import BadInput
from .requirements import Form, requirements
from .vm_order import GODH_FILE, SESSION_FILE, SevOptions, VmOrder

PROGRAM: Final = "qemu-system-x86_64"
UNKNOWN_CBITPOS: Final = "CBITPOS"
"""Stands in the command where nobody said which bit it is."""

CONFIG_FILE: Final = "qemu.cfg"
"""The options file's name in what is said about it."""

_LONGEST_LINE: Final = 1023
"""Bytes with the newline; the rest would be read as a line of its own. Source: util/qemu-config.c,
qemu_config_foreach."""
_TOO_LONG: Final = (
    f"# The options of start.sh that no file can hold, from -nodefaults on, and -readconfig"
    f" {CONFIG_FILE}."
)


def qemu_arguments(order: VmOrder) -> tuple[str, ...]:
    """The program and its arguments; GODH and blob lie in the current folder."""
    words = [PROGRAM, "-nodefaults", "-no-user-config", "-name", f"guest={_value(order.name)}"]
    for group, _, options in _groups(order):
        words += [f"-{group}", ",".join(f"{key}={_value(text)}" for key, text in options.items())]
    words += _plain_arguments(order)
    return tuple(words)


def qemu_script(order: VmOrder) -> str:
    """A POSIX shell script that says what must be true, and starts the VM paused."""
    comments = "".join(f"# - {line}\n" for line in requirements(order, Form.QEMU))
    words = [shlex.quote(word) for word in qemu_arguments(order)]
    lines = [words[0], *_pairs(words[1:])]
    return (
        "#!/bin/sh\n"
        f"# Starts the VM {order.name}, paused. What must be true for that:\n{comments}"
        'CDPATH= cd -- "$(dirname -- "$0")" || exit\n'
        "exec " + " \\\n  ".join(lines) + "\n"
    )


def qemu_config(order: VmOrder) -> str:
    """The same as an options file: `qemu-system-x86_64 … -readconfig qemu.cfg`.

    What -readconfig can't hold stands in the first line, or, where that is too long, in the
    script alone. Raises BadInput ``not-for-options-file`` for values with a quotation mark, for
    which it has no way, and for those that are longer than a line can be.
    """
    rest = "# " + shlex.join([PROGRAM, *_config_words(order), "-readconfig", CONFIG_FILE])
    lines = [rest if _fits_a_line(rest) else _TOO_LONG]
    for group, identity, options in _groups(order):
        lines += ["", f'[{group} "{identity}"]' if identity else f"[{group}]"]
        for key, text in options.items():
            if key == "id" or (key == "qom-type" and group != "object"):
                continue
            lines.append(_config_line(key, text))
    return "\n".join(lines) + "\n"


def _config_words(order: VmOrder) -> list[str]:
    name = ["-nodefaults", "-no-user-config", "-name", f"guest={_value(order.name)}"]
    return [*name, *_plain_arguments(order)]


def _groups(order: VmOrder) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Option groups as (group, id, values), in the order in which QEMU reads them."""
    yield (
        "machine",
        "",
        {
            "type": "q35",
            "accel": "kvm",
            "vmport": "off",
            "confidential-guest-support": "sev0",
        },
    )
    yield "object", "sev0", sev_guest(order.sev)
    yield (
        "drive",
        "",
        {
            "if": "pflash",
            "format": "raw",
            "unit": "0",
            "readonly": "on",
            "file": order.firmware,
        },
    )
    if order.disk is not None:
        disk = {"if": "none", "id": "disk0", "format": order.disk_format, "file": order.disk}
        yield "drive", "disk0", disk
        yield "device", "", _disk_device()


def sev_guest(sev: SevOptions) -> dict[str, str]:
    """The object ``sev-guest``, option by option."""
    bits = sev.reduced_phys_bits
    values = {
        "qom-type": "sev-guest",
        "id": "sev0",
        "cbitpos": UNKNOWN_CBITPOS if sev.cbitpos is None else str(sev.cbitpos),
        "reduced-phys-bits": "1" if bits is None else str(bits),
        "policy": f"0x{sev.policy:x}",
        "dh-cert-file": GODH_FILE,
        "session-file": SESSION_FILE,
    }
    return {**values, "kernel-hashes": "on"} if sev.kernel_hashes else values


def sev_fragment(sev: SevOptions, monitor: str) -> str:
    """The options that an operator adds to a command of his own, on three lines of a shell."""
    values = sev_guest(sev)
    values = {"": values.pop("qom-type"), **values}
    guest = ",".join(f"{key}={text}".removeprefix("=") for key, text in values.items())
    return (
        "-machine q35,confidential-guest-support=sev0,vmport=off \\\n"
        f"-object {guest} \\\n"
        f"-S -qmp {monitor},server=on,wait=off\n"
    )


def _disk_device() -> dict[str, str]:
    # A guest in encrypted memory can only share buffers that it copies out: iommu_platform.
    return {
        "driver": "virtio-blk-pci",
        "drive": "disk0",
        "disable-legacy": "on",
        "iommu_platform": "on",
    }


def _plain_arguments(order: VmOrder) -> list[str]:
    words = ["-cpu", order.cpu, "-smp", str(order.vcpus), "-m", f"{order.memory}M"]
    if order.kernel is not None:
        words += ["-kernel", order.kernel]
        if order.initrd is not None:
            words += ["-initrd", order.initrd]
        if order.cmdline is not None:
            words += ["-append", order.cmdline]
    monitor = f"unix:{_value(order.monitor)},server=on,wait=off"
    return [*words, "-display", "none", "-no-reboot", "-S", "-qmp", monitor]


def _value(text: str) -> str:
    """In QEMU's options a comma is doubled."""
    return text.replace(",", ",,")


def _config_line(key: str, text: str) -> str:
    if '"' in text:
        raise _not_for_file(key, "QEMU's options files have no way to write a quotation mark.")
    line = f'  {key} = "{text}"'
    if not _fits_a_line(line):
        raise _not_for_file(
            key, f"QEMU takes {_LONGEST_LINE} bytes of a line in its options files, and cuts it."
        )
    return line


def _fits_a_line(line: str) -> bool:
    return len(line.encode()) + len("\n") <= _LONGEST_LINE


def _not_for_file(key: str, rule: str) -> BadInput:
    return BadInput(
        "not-for-options-file",
        key,
        rule,
        "Give the file another, shorter name or place on the host; or start the VM by libvirt.",
    )


def _pairs(words: list[str]) -> Iterator[str]:
    """An option and its value on one line."""
    at = 0
    while at < len(words):
        has_value = at + 1 < len(words) and not words[at + 1].startswith("-")
        yield " ".join(words[at : at + 1 + has_value])
        at += 1 + has_value
