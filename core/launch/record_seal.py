# SPDX-License-Identifier: Apache-2.0
"""Shows that a launch's record is as this owner's Watchword wrote it.

A record says what may run, and where. So it carries an HMAC under a key that lies in
the vault: whoever can write the records file alone can neither change a launch to
another platform or firmware, nor put in one that the owner never ordered.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from ..errors import UsageError, VaultError
from ..secret import Secret
from ..sev.mac import hmac_sha256
from ..vault.entries import EntryKind
from ..vault.launch_keys import record_changed
from ..vault.vault import Vault
from .fault_points import fault_point
from .record import LaunchRecord, SealedRecord

RECORD_KEY_ENTRY: Final = "launches/record-key"
"""What the vault calls the key; its kind is ``record-key``."""
_KEY_SIZE: Final = 32
_MARK: Final = b"watchword launch record\0"


class RecordSeal:
    """Seals and checks records with the vault's key, which is made when it is first needed."""

    def __init__(self, vault: Vault, random: Callable[[int], bytes]) -> None:
        self._vault = vault
        self._random = random

    def seal(self, body: bytes) -> str:
        """The seal (hex) of a record's JSON. Raises VaultError."""
        return self._mac(self._key(), body)

    def check(self, sealed: SealedRecord) -> LaunchRecord:
        """The record, if this vault's key sealed it.

        Raises VerificationRefused ``launch-record-changed``, and UsageError
        ``launch-of-another-vault`` where the record itself names another vault.
        """
        record = sealed.record
        if record.vault_id != self._vault.header.vault_id.hex():
            raise _other_vault(record.id)
        if not self._vault.holds(RECORD_KEY_ENTRY):
            raise record_changed(record.id)
        mac = self._mac(self._vault.get(RECORD_KEY_ENTRY), sealed.body)
        if not hmac.compare_digest(mac.encode(), sealed.seal.encode()):
            raise record_changed(record.id)
        return record

    def _key(self) -> Secret:
        """The vault's key for records; made by the first process that needs it."""
        try:
            return self._vault.get(RECORD_KEY_ENTRY)
        except VaultError as error:
            if error.code != "entry-missing":
                raise
        key = Secret(self._random(_KEY_SIZE))
        try:
            self._vault.add(RECORD_KEY_ENTRY, EntryKind.RECORD_KEY, key)
        except VaultError as error:
            if error.code != "entry-exists":
                raise
        finally:
            key.wipe()
        fault_point("record-key-in-vault")
        return self._vault.get(RECORD_KEY_ENTRY)

    @staticmethod
    def _mac(key: Secret, body: bytes) -> str:
        try:
            with key.reveal() as view:
                return hmac_sha256(view, _MARK, body).hex()
        finally:
            key.wipe()


def _other_vault(launch_id: str) -> UsageError:
    return UsageError(
        "launch-of-another-vault",
        "Another vault holds the keys of this launch",
        f"{launch_id} was prepared with another vault than the one that is open now.",
        "Open that vault (--vault DIR), or start a new launch. What was made with a session-only"
        " vault is gone with the program that made it.",
        {"launch": launch_id},
    )
