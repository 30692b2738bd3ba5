# SPDX-License-Identifier: Apache-2.0
"""A look into an image that there is: its layout, its key slots, and whether a key opens it."""

from __future__ import annotations

from functools import partial
from typing import Final, cast

from PySide6.QtCore import QCoreApplication, Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from watchword.core.image.inspection import ImageReport, Volume
from watchword.core.image.key_check import CheckedImage
from watchword.core.image.luks_header import KeySlot

from ..asking import ask, ask_async
from ..bridge import Bridge
from ..image_service import ImageService
from ..vault_gate import VaultGate
from ..widgets.fonts import SMALL
from ..widgets.key_value_table import KeyValueTable, Row
from ..widgets.tones import Tone
from .guests_fields import Field
from .image_fold import ImageFold

_MOST_VOLUMES: Final = 20


class ImageLook(ImageFold):
    """Nothing is mounted or changed; a check takes a key from the vault."""

    def __init__(
        self, bridge: Bridge, service: ImageService, gate: VaultGate, parent: QWidget | None = None
    ) -> None:
        super().__init__(bridge, service, gate, parent)
        self._entitle(
            self.tr("Look into an image that you have…"),
            self.tr("The i&mage; nothing in it is changed"),
        )
        self.inspecting = QPushButton(self.tr("Loo&k into it"))
        self.checking = QPushButton(self.tr("&Try this key"))
        self.inspecting.clicked.connect(self._inspect)
        self.checking.clicked.connect(self._ask_vault)
        self._inputs = (self.inspecting, self.checking, self.file, self.entry)
        self.facts = KeyValueTable()
        self.facts.hide()
        self._lay_out()
        for changed in (self.file.pathChanged, self.entry.textChanged):
            changed.connect(self._forget)

    def _lay_out(self) -> None:
        self.key = Field(
            self.tr("The vault's &entry with its key"),
            self.entry,
            hint=self.tr("Such as web1/disk; only to try whether it opens the disk."),
        )
        row = QHBoxLayout()
        row.setSpacing(SMALL)
        for button in (self.inspecting, self.checking):
            button.setAutoDefault(True)
            row.addWidget(button)
        row.addStretch(1)
        self.body.addWidget(self.file)
        self.body.addWidget(self.key)
        self.body.addLayout(row)
        for widget in (self.line, self.banner, self.facts):
            self.body.addWidget(widget)

    # -- what is asked -----------------------------------------------------------------

    @Slot()
    def _inspect(self) -> None:
        if self._begins(self.tr("Reading its layout and its headers…")):
            look = partial(self._service.inspect, self.file.path)
            job = ask(self._bridge, self, look, self._show_report, self._show_error)
            job.finished.connect(self._rest)

    @Slot()
    def _ask_vault(self) -> None:
        self.key.set_problem("")
        if not self.entry.text().strip():
            self.key.set_problem(self.tr("Name an entry of the vault."))
            self.entry.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self._gate.open_then(self._check)

    def _check(self) -> None:
        if self._begins(self.tr("Trying the key on its slots…")):
            check = partial(self._service.check, self.file.path, self.entry.text().strip())
            job = ask_async(self._bridge, self, check, self._show_check, self._show_error)
            job.finished.connect(self._rest)

    def _begins(self, words: str) -> bool:
        """Whether there is anything to look into, and nothing else is at work."""
        self.file.set_problem("" if self.file.path else self.tr("Name an image."))
        if not self.file.path or not self.line.isHidden():
            return False
        self.facts.hide()
        self._wait(words)
        return True

    @Slot()
    def _forget(self) -> None:
        """What was found is about another image, or another key."""
        self.banner.clear()
        self.facts.hide()

    # -- what came of it -----------------------------------------------------------------

    def _show_report(self, found: object) -> None:
        report = cast("ImageReport", found)
        encrypted = any(volume.luks is not None for volume in report.volumes)
        self.banner.show_message(
            Tone.INFO if encrypted else Tone.WARN,
            self.tr("An image with an encrypted volume")
            if encrypted
            else self.tr("Nothing in it is encrypted"),
            "\n".join(report.meaning()),
        )
        used = self.tr(", in use by another program") if report.in_use else ""
        form = f"{report.format.value}, {_mib(report.size)}, {report.table.kind}{used}"
        rows = [Row(self.tr("Image"), form)]
        for volume in report.volumes[:_MOST_VOLUMES]:
            rows += self._volume_rows(volume)
        self._show_rows(rows)

    def _volume_rows(self, volume: Volume) -> list[Row]:
        part = volume.partition
        name = self.tr("Partition {n}").format(n=part.number)
        words = f"{volume.holds}, {_mib(part.size)}"
        words += f", “{part.name}”" if part.name else ""
        words += f", {volume.damage}" if volume.damage else ""
        rows = [Row(name, words)]
        header = volume.luks
        if header is not None:
            rows.append(Row(f"LUKS{header.version}", header.uuid, copy=True))
            rows += [Row(_slot_name(slot), _slot_words(slot)) for slot in header.slots]
        return rows

    def _show_check(self, found: object) -> None:
        checked = cast("CheckedImage", found)
        if checked.refusal is not None:
            self.banner.show_error(checked.refusal)
        else:
            words = self.tr("Which slot it opens stands below. The ledger says nothing against it.")
            self.banner.show_message(Tone.OK, self.tr("The key opens the disk"), words)
        nowhere = self.tr("opens no key slot")
        self._show_rows(
            [
                Row(key.entry, nowhere if key.slot is None else _slot_words(key.slot))
                for key in checked.keys
            ]
        )

    def _show_rows(self, rows: list[Row]) -> None:
        self.facts.set_rows(rows)
        self.facts.show()


def _mib(count: int) -> str:
    return f"{count >> 20} MiB"


def _slot_name(slot: KeySlot) -> str:
    return QCoreApplication.translate("ImageLook", "Slot {n}").format(n=slot.number)


def _slot_words(slot: KeySlot) -> str:
    words = QCoreApplication.translate("ImageLook", "slot {n}: {kdf}, {count} iterations")
    return words.format(n=slot.number, kdf=slot.kdf, count=slot.iterations)
