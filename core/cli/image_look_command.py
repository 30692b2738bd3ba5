# SPDX-License-Identifier: Apache-2.0
"""``watchword image inspect`` and ``image check``: what an image is, and which keys open it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ExitStatus
from .command import Parser, Subparsers, add_command
from .output import Console, Result, table
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..image.inspection import ImageReport, Volume
    from ..image.key_check import CheckedImage, TriedKey
    from ..image.luks_header import KeySlot, LuksHeader

_MIB = 1 << 20


def register(subparsers: Subparsers[Parser]) -> None:
    """Add ``image inspect`` and ``image check``."""
    inspect = add_command(
        subparsers,
        "inspect",
        summary="show an image's layout, its LUKS header and key slots, and what the ledger knows",
        example="watchword image inspect web1.qcow2",
        run=_inspect,
    )
    inspect.add_argument("file", metavar="FILE", help="a raw or qcow2 image")
    check = add_command(
        subparsers,
        "check",
        summary="try keys of the vault on an image: which key slot each of them opens",
        example="watchword image check web1.qcow2 --entry web1/disk --recovery web1/recovery",
        run=_check,
    )
    check.description = (
        f"{check.description}\nNothing is mounted or changed, and no root is needed. An older copy"
        " of an image whose\nkey was replaced is refused (exit 3)."
    )
    check.add_argument("file", metavar="FILE", help="a raw or qcow2 image")
    check.add_argument("--entry", metavar="NAME", required=True, help="the vault's boot key for it")
    check.add_argument("--recovery", metavar="NAME", help="and its recovery key")
    add_vault_options(check)


def _inspect(arguments: argparse.Namespace, console: Console) -> Result:
    from ..image.inspection import inspect_image  # noqa: PLC0415 - other image commands do without
    from .ledger_command import opened_ledger  # noqa: PLC0415 - a database

    del console
    with opened_ledger() as ledger:
        report = inspect_image(Path(arguments.file), ledger)
    return Result(report.as_json(), tuple(_report_lines(report)))


def _report_lines(report: ImageReport) -> Iterator[str]:
    used = ", in use by another program" if report.in_use else ""
    yield f"{report.path}: {report.format.value}, {_size(report.size)}, {report.table.kind}{used}"
    for volume in report.volumes:
        yield f"  {volume.partition.number}  {_volume(volume)}"
        if volume.luks is not None:
            yield from _header_lines(volume.luks)
    if report.history is not None and report.history.entry is not None:
        yield f"The ledger names the vault entry {report.history.entry} for it."
    yield from report.meaning()


def _volume(volume: Volume) -> str:
    part = volume.partition
    names = {"fat": "FAT", "luks": "LUKS", "ext": "ext2, ext3 or ext4", "unknown": "unknown"}
    words = [
        f"at {_size(part.offset)}, {_size(part.size)}",
        names.get(volume.holds, volume.holds),
    ]
    words += ["EFI system partition"] if part.is_esp else []
    words += [f"“{part.name}”"] if part.name else []
    words += [f"DAMAGED: {volume.damage}"] if volume.damage else []
    return ", ".join(words)


def _header_lines(header: LuksHeader) -> Iterator[str]:
    rows = [
        ("LUKS", str(header.version)),
        ("UUID", header.uuid),
        ("cipher", f"{header.cipher}, a key of {header.key_size * 8} bits"),
        ("header", header.digest),
    ]
    rows += [(f"slot {slot.number}", _slot(slot)) for slot in header.slots]
    yield from table(rows, indent="     ")


def _slot(slot: KeySlot) -> str:
    if slot.kdf == "pbkdf2":
        words = f"PBKDF2-{slot.hash_name}, {slot.iterations} iterations"
    else:
        words = f"{slot.kdf}, {slot.memory_kib // 1024} MiB, {slot.iterations} passes"
    return words + (" (for random keys only)" if slot.is_fast else "")


def _check(arguments: argparse.Namespace, console: Console) -> Result:
    import asyncio  # noqa: PLC0415 - as below

    from ..image.key_check import check_image  # noqa: PLC0415 - other image commands do without
    from .ledger_command import opened_ledger  # noqa: PLC0415 - a database

    with opened_vault(arguments, console) as vault, opened_ledger() as ledger:
        checked = asyncio.run(
            check_image(Path(arguments.file), vault, ledger, arguments.entry, arguments.recovery)
        )
    status = ExitStatus.OK if checked.refusal is None else checked.refusal.exit_status
    return Result(checked.as_json(), tuple(_check_lines(checked)), status, checked.refusal)


def _check_lines(checked: CheckedImage) -> Iterator[str]:
    yield f"LUKS{checked.header.version} volume {checked.header.uuid}"
    for key in checked.keys:
        yield f"  {_tried(key)}"


def _tried(key: TriedKey) -> str:
    if key.slot is None:
        return f"{key.entry} opens no key slot"
    return f"{key.entry} opens slot {key.slot.number}: {_slot(key.slot)}"


def _size(count: int) -> str:
    return f"{count // _MIB} MiB" if count % _MIB == 0 else f"{count} bytes"
