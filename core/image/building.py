# SPDX-License-Identifier: Apache-2.0
"""Builds an encrypted disk image from a root file system, without root or loop devices.

The root lies in clear only in a file without a name beside the output, with a random
stand-in where the boot key belongs; the key itself is written through the encryption.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput, VaultError
from ..files import read_chunks
from ..guest.store import ProfileStore
from ..ledger.entries import EntryKind as LedgerKind
from ..ledger.ledger import Ledger
from ..secret import Secret
from ..sev.secret_table import KNOWN_SECRETS, Route, SecretEntry, check_entries
from ..vault.entries import EntryKind, check_entry_name, generate_disk_passphrase
from ..vault.recovery_code import new_recovery_code
from ..vault.vault import Vault
from ..vault.vault_errors import entry_exists
from .disk_access import ImageFormat
from .disk_assembly import DiskMaker
from .image_history import built_body
from .luks_partition import LuksMaterial, make_header
from .order import BuiltImage, ImageOrder, Observe, Progress, Stage
from .output_claim import OutputClaim, claimed_output, exists
from .profile_of import add_profile
from .programs import no_room, require_programs
from .root_building import SMALLEST_ROOT, RootMaker
from .root_changes import Ids, kernel_words
from .root_entries import ROOT, too_large, too_small
from .threads import FULL

_TOOLS: Final = (
    *("mkfs.ext4", "e2fsck", "debugfs", "cryptsetup", "qemu-nbd", "sfdisk", "mkfs.vfat"),
    *("mmd", "mcopy"),
)
_LARGEST: Final = 1 << 43


async def build_image(
    order: ImageOrder,
    vault: Vault,
    *,
    observe: Observe = lambda _: None,
    profiles: ProfileStore | None = None,
    ledger: Ledger | None = None,
) -> BuiltImage:
    """Build what is ordered; the keys are in the vault when the image has its name.

    With ``profiles`` and a firmware a guest profile is made too. When this is cancelled or
    fails, no image, no vault entry and no profile is left. Raises BadInput for anything about
    the root, the output and the tools, VaultError as Vault.add_all does.
    """
    _check(order, vault, profiles)
    with claimed_output(order.output) as claim:
        boot, recovery = generate_disk_passphrase(), new_recovery_code()
        try:
            _check_secret(order, boot)
            build = _Build(order, claim, observe, boot, recovery, generate_disk_passphrase())
            return await build.run(vault, profiles, ledger)
        except OSError as fault:
            if fault.errno in FULL:
                raise no_room(order.output.parent) from None
            raise
        finally:
            boot.wipe()
            recovery.wipe()


def _check(order: ImageOrder, vault: Vault, profiles: ProfileStore | None) -> None:
    tools = set(_TOOLS)
    tools |= {"grub-mkstandalone"} if order.route is Route.GRUB else set()
    tools |= {"qemu-img"} if order.format is ImageFormat.QCOW2 else set()
    require_programs(sorted(tools))
    for entry in (order.boot_entry, order.recovery_entry):
        check_entry_name(entry)
        if any(info.name == entry for info in vault.list()):
            raise _entry_taken(entry)
    if order.route is Route.GRUB and order.luks_version != 1:
        raise BadInput(
            "luks-and-route",
            "--luks",
            "GRUB as it is installed everywhere opens LUKS1 alone.",
            "Use --luks 1, or --route kernel.",
        )
    _check_root(order.root)
    if order.size is not None and not SMALLEST_ROOT < order.size <= _LARGEST:
        raise too_small(order.size) if order.size <= SMALLEST_ROOT else too_large("too much room")
    wanted = profiles if order.firmware is not None else None
    if wanted is not None and os.path.lexists(wanted.path(order.name)):
        raise BadInput(
            "guest-exists",
            f"the name {order.name}",
            "There is a guest profile of that name already.",
            "Choose another --name, or remove that profile first.",
        )


def _check_root(root: Path) -> None:
    """Refuse a root that is neither a folder nor a regular file that can be opened."""
    try:
        for _ in read_chunks(root, ROOT, chunk=1, limit=_LARGEST, allow_empty=True):
            break
    except BadInput as fault:
        if fault.code != "file-is-folder":
            raise


def _entry_taken(entry: str) -> VaultError:
    """The image's own words for it: nothing that is there is ever replaced by a build."""
    taken = entry_exists(entry)
    remedy = "Choose another --name, or remove that entry first if no image needs it any more."
    return VaultError(taken.code, taken.title, taken.message, remedy, taken.details)


def _check_secret(order: ImageOrder, boot: Secret) -> None:
    """Refuse a firmware whose secret area has no room for the key and GRUB's zero byte."""
    guid = KNOWN_SECRETS["disk-passphrase"]
    with boot.reveal() as view:
        padded = Secret(bytes(view) + b"\0")
    try:
        check_entries([SecretEntry(guid, padded)], order.secret_area)
    finally:
        padded.wipe()


@dataclass(frozen=True, slots=True)
class _Made:
    """An image that has all but its name."""

    disk: Path
    outside: list[Path]
    ids: Ids
    material: LuksMaterial
    written: int
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Build:
    """One build under way; ``stand_in`` is what the root holds in the boot key's place."""

    order: ImageOrder
    claim: OutputClaim
    observe: Observe
    boot: Secret
    recovery: Secret
    stand_in: Secret

    async def run(
        self, vault: Vault, profiles: ProfileStore | None, ledger: Ledger | None
    ) -> BuiltImage:
        order, ids = self.order, Ids(str(uuid.uuid4()), str(uuid.uuid4()), os.urandom(4).hex())
        warnings: list[str] = []
        with _nameless(self.claim.output.parent) as root:
            roots = RootMaker(order, self.claim.output.parent, self.observe)
            ids = await roots.fill(root, ids)
            placed = await roots.change(root, ids, self.stand_in, warnings)
            material = await make_header(order.luks_version, ids.luks, self.boot, self.recovery)
            maker = DiskMaker(order, self.claim, self.observe, self.boot, self.stand_in)
            disk = self.claim.beside("disk")
            with _removed_unless_kept([disk, *maker.outside()]):
                written = await maker.assemble(disk, root, ids, material)
                if order.format is ImageFormat.QCOW2:
                    disk = await maker.convert(disk)
                if placed is not None:
                    maker.write_outside(placed)
                self.observe(Progress(Stage.FINISH))
                outside = maker.outside()[1:]
                made = _Made(disk, outside, ids, material, written, warnings)
                return self._finish(made, vault, profiles, ledger)

    def _finish(
        self, made: _Made, vault: Vault, profiles: ProfileStore | None, ledger: Ledger | None
    ) -> BuiltImage:
        """Keys, then the image's name, then profile and ledger: nothing waits in between."""
        order, output = self.order, self.claim.output
        kernel = initrd = words = None
        if order.route is Route.KERNEL:
            kernel = output.with_name(f"{output.name}.vmlinuz")
            initrd = output.with_name(f"{output.name}.initrd")
            words = kernel_words(made.ids, order.cmdline)
        entries = [order.boot_entry, order.recovery_entry]
        self.claim.keys_are_next(entries)
        with contextlib.ExitStack() as undo:
            vault.add_all(
                [
                    (order.boot_entry, EntryKind.DISK_SECRET, self.boot),
                    (order.recovery_entry, EntryKind.RECOVERY, self.recovery),
                ]
            )
            undo.callback(vault.remove, *entries)
            pairs = [(made.disk, output)]
            if kernel is not None and initrd is not None:
                pairs += zip(made.outside, (kernel, initrd), strict=True)
            for source, target in pairs:
                _take_name(source, target)
                undo.callback(target.unlink, missing_ok=True)
            built = BuiltImage(
                path=output,
                size=output.stat().st_size,
                format=order.format,
                luks=order.luks_version,
                luks_uuid=made.ids.luks,
                header_sha256=made.material.header.digest,
                boot_entry=order.boot_entry,
                recovery_entry=order.recovery_entry,
                written=made.written,
                kernel=kernel,
                initrd=initrd,
                cmdline=words,
                warnings=tuple(made.warnings),
            )
            if profiles is not None and order.firmware is not None:
                built = add_profile(profiles, order, built)
                undo.callback(profiles.remove, order.name)
            if ledger is not None:
                ledger.append(LedgerKind.IMAGE_BUILT, None, _body(order, built, made.material))
            undo.pop_all()
        return built


def _body(order: ImageOrder, built: BuiltImage, material: LuksMaterial) -> dict[str, object]:
    body = built_body(
        material.header,
        path=str(built.path),
        entry=order.boot_entry,
        recovery_entry=order.recovery_entry,
    )
    return {**body, "format": order.format.value, "luks": order.luks_version}


def _take_name(source: Path, target: Path) -> None:
    """Give a finished file its name, never over another file."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise exists(target) from None
    except OSError:  # no hard links there
        if os.path.lexists(target):
            raise exists(target) from None
        source.rename(target)
    else:
        source.unlink()
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _nameless(folder: Path) -> Iterator[int]:
    """An open file that is gone with the process, however that ends."""
    try:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:  # a file system without such files
        path = folder / f".{os.urandom(8).hex()}.building"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _removed_unless_kept(paths: list[Path]) -> Iterator[None]:
    try:
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
