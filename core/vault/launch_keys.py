# SPDX-License-Identifier: Apache-2.0
"""TEK and TIK of a launch, as entries of the vault that are erased as soon as they have served.

With them and the packet, anybody can take the secret out of it. So they leave the vault
when the packet is sealed and stored, or the launch is abandoned; what copies of the
vault file still hold is said in vault.py.

Beside them lies their binding: a digest of what they were made for (platform, policy,
launch blob, what is to run). The keys are given out only to somebody who names the same,
so that changed records of a launch can't lead them to another platform.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

from ..errors import UsageError, VaultError, VerificationRefused
from ..secret import Secret
from .entries import EntryKind
from .vault import Vault

BINDING_SIZE: Final = 32
"""Bytes of a binding, a SHA-256."""
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def launch_key_names(launch_id: str) -> tuple[str, str, str]:
    """The names of the entries of TEK, TIK and binding. Raises UsageError ``bad-launch-id``."""
    check_launch_id(launch_id)
    return f"launch/{launch_id}/tek", f"launch/{launch_id}/tik", f"launch/{launch_id}/binding"


def check_launch_id(launch_id: str) -> str:
    """The id, if a launch may have it. Raises UsageError ``bad-launch-id``."""
    if not _ID.fullmatch(launch_id):
        raise UsageError(
            "bad-launch-id",
            "This is no launch",
            "A launch is named by 1 to 64 letters, digits or . _ -",
            "See the launches with `watchword launch list`.",
        )
    return launch_id


def store_launch_keys(
    vault: Vault, launch_id: str, tek: Secret, tik: Secret, binding: bytes
) -> None:
    """Store keys and binding (32 bytes), or nothing; a launch has its keys for good.

    Raises VaultError ``entry-exists`` and as :meth:`Vault.add_all` does.
    """
    names, kind = launch_key_names(launch_id), EntryKind.TRANSPORT_KEY
    values = (tek, tik, Secret(binding))
    vault.add_all([(name, kind, value) for name, value in zip(names, values, strict=True)])


def read_launch_keys(vault: Vault, launch_id: str, binding: bytes) -> tuple[Secret, Secret]:
    """TEK and TIK, which the caller wipes, if they were made for what ``binding`` stands for.

    Raises VerificationRefused ``launch-record-changed``, and VaultError
    ``launch-keys-missing`` where they are erased or were never in this vault.
    """
    names = launch_key_names(launch_id)
    present = {entry.name for entry in vault.list()}
    if not present.issuperset(names):
        raise keys_missing(launch_id)
    with vault.get(names[2]).reveal() as known:
        if not hmac.compare_digest(known, binding):
            raise record_changed(launch_id)
    tek = vault.get(names[0])
    try:
        return tek, vault.get(names[1])
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


def record_changed(launch_id: str) -> VerificationRefused:
    """The error for records of a launch that are not what this vault vouches for."""
    return VerificationRefused(
        "launch-record-changed",
        "The records of this launch were changed",
        f"What is recorded of {launch_id} is not what its keys were made for: somebody has"
        " changed the records file, or it is another vault's.",
        "Nothing was sent. Find out who can write that file; abandon this launch and start a"
        " new one.",
        {"launch": launch_id},
    )


def keys_missing(launch_id: str) -> VaultError:
    """The error for a launch whose keys are erased, or are in another vault."""
    return VaultError(
        "launch-keys-missing",
        "The keys of this launch are gone",
        f"The vault has no keys for {launch_id}: they were erased, or are in another vault.",
        "Start a new launch: the VM has to be started anew with a new launch blob.",
        {"launch": launch_id},
    )
