# SPDX-License-Identifier: Apache-2.0
"""The owner's key for jobs and enrolments: kept in the vault, known to workers by fingerprint.

It is not the key that signs evidence: that one is also made where a worker runs, and whoever
has it can say what was verified, not what is to be done. Both are Ed25519 seeds, and are used
by the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..errors import UsageError, VaultError
from ..evidence.signing_key import new_signing_key
from ..vault.entries import EntryKind
from .envelope import is_hex

if TYPE_CHECKING:
    from ..secret import Secret
    from ..vault.vault import Vault

OWNER_KEY_ENTRY: Final = "workers/owner-key"
"""What the owner's vault calls it; its kind is ``signing-key``."""


def owner_key(
    vault: Vault, random: Callable[[int], bytes] = os.urandom, *, make: bool = False
) -> Secret:
    """The owner's Ed25519 seed (32 bytes), which the caller wipes; with ``make`` a new one
    where there is none.

    Its fingerprint is ``signer_fingerprint``'s. Raises VaultError ``owner-key-missing``.
    """
    if not vault.holds(OWNER_KEY_ENTRY):
        if not make:
            raise _missing()
        seed = new_signing_key(random)
        try:
            vault.add(OWNER_KEY_ENTRY, EntryKind.SIGNING_KEY, seed)
        except VaultError as error:
            if error.code != "entry-exists":  # another process was faster
                raise
        finally:
            seed.wipe()
    return vault.get(OWNER_KEY_ENTRY)


def pinned_owner(text: str) -> str:
    """The fingerprint that a worker pins; raises as :func:`pinned_fingerprint`."""
    return pinned_fingerprint(text, "watchword worker owner")


def pinned_fingerprint(text: str, command: str) -> str:
    """A fingerprint as it was typed, in one way: colons, blanks and capitals are let through.

    ``command``  prints it where it belongs. Raises UsageError ``bad-fingerprint``.
    """
    digits = "".join(text.split()).replace(":", "").lower()
    if is_hex(digits, 32):
        return digits
    raise UsageError(
        "bad-fingerprint",
        "This is no fingerprint",
        "A fingerprint has 64 hex digits, the SHA-256 of a public key.",
        f"Take it from the machine whose it is: `{command}` prints it there.",
    )


def _missing() -> VaultError:
    return VaultError(
        "owner-key-missing",
        "This vault has no owner's key for jobs",
        "Jobs and enrolments are signed with a key that the owner's vault holds.",
        "Make it with `watchword worker owner --new`, on the owner's machine alone.",
    )
