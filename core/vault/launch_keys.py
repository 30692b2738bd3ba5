# SPDX-License-Identifier: Apache-2.0
"""TEK and TIK of a launch, as entries of the vault that are erased as soon as they have served.

With them and the packet, anybody can take the secret out of it. So they leave the vault
when the packet is sealed, or the launch is abandoned; what copies of the vault file still
hold is said in vault.py. The packet takes their place in the same write, before anybody
else sees it: with the keys the vault could seal another one, with the packet it knows
that it has. It stays until the launch is over.

Beside them lies their binding: a digest of what they were made for (platform, policy,
launch blob, what is to run). The keys are given out only to somebody who names the same,
so that changed records of a launch can't lead them to another platform.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import Final

from ..errors import UsageError, VaultError, VerificationRefused
from ..secret import Secret
from .entries import EntryKind
from .vault import Vault

BINDING_SIZE: Final = 32
"""Bytes of a binding, a SHA-256."""
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ENTRY: Final = re.compile(rf"launch/({_ID.pattern})/(?:tek|tik|binding|packet)")


def launch_key_names(launch_id: str) -> tuple[str, str, str]:
    """The names of the entries of TEK, TIK and binding. Raises UsageError ``bad-launch-id``."""
    check_launch_id(launch_id)
    return f"launch/{launch_id}/tek", f"launch/{launch_id}/tik", f"launch/{launch_id}/binding"


def launch_packet_name(launch_id: str) -> str:
    """The name of the entry of the packet. Raises UsageError ``bad-launch-id``."""
    return f"launch/{check_launch_id(launch_id)}/packet"


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
    if not vault.holds(*names):
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


def exchange_keys_for_packet(vault: Vault, launch_id: str, packet: bytes) -> None:
    """Erase keys and binding, and keep the one packet (ciphertext) instead, in one step.

    Raises VaultError ``entry-missing`` where the keys are gone, ``entry-exists`` where
    there is a packet already, and as :meth:`Vault.exchange` does.
    """
    new = (launch_packet_name(launch_id), EntryKind.LAUNCH_PACKET, Secret(packet))
    vault.exchange(launch_key_names(launch_id), [new])


def read_launch_packet(vault: Vault, launch_id: str) -> bytes | None:
    """What was kept in the place of the keys; None where nothing was, or no more."""
    name = launch_packet_name(launch_id)
    if not vault.holds(name):
        return None
    with vault.get(name).reveal() as view:
        return bytes(view)


def erase_launch_keys(vault: Vault, launch_id: str) -> bool:
    """Rewrite the vault without the keys; False if they were gone already.

    It may be called again, after a crash too. Raises as :meth:`Vault.remove` does.
    """
    return _erase(vault, launch_key_names(launch_id))


def erase_launch(vault: Vault, launch_id: str) -> bool:
    """Rewrite the vault without keys and packet; False if there were none."""
    return _erase(vault, (*launch_key_names(launch_id), launch_packet_name(launch_id)))


def _erase(vault: Vault, names: Iterable[str]) -> bool:
    found = [name for name in names if vault.holds(name)]
    if found:
        vault.remove(*found)
    return bool(found)


def launches_in(vault: Vault) -> frozenset[str]:
    """The ids of all launches of which the vault holds a key or a packet."""
    found = (_ENTRY.fullmatch(entry.name) for entry in vault.list())
    return frozenset(match[1] for match in found if match is not None)


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
