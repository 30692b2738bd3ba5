# SPDX-License-Identifier: Apache-2.0
"""The header of a vault file: which vault it is, how it is opened, whether a recovery code exists.

It is not secret, and is associated data of the sealed index: what was changed in it is
noticed as soon as the vault is open. Until then nothing in it is believed further than
needed to ask for the key.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from .damage import StrictFields, damaged
from .key_box import BOX_SIZE
from .key_stretching import SALT_SIZE, Stretching, parse_stretching
from .sealed_entries import KEY_ID_SIZE, VAULT_ID_SIZE

HEADER_LIMIT: Final = 8 * 1024

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,63}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class OpenWith(StrEnum):
    """The ways to open a vault; one is chosen when it is made, and never exchanged silently."""

    KEYRING = "keyring"
    PASSPHRASE = "passphrase"  # noqa: S105 - a way
    SESSION_ONLY = "session-only"
    SYSTEMD_CREDENTIAL = "systemd-credential"
    PKCS11 = "pkcs11"


@dataclass(frozen=True, slots=True)
class KeyringSlot:
    """The wrap key lies in the keyring of that name, under the id of the vault."""

    WAY: ClassVar[OpenWith] = OpenWith.KEYRING
    keyring: str

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {"way": self.WAY.value, "keyring": self.keyring}


@dataclass(frozen=True, slots=True)
class PassphraseSlot:
    """The wrap key lies in a box of 60 bytes under a key made from passphrase and salt (32)."""

    WAY: ClassVar[OpenWith] = OpenWith.PASSPHRASE
    stretching: Stretching
    salt: bytes
    box: bytes

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {
            "way": self.WAY.value,
            "kdf": self.stretching.as_json(),
            "salt": self.salt.hex(),
            "box": self.box.hex(),
        }


@dataclass(frozen=True, slots=True)
class CredentialSlot:
    """The wrap key lies in a box of 60 bytes under the systemd credential of that name."""

    WAY: ClassVar[OpenWith] = OpenWith.SYSTEMD_CREDENTIAL
    credential: str
    box: bytes

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {"way": self.WAY.value, "credential": self.credential, "box": self.box.hex()}


@dataclass(frozen=True, slots=True)
class TokenSlot:
    """The wrap key lies in a box of 60 bytes under an AES key that stays in a PKCS#11 token."""

    WAY: ClassVar[OpenWith] = OpenWith.PKCS11
    token: str
    key_label: str
    box: bytes

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {
            "way": self.WAY.value,
            "token": self.token,
            "key": self.key_label,
            "box": self.box.hex(),
        }


@dataclass(frozen=True, slots=True)
class SessionSlot:
    """There is no wrap key outside the memory of the process, and nothing else in the file."""

    WAY: ClassVar[OpenWith] = OpenWith.SESSION_ONLY

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {"way": self.WAY.value}


Slot = KeyringSlot | PassphraseSlot | CredentialSlot | TokenSlot | SessionSlot


@dataclass(frozen=True, slots=True)
class RecoverySlot:
    """The wrap key in a box of 60 bytes under the recovery code that was made on a day (UTC)."""

    made: str
    box: bytes

    def as_json(self) -> dict[str, object]:
        """The slot as the header holds it."""
        return {"made": self.made, "box": self.box.hex()}


@dataclass(frozen=True, slots=True)
class Header:
    """``vault_id``: 16 random bytes; ``key_id``: 16 bytes that tell one wrap key from another."""

    vault_id: bytes
    key_id: bytes
    slot: Slot
    recovery: RecoverySlot | None = None

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """The header of its JSON form.

        Raises VaultError ``vault-damaged`` or ``vault-parameters``.
        """
        fields = StrictFields.parse(data, "the header")
        header = cls(
            fields.hex("vault", VAULT_ID_SIZE),
            fields.hex("key", KEY_ID_SIZE),
            _parse_slot(fields.fields("open_with")),
            _parse_recovery(fields.optional_fields("recovery")),
        )
        fields.finish()
        if header.build() != data:
            raise damaged("its header is not written as Watchword writes it")
        return header

    def build(self) -> bytes:
        """The JSON form: UTF-8, sorted keys, no blanks."""
        document = {
            "vault": self.vault_id.hex(),
            "key": self.key_id.hex(),
            "open_with": self.slot.as_json(),
            "recovery": None if self.recovery is None else self.recovery.as_json(),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _parse_slot(fields: StrictFields) -> Slot:
    way = OpenWith(fields.choice("way", tuple(OpenWith)))
    slot: Slot
    if way is OpenWith.KEYRING:
        slot = KeyringSlot(fields.text("keyring", _LABEL))
    elif way is OpenWith.PASSPHRASE:
        stretching = parse_stretching(fields.fields("kdf"))
        slot = PassphraseSlot(
            stretching, fields.hex("salt", SALT_SIZE), fields.hex("box", BOX_SIZE)
        )
    elif way is OpenWith.SYSTEMD_CREDENTIAL:
        slot = CredentialSlot(fields.text("credential", _LABEL), fields.hex("box", BOX_SIZE))
    elif way is OpenWith.PKCS11:
        token, key = fields.text("token", _LABEL), fields.text("key", _LABEL)
        slot = TokenSlot(token, key, fields.hex("box", BOX_SIZE))
    else:
        slot = SessionSlot()
    fields.finish()
    return slot


def _parse_recovery(fields: StrictFields | None) -> RecoverySlot | None:
    if fields is None:
        return None
    slot = RecoverySlot(fields.text("made", _DATE), fields.hex("box", BOX_SIZE))
    fields.finish()
    return slot
