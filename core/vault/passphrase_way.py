# SPDX-License-Identifier: Apache-2.0
"""Opens a vault with a passphrase, for machines without a keyring."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from typing import Final

from ..errors import VaultError
from ..secret import Secret
from .header import Header, PassphraseSlot, Slot
from .key_box import lock_up, unlock
from .key_stretching import SALT_SIZE, Scrypt, Stretching
from .ways import Way, other_way

SHORTEST: Final = 12
LONGEST: Final = 1024
_PURPOSE: Final = "passphrase"


class PassphraseWay(Way):
    """The wrap key lies in the file, in a box under a key made from the passphrase.

    ``ask``         gives the passphrase of an existing vault
    ``ask_new``     gives one for a new key, most often by asking twice
    ``stretching``  how a new one is made into a key
    What they give is wiped after use.
    """

    def __init__(
        self,
        ask: Callable[[], Secret],
        ask_new: Callable[[], Secret] | None = None,
        stretching: Stretching | None = None,
    ) -> None:
        self._ask = ask
        self._ask_new = ask_new or ask
        self._stretching = stretching or Scrypt()
        self._prepared: tuple[Secret, bytes] | None = None

    def prepare(self) -> None:
        """Ask for a new passphrase and make its key.

        Raises VaultError ``passphrase-too-short``, ``passphrase-too-long``, or as ``ask_new``
        and the key stretching do.
        """
        passphrase = _normalised(self._ask_new())
        try:
            _check_length(passphrase)
            salt = os.urandom(SALT_SIZE)
            self._prepared = self._stretching.derive(passphrase, salt), salt
        finally:
            passphrase.wipe()

    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """Lock the key up under the new passphrase; raises as :meth:`prepare` does."""
        if self._prepared is None:
            self.prepare()
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise _wrong_passphrase()
        key, salt = prepared
        try:
            box = lock_up(wrap_key, key, vault_id, _PURPOSE)
        finally:
            key.wipe()
        return PassphraseSlot(self._stretching, salt, box)

    def fetch(self, header: Header) -> Secret:
        """Ask for the passphrase and open the box with it.

        Raises VaultError ``wrong-passphrase``, or as ``ask`` and the key stretching do.
        """
        slot = header.slot
        if not isinstance(slot, PassphraseSlot):
            raise other_way(slot.WAY)
        passphrase = _normalised(self._ask())
        try:
            if len(passphrase) > LONGEST:
                raise _wrong_passphrase()
            key = slot.stretching.derive(passphrase, slot.salt)
        finally:
            passphrase.wipe()
        try:
            wrap_key = unlock(slot.box, key, header.vault_id, _PURPOSE)
        finally:
            key.wipe()
        if wrap_key is None:
            raise _wrong_passphrase()
        return wrap_key


def _normalised(passphrase: Secret) -> Secret:
    """The passphrase in Unicode's composed form: keyboards disagree about accents.

    The secret that was given is wiped if another one takes its place.
    """
    with passphrase.reveal() as view:
        if all(byte < 0x80 for byte in view):
            return passphrase
        try:
            composed = unicodedata.normalize("NFC", bytes(view).decode()).encode()
        except UnicodeDecodeError:  # no text: taken byte for byte
            return passphrase
    passphrase.wipe()
    return Secret(composed)


def _check_length(passphrase: Secret) -> None:
    if len(passphrase) < SHORTEST:
        raise VaultError(
            "passphrase-too-short",
            "The passphrase is too short",
            f"It has fewer than {SHORTEST} bytes; whoever copies the vault file could try all"
            " of that kind.",
            "Take five or six words that were chosen by chance.",
        )
    if len(passphrase) > LONGEST:
        raise VaultError(
            "passphrase-too-long",
            "The passphrase is too long",
            f"It has more than {LONGEST} bytes: most likely it is another file.",
            "Take five or six words that were chosen by chance.",
        )


def _wrong_passphrase() -> VaultError:
    return VaultError(
        "wrong-passphrase",
        "The vault does not open",
        "The passphrase is wrong (or somebody has changed the vault file on purpose).",
        "Try again; mind capitals and the keyboard layout. With the recovery code:"
        " `watchword vault restore`.",
    )
