# SPDX-License-Identifier: Apache-2.0
"""A profile's secrets, as the vault holds them under the names that the profile gives."""

from __future__ import annotations

from typing import Final

from ..errors import VaultError
from ..guest.profile import GuestProfile, SecretReference
from ..secret import Secret
from ..vault.entries import EntryKind
from ..vault.vault import Vault
from .sev_plan import SecretOrder

_FOR_GUESTS: Final = frozenset(
    {
        EntryKind.DISK_SECRET,
        EntryKind.GUEST_SECRET,
        EntryKind.RECOVERY,
        EntryKind.TEST_SECRET,
    }
)


def secret_orders(profile: GuestProfile, vault: Vault) -> tuple[SecretOrder, ...]:
    """The secrets to hand over; they are read only when they are to be sealed.

    What the vault calls a test secret is one, and nothing else. Raises VaultError
    ``entry-missing``, and ``entry-not-for-guests`` for keys of Watchword's own.
    """
    return tuple(secret_order(reference, vault) for reference in profile.secret_references)


def secret_order(reference: SecretReference, vault: Vault) -> SecretOrder:
    """One secret of the vault, under the conditions of ``secret_orders``."""
    kind = _kind(reference, vault)

    def load() -> Secret:
        if _kind(reference, vault) is not kind:
            raise _replaced(reference)
        return vault.get(reference.entry)

    return SecretOrder(
        reference.name,
        reference.guid,
        load,
        test=kind is EntryKind.TEST_SECRET,
        entry=reference.entry,
    )


def _kind(reference: SecretReference, vault: Vault) -> EntryKind:
    kind = vault.info(reference.entry).kind
    if kind not in _FOR_GUESTS:
        raise VaultError(
            "entry-not-for-guests",
            "This entry is not for a guest",
            f"“{reference.entry}” is a {kind.value}: with it somebody could take secrets that"
            " were sent, or sign in your name.",
            f"Put another entry's name into the profile, under {reference.name}.",
            {"entry": reference.entry, "kind": kind.value},
        )
    return kind


def _replaced(reference: SecretReference) -> VaultError:
    return VaultError(
        "entry-kind-differs",
        "The entry was replaced in the meantime",
        f"“{reference.entry}” is of another kind than when this launch began.",
        "Nothing was sent. Take the launch up again.",
        {"entry": reference.entry},
    )
