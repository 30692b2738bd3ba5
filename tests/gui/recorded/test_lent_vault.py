# SPDX-License-Identifier: Apache-2.0
"""The vault that launches borrow: the window's own, and none once that was closed."""

from __future__ import annotations

import threading

import pytest

from watchword.core.errors import VaultError
from watchword.core.vault.vault import Vault
from watchword.gui.lent_vault import LentVault

from ...core.launch.support import ENTRY
from .support import accept, begin

MAKING = {"create", "open", "in_memory"}


def test_whatever_a_vault_offers_goes_through_the_service():
    offered = {name for name in vars(Vault) if not name.startswith("_")} - MAKING
    assert offered <= vars(LentVault).keys()


def test_it_shows_what_the_windows_vault_holds(vaults):
    lent = LentVault(vaults)
    assert [one.name for one in lent.list()] == [ENTRY]
    with vaults.opened() as vault:
        assert lent.header == vault.header


def test_closing_what_was_lent_closes_nothing(vaults):
    LentVault(vaults).close()
    assert vaults.names() == (ENTRY,)


def test_after_the_vault_was_closed_by_hand_nothing_is_to_be_had(vaults):
    lent = LentVault(vaults)
    vaults.close()
    with pytest.raises(VaultError) as caught:
        lent.get(ENTRY)
    assert caught.value.code == "vault-closed"


def test_at_the_end_of_a_launch_the_keyring_is_written_to_beside_the_loop(
    qtbot, bridge, monkeypatch, make_wizard, host
):
    """It may ask somebody and take its time; whatever else runs in the loop goes on meanwhile."""
    threads = []

    def write_anchor(vault, head=None):
        threads.append(threading.current_thread().name)
        assert callable(head)
        assert head(None)
        return True

    monkeypatch.setattr(Vault, "write_anchor", write_anchor)
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    assert threads == []
    person.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
    assert len(threads) == 1
    assert bridge._thread.name not in threads


def test_what_goes_wrong_with_that_note_is_told_in_the_list(
    qtbot, bridge, monkeypatch, make_wizard, service, host
):
    def write_anchor(vault, head=None):
        raise VaultError("keyring-locked", "The keyring is locked", "It did not open.", "Unlock.")

    monkeypatch.setattr(Vault, "write_anchor", write_anchor)
    person = make_wizard()
    begin(person, host.url)
    accept(person)
    person.wizard.close_launch()
    qtbot.waitUntil(lambda: not bridge.busy)
    assert service.note == "The keyring is locked. It did not open."
