# SPDX-License-Identifier: Apache-2.0
"""``watchword image``: encrypted disk images, and here ``image build``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .command import Parser, Subparsers, add_command, add_group
from .image_look_command import register as register_look
from .image_rekey_command import register as register_rekey
from .output import Console, Result, table
from .vault_options import add_vault_options, opened_vault

if TYPE_CHECKING:
    from ..image.order import BuiltImage, ImageOrder, Progress
    from ..vault.vault import Vault

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_FIRMWARE_LIMIT = 64 << 20
_STAGES = {
    "survey": "Looking through the root.",
    "fill": "Making its file system",
    "change": "Putting in what opens the disk.",
    "encrypt": "Encrypting",
    "convert": "Making a qcow2 of it",
    "finish": "Keeping its keys in the vault.",
}
_KEEP_IT = (
    "Write it down and keep it apart: it opens the disk at any prompt when the boot key is lost."
    " It is in the vault too, and is not shown again."
)


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``image build|inspect|check|rekey``."""
    group = add_group(
        subparsers, "image", "build encrypted disk images, look into them, and give them new keys"
    )
    build = add_command(
        group,
        "build",
        summary="build an encrypted disk from a root file system, with its keys in the vault",
        example="watchword image build --root web1.tar.xz --output web1.qcow2 --format qcow2"
        " --name web1 --firmware OVMF.amdsev.fd --vcpus 1-4 --cpu EPYC-Milan",
        run=_build,
    )
    build.description = (
        f"{build.description}\nNo root, loop device or device-mapper is needed. The root comes from"
        " a tar, a folder,\nor the root partition of a raw or qcow2 image; docs/images.md says what"
        " is put into it."
    )
    _add_what(build)
    _add_profile(build)
    add_vault_options(build)
    register_look(group)
    register_rekey(group)


def _add_what(build: argparse.ArgumentParser) -> None:
    build.add_argument(
        "--root", metavar="SOURCE", required=True, help="a tar, a folder, or a disk image"
    )
    build.add_argument("--output", metavar="FILE", required=True, help="a new file")
    build.add_argument(
        "--name", metavar="GUEST", required=True, help="the guest; names its vault entries too"
    )
    build.add_argument("--format", choices=("raw", "qcow2"), default="raw", help="default raw")
    build.add_argument(
        "--size", metavar="N[KMGT]", type=_size, help="of the whole disk; default: as it fits"
    )
    build.add_argument(
        "--route",
        choices=("grub", "kernel"),
        default="grub",
        help="who reads the key: GRUB inside the firmware (default), or the kernel, which then"
        " lies outside of the disk",
    )
    build.add_argument(
        "--luks", type=int, choices=(1, 2), help="default 1 for GRUB's sake, 2 for the kernel"
    )
    build.add_argument(
        "--cmdline", metavar="TEXT", default="ro", help="more for the kernel; default ro"
    )


def _add_profile(build: argparse.ArgumentParser) -> None:
    group = build.add_argument_group("the guest profile, which is made where firmware is named")
    group.add_argument("--firmware", metavar="FILE", help="the firmware that the guest starts with")
    group.add_argument("--policy", metavar="POLICY", default="default", help="guest policy")
    group.add_argument("--vcpus", metavar="SET", help="numbers of vCPUs: 4, 1-8 or 1-4,8")
    group.add_argument("--cpu", metavar="MODEL", help="QEMU model or 25/1/1")


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12})([KMGT]?)(?:i?B)?", text.upper(), re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no size such as 4G")
    return int(found[1]) * _UNITS[found[2]]


def _build(arguments: argparse.Namespace, console: Console) -> Result:
    import asyncio  # noqa: PLC0415 - other image commands do without

    from ..guest.store import ProfileStore, profiles_folder  # noqa: PLC0415 - as above
    from ..image.building import build_image  # noqa: PLC0415 - as above
    from ..ledger.ledger import Ledger  # noqa: PLC0415 - a database
    from ..records.database import Records, records_folder  # noqa: PLC0415 - as above

    order = _order(arguments)
    with opened_vault(arguments, console) as vault, Records.open(records_folder()) as records:
        built = asyncio.run(
            build_image(
                order,
                vault,
                observe=_Told(console).observe,
                profiles=ProfileStore(profiles_folder()),
                ledger=Ledger(records),
            )
        )
        recovery = _recovery_of(vault, built)
    for warning in built.warnings:
        console.note(f"warning: {warning}")
    payload = {**built.as_json(), "recovery_key": recovery}
    last = ("Recovery key of the disk:", recovery, _KEEP_IT)
    return Result(payload, (*_lines(built), *last))


def _order(arguments: argparse.Namespace) -> ImageOrder:
    from ..image.disk_access import ImageFormat  # noqa: PLC0415 - other image commands do without
    from ..image.order import ImageOrder  # noqa: PLC0415 - as above
    from ..sev.secret_table import Route  # noqa: PLC0415 - as above

    firmware = None if arguments.firmware is None else Path(arguments.firmware)
    return ImageOrder(
        root=Path(arguments.root),
        output=Path(arguments.output),
        name=arguments.name,
        format=ImageFormat(arguments.format),
        size=arguments.size,
        luks=arguments.luks,
        route=Route(arguments.route),
        cmdline=arguments.cmdline,
        firmware=firmware,
        policy=arguments.policy,
        vcpus=arguments.vcpus,
        cpu=arguments.cpu,
        secret_area=None if firmware is None else _secret_area(firmware),
    )


def _secret_area(path: Path) -> int | None:
    """How many bytes the firmware has for secrets; raises BadInput where it takes none."""
    from ..files import read_file  # noqa: PLC0415 - for a profile alone
    from ..sev.firmware import FirmwareImage  # noqa: PLC0415 - as above

    image = FirmwareImage.from_bytes(read_file(path, "--firmware", _FIRMWARE_LIMIT), "--firmware")
    image.require_secret_area()
    return None if image.secret_area is None else image.secret_area.size


def _recovery_of(vault: Vault, built: BuiltImage) -> str:
    secret = vault.get(built.recovery_entry)
    try:
        with secret.reveal() as view:
            return bytes(view).decode()
    finally:
        secret.wipe()


class _Told:
    """Tells each stage once, and of long ones every tenth part."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, int] = ("", -1)

    def observe(self, progress: Progress) -> None:
        """Say where the builder is."""
        text = _STAGES[progress.stage.value]
        if text.endswith("."):
            if self._last[0] != progress.stage.value:
                self._console.progress(text)
                self._last = (progress.stage.value, 0)
            return
        tenth = progress.done * 10 // progress.total if progress.total else 0
        if (progress.stage.value, tenth) == self._last or tenth > 10:
            return
        self._last = (progress.stage.value, tenth)
        done, total = progress.done >> 20, progress.total >> 20
        self._console.progress(f"{text}: {done} of {total} MiB.")


def _lines(built: BuiltImage) -> Iterator[str]:
    yield f"Built {built.path}, {built.format.value}, {built.size >> 20} MiB."
    rows = [
        ("LUKS", f"{built.luks}, UUID {built.luks_uuid}"),
        ("boot key", f"vault entry {built.boot_entry}, slot 0"),
        ("recovery key", f"vault entry {built.recovery_entry}, slot 1"),
    ]
    if built.kernel is not None:
        rows += [
            ("kernel", str(built.kernel)),
            ("initrd", str(built.initrd)),
            ("command line", str(built.cmdline)),
        ]
    yield from table(rows)
    if built.profile is not None:
        yield f"Guest profile {built.profile} is ready: `watchword launch prepare --help`."
    else:
        yield (
            "No guest profile was made, for want of --firmware; `watchword guest add` makes one,"
            f" with --secret disk-passphrase={built.boot_entry}."
        )
