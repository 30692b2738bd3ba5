# SPDX-License-Identifier: Apache-2.0
"""The pages in states that are worth looking at, for the gallery."""

from __future__ import annotations

from watchword.core.ledger.entries import EntryKind as Happened
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.secret import Secret
from watchword.core.vault.entries import EntryKind
from watchword.core.vault.header import OpenWith
from watchword.gui.launch_service import LaunchService
from watchword.gui.pages.guests_page import GuestsPage
from watchword.gui.pages.guests_service import GuestService
from watchword.gui.pages.ledger_page import LedgerPage
from watchword.gui.pages.ledger_service import LedgerService
from watchword.gui.pages.vault_add_dialog import Source
from watchword.gui.pages.vault_page import VaultPage
from watchword.gui.pages.vault_service import VaultService

from .guest_files import firmware_file, plain_document
from .support import KeyringLocked, MemoryBackend, make_service, passphrase


def _vault_page(bridge, service, settle, size):
    page = VaultPage(bridge, service)
    page.resize(*size)
    page.show()
    page.refresh()
    settle(page)
    return page


def _filled(home, way=OpenWith.KEYRING, given=None):
    backend = MemoryBackend()
    service = make_service(home / "vault", backend)
    service.create(way, given)
    service.generate("web1/disk", EntryKind.DISK_SECRET)
    service.generate("web1/disk-spare", EntryKind.RECOVERY)
    service.add("web1/tls-key", EntryKind.GUEST_SECRET, Secret(b"-----BEGIN PRIVATE"))
    service.add("try/disk", EntryKind.TEST_SECRET, Secret(b"of no worth"))
    service.add("launch/1f3a/tik", EntryKind.TRANSPORT_KEY, Secret(bytes(16)))
    return service, backend


def vault_none(bridge, home, settle, size):
    page = _vault_page(bridge, make_service(home / "vault", MemoryBackend()), settle, size)
    page.maker.choices[OpenWith.PASSPHRASE].click()
    return page, page


def vault_open(bridge, home, settle, size):
    page = _vault_page(bridge, _filled(home)[0], settle, size)
    page.entries.rows[1].reveal.click()
    settle(page)
    return page, page


def vault_closed(bridge, home, settle, size):
    service, _ = _filled(home, OpenWith.PASSPHRASE, passphrase())
    service.close()
    page = _vault_page(bridge, service, settle, size)
    return page, page


def vault_locked(bridge, home, settle, size):
    service, backend = _filled(home)
    service.close()
    backend.fault = KeyringLocked()
    page = _vault_page(bridge, service, settle, size)
    return page, page


def vault_add(bridge, home, settle, size):
    page = _vault_page(bridge, _filled(home)[0], settle, size)
    page.adding.click()
    page.dialog.choose(Source.TYPED)
    return page.dialog, page


def vault_remove(bridge, home, settle, size):
    page = _vault_page(bridge, _filled(home)[0], settle, size)
    page.entries.rows[0].remove.click()
    return page.dialog, page


def vault_recovery(bridge, home, settle, size):
    page = _vault_page(bridge, _filled(home)[0], settle, size)
    page.recovery.click()
    settle(page)
    return page.dialog, page


def _guests(home, firmware="OVMF.amdsev.fd"):
    path = firmware_file(home, firmware)
    guests = GuestService(home / "guests", lambda: ["web1/disk", "web1/tls-key"])
    guests.add(
        {
            "name": "web1",
            "technology": "sev-es",
            "policy": "default",
            "description": "The shop's front end",
            "firmware": [{"path": str(path)}],
            "vcpus": "1-8",
            "cpu": ["EPYC-Milan"],
            "host": "qmp+ssh://root@rack3.example.net/run/web1.sock",
            "secrets": {"disk-passphrase": "web1/disk"},
        }
    )
    return guests, path


def _guests_page(bridge, guests, settle, size):
    page = GuestsPage(bridge, guests, lambda: LaunchService(VaultService()))
    page.resize(*size)
    page.show()
    page.refresh()
    settle(page)
    return page


def guests_none(bridge, home, settle, size):
    page = _guests_page(bridge, GuestService(home / "guests"), settle, size)
    return page, page


def _changed(home):
    guests, path = _guests(home)
    other = home / "lab"
    other.mkdir()
    guests.add(plain_document(firmware_file(other).parent, "lab", description="To try things"))
    path.write_bytes(b"\x01" + path.read_bytes()[1:])
    (home / "guests" / "old.toml").write_text("name = [")
    return guests


def guests_list(bridge, home, settle, size):
    page = _guests_page(bridge, _changed(home), settle, size)
    return page, page


def guests_go(bridge, home, settle, size):
    page = _guests_page(bridge, _guests(home)[0], settle, size)
    page.list.cards[0].button.click()
    return page, page


def guests_changed(bridge, home, settle, size):
    page = _guests_page(bridge, _changed(home), settle, size)
    page.list.cards[-1].button.click()
    return page, page


def guests_approve(bridge, home, settle, size):
    page = _guests_page(bridge, _changed(home), settle, size)
    page.list.cards[-1].button.click()
    page.view.approve.click()
    return page.dialog, page


def guests_form(bridge, home, settle, size):
    page = _guests_page(bridge, _guests(home)[0], settle, size)
    page.list.cards[0].button.click()
    page.view.edit.click()
    settle(page)
    page.resize(size[0], 1500)
    return page, page


def guests_problems(bridge, home, settle, size):
    page = _guests_page(bridge, GuestService(home / "guests"), settle, size)
    page.list.new.click()
    settle(page)
    page.form.expert.set_open(True)
    page.form.boot.set_open(True)
    page.form.fields["host"].widget.setText("rack3")
    page.form.secrets.adding.click()
    page.form.saving.click()
    page.resize(size[0], 2100)
    return page, page


def _ledger_page(bridge, home, settle, size):
    page = LedgerPage(bridge, LedgerService(home))
    page.resize(*size)
    page.show()
    page.refresh()
    settle(page)
    return page


def ledger_none(bridge, home, settle, size):
    page = _ledger_page(bridge, home, settle, size)
    return page, page


def ledger_verified(bridge, home, settle, size):
    body = {"guest": "web1", "host": "qmp+ssh://root@rack3.example.net/run/web1.sock"}
    with Records.open(home) as records:
        ledger = Ledger(records)
        ledger.append(Happened.PLATFORM_REFUSED, "7f3a91c2", body, simulated=True)
        for kind in (
            Happened.LAUNCH_PREPARED,
            Happened.MEASUREMENT_VERIFIED,
            Happened.PACKET_SEALED,
            Happened.SECRET_HANDED_OVER,
            Happened.LAUNCH_RUNNING,
        ):
            ledger.append(kind, "c0ffee42", body)
    page = _ledger_page(bridge, home, settle, size)
    page.table.selectRow(1)
    page.verifying.click()
    settle(page)
    page.resize(size[0], 1150)
    return page, page


SCENES = {
    "vault-none": vault_none,
    "vault-open": vault_open,
    "vault-closed": vault_closed,
    "vault-locked": vault_locked,
    "vault-add": vault_add,
    "vault-remove": vault_remove,
    "vault-recovery": vault_recovery,
    "guests-none": guests_none,
    "guests-list": guests_list,
    "guests-go": guests_go,
    "guests-changed": guests_changed,
    "guests-approve": guests_approve,
    "guests-form": guests_form,
    "guests-problems": guests_problems,
    "ledger-none": ledger_none,
    "ledger-verified": ledger_verified,
}
