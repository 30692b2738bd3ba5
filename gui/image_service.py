# SPDX-License-Identifier: Apache-2.0
"""Encrypted images as the window has them: built, looked into, and tried with keys. No Qt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchword.core.errors import VaultError, WatchwordError
from watchword.core.files import read_file
from watchword.core.guest.rules import needs_es
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.image.building import build_image
from watchword.core.image.disk_access import ImageFormat
from watchword.core.image.inspection import ImageReport, inspect_image
from watchword.core.image.key_check import CheckedImage, check_image
from watchword.core.image.order import BuiltImage, ImageOrder, Progress
from watchword.core.image.rekey import RekeyedImage, rekey_image
from watchword.core.ledger.anchor import newest_head
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records, records_folder
from watchword.core.secret import Secret
from watchword.core.sev.firmware import FIRMWARE_LIMIT, FirmwareImage
from watchword.core.sev.secret_table import Route

from .lent_vault import LentVault
from .pages.guests_document import problems_of, without_empty
from .pages.vault_service import VaultService

SIZE_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?([KMGT]?)(?:I?B)?", re.ASCII)
_STEPS: Final = 200
"""Of each stage, as many are told at most: an image has more pieces than a screen has pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForm:
    """What was filled in for an image, as text; empty texts stand for nothing."""

    root: str = ""
    output: str = ""
    format: str = "raw"
    size: str = ""
    route: str = "grub"
    name: str = ""
    firmware: str = ""
    vcpus: str = ""
    cpu: str = ""

    def problems(self) -> dict[str, str]:
        """What is wrong, as sentences by field; no file is looked at."""
        found = {}
        if not self.root:
            found["root"] = "Name what the guest's root file system is taken from."
        if not self.output:
            found["output"] = "Name the file that the image is to be."
        if self.size and size_of(self.size) is None:
            found["size"] = "Write a size such as 4G, or leave it empty for one that fits."
        document = self._document()
        wanted = ("name", "vcpus", "cpu") if self.firmware else ("name",)
        told = problems_of(document, ())
        return found | {key: told[key] for key in wanted if key in told}

    def order(self) -> ImageOrder:
        """The order; reads the firmware. Raises BadInput about it."""
        firmware = Path(self.firmware) if self.firmware else None
        return ImageOrder(
            root=Path(self.root),
            output=Path(self.output).absolute(),
            name=self.name,
            format=ImageFormat(self.format),
            size=size_of(self.size) if self.size else None,
            route=Route(self.route),
            firmware=firmware,
            vcpus=self.vcpus or None,
            cpu=self.cpu or None,
            secret_area=None if firmware is None else _secret_area(firmware),
        )

    def _document(self) -> dict[str, Any]:
        """The profile that will be made, as far as it can be judged before."""
        document = without_empty(
            {
                "name": self.name,
                "policy": "default",
                "firmware": [{"path": str(Path(self.firmware or "firmware").absolute())}],
                "vcpus": self.vcpus,
                "cpu": [self.cpu] if self.cpu else [],
                "route": self.route,
            }
        )
        document["technology"] = "sev" if needs_es(document) is False else "sev-es"
        return document


def size_of(text: str) -> int | None:
    """Bytes of a size such as ``4G``; None if it is none."""
    found = _SIZE.fullmatch(text.strip().upper())
    return None if found is None else int(found[1]) * SIZE_UNITS[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeying:
    """What was filled in for another boot key; an empty text stands for nothing.

    ``entry``, ``recovery``  names of vault entries
    ``leave_initrd``         go on although an initrd has the old key packed in it
    """

    path: str
    entry: str
    recovery: str = ""
    leave_initrd: bool = False


class ImageService:
    """Works over the window's vault, profiles and records.

    Tests give another ``build`` and another ``rekey``.
    """

    def __init__(
        self,
        vaults: VaultService,
        build: Callable[..., Any] = build_image,
        folder: Path | None = None,
        rekey: Callable[..., Coroutine[Any, Any, RekeyedImage]] = rekey_image,
    ) -> None:
        self.vaults = vaults
        self._build = build
        self._rekey = rekey
        self._folder = folder
        self.note = ""
        """What went less well than it should at the end of the last build."""

    async def build(self, form: ImageForm, observe: Callable[[Progress], object]) -> BuiltImage:
        """Build an image in the bridge's loop; cancelled, it leaves nothing.

        Raises as ``build_image`` does.
        """
        order = await asyncio.to_thread(form.order)
        with Records.open(records_folder()) as records:
            built: BuiltImage = await self._build(
                order,
                LentVault(self.vaults),
                observe=_Thinned(observe).tell,
                profiles=ProfileStore(self._folder or profiles_folder()),
                ledger=Ledger(records),
            )
        await asyncio.to_thread(self._note_news)
        return built

    def recovery_key(self, entry: str) -> Secret:
        """The recovery key, for the caller to show and wipe. Raises VaultError."""
        return self.vaults.reveal(entry)

    def inspect(self, path: str) -> ImageReport:
        """Layout and headers of an image; blocks. Raises as ``inspect_image`` does."""
        if not Records.exists(records_folder()):
            return inspect_image(Path(path), None)
        with Records.open(records_folder()) as records:
            return inspect_image(Path(path), Ledger(records))

    async def check(self, path: str, entry: str) -> CheckedImage:
        """Whether a key of the vault opens it. Raises as ``check_image`` does."""
        with Records.open(records_folder()) as records:
            vault = LentVault(self.vaults)
            return await check_image(Path(path), vault, Ledger(records), entry, None)

    async def rekey(self, wanted: Rekeying, observe: Callable[[str], object]) -> RekeyedImage:
        """Replace a boot key, in a thread of its own: once begun it goes to its end.

        ``observe`` hears the names of ``POINTS``. Raises as ``rekey_image`` does.
        """
        return await asyncio.to_thread(self._rekey_whole, wanted, observe)

    def _rekey_whole(self, wanted: Rekeying, observe: Callable[[str], object]) -> RekeyedImage:
        self.note = ""
        with Records.open(records_folder()) as records:
            vault, ledger = LentVault(self.vaults), Ledger(records)
            done = asyncio.run(
                self._rekey(
                    Path(wanted.path),
                    vault,
                    ledger,
                    wanted.entry,
                    recovery=wanted.recovery or None,
                    leave_initrd=wanted.leave_initrd,
                    observe=observe,
                )
            )
            try:
                vault.write_anchor(lambda noted: newest_head(ledger, noted))
            except WatchwordError as error:  # the key is replaced in any case
                self.note = f"{error.title}. {error.message}"
        return done

    def _note_news(self) -> None:
        """Have the keyring take note of the vault's new state; the image is built in any case."""
        self.note = ""
        try:
            with self.vaults.opened() as vault:
                if vault.anchor_due:
                    vault.write_anchor()
        except VaultError as error:
            self.note = f"{error.title}. {error.message}"


class _Thinned:
    """Passes on what can be seen of a builder's progress; called from whatever thread."""

    def __init__(self, observe: Callable[[Progress], object]) -> None:
        self._observe = observe
        self._last: tuple[str, int] = ("", -1)

    def tell(self, progress: Progress) -> None:
        """One more step."""
        done = progress.done * _STEPS // progress.total if progress.total else 0
        now = (progress.stage.value, done)
        if now != self._last:
            self._last = now
            self._observe(progress)


def _secret_area(path: Path) -> int | None:
    field = "the firmware"
    image = FirmwareImage.from_bytes(read_file(path, field, FIRMWARE_LIMIT), field)
    image.require_secret_area()
    return None if image.secret_area is None else image.secret_area.size
