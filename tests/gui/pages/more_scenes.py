# SPDX-License-Identifier: Apache-2.0
"""More states that are worth looking at: the rarer dialogs, evidence, weaknesses, launches."""

from __future__ import annotations

from pathlib import Path

from watchword.core.image.disk_access import ImageFormat
from watchword.core.image.order import BuiltImage, Progress, Stage
from watchword.core.launch.store import LaunchSummary
from watchword.core.ledger.entries import EntryKind as Happened
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.vault.header import OpenWith
from watchword.gui.crash_dialog import CrashDialog
from watchword.gui.image_service import ImageService
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.check_page import CheckPage
from watchword.gui.pages.guests_dialogs import DuplicateDialog, ExportDialog, ImportDialog
from watchword.gui.pages.image_page import ImagePage
from watchword.gui.pages.launch_actions import AbandonDialog
from watchword.gui.pages.launches_page import LaunchesPage
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_save import AcceptDialog
from watchword.gui.pages.ledger_service import LedgerService
from watchword.gui.pages.start_page import StartPage
from watchword.gui.pages.vault_dialogs import PassphraseDialog
from watchword.gui.pages.vault_key_dialogs import TokenDialog
from watchword.gui.pages.vault_page import VaultPage

from . import scenes
from .fleet_scenes import FLEET_SCENES
from .support import MemoryBackend, make_service, passphrase


class _Idle:
    """Stands for a page's work where there is none."""

    busy = False


def _at_rest(page):
    page.work = _Idle()
    return page


def _vault(bridge, service, settle, size):
    page = VaultPage(bridge, service)
    page.resize(*size)
    page.show()
    page.refresh()
    settle(page)
    return page


def vault_token(bridge, home, settle, size):
    page = _vault(bridge, make_service(home / "vault", MemoryBackend()), settle, size)
    page.maker.chooser.others.set_open(True)
    page.maker.choices[OpenWith.PKCS11].click()
    return page, page


def vault_credential(bridge, home, settle, size):
    page = _vault(bridge, make_service(home / "vault", MemoryBackend()), settle, size)
    page.maker.chooser.others.set_open(True)
    page.maker.choices[OpenWith.SYSTEMD_CREDENTIAL].click()
    return page, page


def vault_rotate(bridge, home, settle, size):
    service, _ = scenes._filled(home, OpenWith.PASSPHRASE, passphrase())
    page = _vault(bridge, service, settle, size)
    page.keys.rotating.click()
    return page.dialog, page


def vault_restore(bridge, home, settle, size):
    page = _vault(bridge, make_service(home / "vault", MemoryBackend()), settle, size)
    page.maker.restoring.click()
    return page.dialog, page


def vault_by_code(bridge, home, settle, size):
    service, _ = scenes._filled(home, OpenWith.PASSPHRASE, passphrase())
    service.make_recovery_code()[0].wipe()
    service.close()
    page = _vault(bridge, service, settle, size)
    page.keys.by_code.click()
    page.dialog.chooser.choices[OpenWith.PASSPHRASE].click()
    return page.dialog, page


def _over(dialog_of):
    """A dialog over a plain page."""

    def build(bridge, home, settle, size):
        page = _at_rest(StartPage())
        page.resize(*size)
        page.show()
        dialog = dialog_of(page)
        dialog.open()
        return dialog, page

    return build


def _ledger(bridge, home, settle, size):
    service = make_service(home / "vault", MemoryBackend())
    service.create(OpenWith.SESSION_ONLY)
    page = LedgerPage(bridge, LedgerService(home, service))
    page.resize(*size)
    page.show()
    page.refresh()
    settle(page)
    return page


def ledger_affected(bridge, home, settle, size):
    body = {"guest": "web1", "host": "qmp+tls://rack3.example.net:4444", "generation": "milan"}
    secret = {"name": "disk-passphrase", "entry": "web1/disk", "size": 44, "test": False}
    with Records.open(home) as records:
        ledger = Ledger(records)
        ledger.append(Happened.PACKET_SEALED, "web1-20261123-c0ffee", {**body, "secrets": [secret]})
        ledger.append(Happened.PLATFORM_REFUSED, "lab-20261123-7f3a91", body, simulated=True)
    page = _ledger(bridge, home, settle, size)
    page.affected.set_open(True)
    page.affected.generation.setCurrentIndex(page.affected.generation.findData("milan"))
    page.affected.searching.click()
    settle(page)
    page.resize(size[0], 1500)
    return page, page


def evidence_section(bridge, home, settle, size):
    with Records.open(home) as records:
        Ledger(records).append(Happened.LAUNCH_PREPARED, "a1", {"guest": "web1"})
    page = _ledger(bridge, home, settle, size)
    page.evidence.set_open(True)
    settle(page)
    page.resize(size[0], 1150)
    return page, page


def evidence_check(bridge, home, settle, size):
    page = _ledger(bridge, home, settle, size)
    page.evidence.set_open(True)
    settle(page)
    page.evidence.checking.click()
    page.dialog.own.set_open(True)
    return page.dialog, page


def evidence_redact(bridge, home, settle, size):
    page = _ledger(bridge, home, settle, size)
    page.evidence._open_redacting()
    return page.dialog, page


def evidence_open(bridge, home, settle, size):
    page = _ledger(bridge, home, settle, size)
    page.evidence.set_open(True)
    settle(page)
    page.evidence.opening.click()
    return page.dialog, page


def _launches(bridge, home):
    service = LaunchService(make_service(home / "vault", MemoryBackend()))
    return _at_rest(LaunchesPage(bridge, service))


def launches_list(bridge, home, settle, size):
    page = _launches(bridge, home)
    page.resize(*size)
    page.show()
    states = ("prepared", "running", "refused", "handed-over", "abandoned")
    page._show(
        (
            [
                LaunchSummary(
                    id=f"web{n}-20261123-{n:06x}",
                    guest=f"web{n}",
                    technology="sev",
                    simulated=int(state == "abandoned"),
                    state=state,
                    host="qmp+ssh://root@rack3.example.net/run/web1.sock",
                    waits_for="host" if state == "prepared" else "",
                    created="2026-11-23T14:00:00Z",
                    changed="2026-11-23T14:00:00Z",
                )
                for n, state in enumerate(states)
            ],
            ("web1",),
            "",
        )
    )
    page.table.selectRow(1)
    return page, page


def launches_none(bridge, home, settle, size):
    page = _launches(bridge, home)
    page.resize(*size)
    page.show()
    page._show(([], (), ""))
    return page, page


def check_platform(bridge, home, settle, size):
    service = LaunchService(make_service(home / "vault", MemoryBackend()))
    page = _at_rest(CheckPage(bridge, service))
    page.resize(*size)
    page.show()
    return page, page


def start(bridge, home, settle, size):
    page = _at_rest(StartPage())
    page.resize(*size)
    page.show()
    return page, page


def _images(bridge, home, size):
    vaults = make_service(home / "vault", MemoryBackend())
    vaults.create(OpenWith.KEYRING)
    page = ImagePage(bridge, ImageService(vaults))
    page.resize(*size)
    page.show()
    return page


def image_form(bridge, home, settle, size):
    page = _images(bridge, home, size)
    page.form.firmware.set_path("/srv/firmware/OVMF.amdsev.fd")
    page.resize(size[0], 1300)
    return page, page


def image_problems(bridge, home, settle, size):
    page = _images(bridge, home, size)
    page.form.firmware.set_path("/srv/firmware/OVMF.amdsev.fd")
    page.form.name.setText("web 1")
    page.form.room.setText("much")
    page.form.building.click()
    page.look.set_open(True)
    page.resize(size[0], 1700)
    return page, page


def image_building(bridge, home, settle, size):
    page = _images(bridge, home, size)
    page.line.begin("")
    page._show_progress(Progress(Stage.ENCRYPT, 310 << 20, 812 << 20))
    return page, page


def image_built(bridge, home, settle, size):
    page = _images(bridge, home, size)
    built = BuiltImage(
        path=Path("/srv/images/web1.qcow2"),
        size=2 << 30,
        format=ImageFormat.QCOW2,
        luks=1,
        luks_uuid="0b9c2f44-52a1-4b1c-9f5e-2f6a7d1c8e90",
        header_sha256="ab" * 32,
        boot_entry="web1/disk",
        recovery_entry="web1/recovery",
        written=1 << 30,
        profile="web1",
        warnings=("No root password and no authorized_keys: nobody could log in.",),
    )
    page._show_built(built)
    page.resize(size[0], 900)
    return page, page


_REPORT = """Watchword 0.1.0
Python 3.11.7, Qt 6.12.0
Linux x86_64

Fault: ValueError
  watchword.gui.pages.vault_page:142 _make
  watchword.core.vault.vault:98 create"""

MORE_SCENES = {
    "start": start,
    "launches-none": launches_none,
    "launches-list": launches_list,
    "launch-abandon": _over(lambda page: AbandonDialog("web1-20261123-c0ffee", page)),
    "check-platform": check_platform,
    "crash": _over(lambda page: CrashDialog(_REPORT, page)),
    "guest-duplicate": _over(lambda page: DuplicateDialog("web1", page)),
    "guest-export": _over(lambda page: ExportDialog("web1", page)),
    "guest-import": _over(ImportDialog),
    "vault-token": vault_token,
    "vault-credential": vault_credential,
    "vault-passphrase": _over(PassphraseDialog),
    "vault-pin": _over(lambda page: TokenDialog("owner-token", page)),
    "vault-rotate": vault_rotate,
    "vault-restore": vault_restore,
    "vault-by-code": vault_by_code,
    "ledger-affected": ledger_affected,
    "ledger-accept": _over(AcceptDialog),
    "image-form": image_form,
    "image-problems": image_problems,
    "image-building": image_building,
    "image-built": image_built,
    "evidence-section": evidence_section,
    "evidence-check": evidence_check,
    "evidence-redact": evidence_redact,
    "evidence-open": evidence_open,
    **FLEET_SCENES,
}

EVERY = scenes.SCENES | MORE_SCENES
"""All of them, by name."""
