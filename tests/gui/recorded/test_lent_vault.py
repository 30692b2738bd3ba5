# SPDX-License-Identifier: Apache-2.0
"""The vault that launches borrow: the window's own, and none once that was closed."""

from __future__ import annotations

import pytest

from watchword.core.errors import VaultError
from watchword.core.vault.vault import Vault
from watchword.gui.lent_vault import LentVault

from ...core.launch.support import ENTRY

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
