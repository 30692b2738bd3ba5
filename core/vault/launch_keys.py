# SPDX-License-Identifier: Apache-2.0
"""TEK and TIK of a launch, as entries of the vault that are erased as soon as they have served.

With them and the packet, anybody can take the secret out of it. So they leave the vault
when the packet is sealed and stored, or the launch is abandoned; what copies of the
vault file still hold is said in vault.py.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import UsageError
from ..secret import Secret
from .entries import EntryKind
from .vault import Vault

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def launch_key_names(launch_id: str) -> tuple[str, str]:
    """The names of the entries of TEK and TIK. Raises UsageError ``bad-launch-id``."""
    if not _ID.fullmatch(launch_id):
        raise UsageError(
            "bad-launch-id",
            "This is no launch",
            "A launch is named by 1 to 64 letters, digits or . _ -",
            "See the launches with `watchword launch list`.",
        )
    return f"launch/{launch_id}/tek", f"launch/{launch_id}/tik"


def store_launch_keys(vault: Vault, launch_id: str, tek: Secret, tik: Secret) -> None:
    """Store both or neither; a launch has its keys for good.

    Raises VaultError ``entry-exists`` and as :meth:`Vault.add_all` does.
    """
    tek_name, tik_name = launch_key_names(launch_id)
    kind = EntryKind.TRANSPORT_KEY
    vault.add_all([(tek_name, kind, tek), (tik_name, kind, tik)])


def read_launch_keys(vault: Vault, launch_id: str) -> tuple[Secret, Secret]:
    """TEK and TIK, which the caller wipes. Raises VaultError ``entry-missing``."""
    tek_name, tik_name = launch_key_names(launch_id)
    tek = vault.get(tek_name)
    try:
        return tek, vault.get(tik_name)
    except BaseException:
        tek.wipe()
        raise


def erase_launch_keys(vault: Vault, launch_id: str) -> bool:
    """Rewrite the vault without the keys; False if they were gone already.

    It may be called again, after a crash too. Raises as :meth:`Vault.remove` does.
    """
    present = {entry.name for entry in vault.list()}
    names = [name for name in launch_key_names(launch_id) if name in present]
    if names:
        vault.remove(*names)
    return bool(names)
