# SPDX-License-Identifier: Apache-2.0
"""Opens a vault with a credential that systemd hands to a service."""

from __future__ import annotations

import binascii
import os
import re
from pathlib import Path
from typing import Final

from ..errors import BadInput, UsageError, VaultError
from ..files import read_secret
from ..secret import Secret
from .header import CredentialSlot, Header, Slot
from .key_box import KEY_SIZE, lock_up, unlock
from .ways import Way, other_way

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
DEFAULT_NAME: Final = "watchword-vault"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PURPOSE: Final = "systemd-credential"
_CREDENTIAL_LIMIT: Final = 4096


class CredentialWay(Way):
    """The wrap key lies in the file, in a box under the credential: 32 bytes, raw or in base64.

    ``directory``  where systemd puts the credentials of a service; None outside of one
    ``name``       of the credential of a new vault
    ``fresh``      what systemd_creds.make_credential gave: no service can have it yet
    """

    def __init__(
        self, directory: Path | None, name: str = DEFAULT_NAME, fresh: Secret | None = None
    ) -> None:
        self._directory = directory
        self._name = check_credential_name(name)
        self._fresh = fresh

    def keep(self, vault_id: bytes, wrap_key: Secret) -> Slot:
        """Lock the key up under the credential; raises as :meth:`fetch` does."""
        key = self._credential(self._name)
        try:
            return CredentialSlot(self._name, lock_up(wrap_key, key, vault_id, _PURPOSE))
        finally:
            key.wipe()

    def fetch(self, header: Header) -> Secret:
        """Open the box with the credential.

        Raises VaultError ``credential-missing``, ``bad-credential`` or ``wrong-credential``.
        """
        slot = header.slot
        if not isinstance(slot, CredentialSlot):
            raise other_way(slot.WAY)
        self._name = slot.credential  # a new key is locked up under the same one
        key = self._credential(slot.credential)
        try:
            wrap_key = unlock(slot.box, key, header.vault_id, _PURPOSE)
        finally:
            key.wipe()
        if wrap_key is None:
            raise VaultError(
                "wrong-credential",
                "The vault does not open",
                f"The credential {slot.credential} is another one than this vault was made with.",
                "Give the service the credential that was made with the vault.",
            )
        return wrap_key

    def _credential(self, name: str) -> Secret:
        if self._fresh is not None and name == self._name:
            with self._fresh.reveal() as view:
                return Secret(view)
        if self._directory is None:
            raise _missing(name, "systemd gave this process no credentials")
        try:
            content = read_secret(self._directory / name, "the credential", _CREDENTIAL_LIMIT)
        except BadInput as fault:
            raise _missing(name, fault.message.rstrip(".")) from None
        try:
            return _parse(content)
        finally:
            content.wipe()


def credentials_directory() -> Path | None:
    """Where systemd puts this service's credentials, or None."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    return Path(directory) if directory else None


def check_credential_name(name: str) -> str:
    """The name, if a credential may have it. Raises UsageError ``bad-credential-name``."""
    if _NAME.fullmatch(name):
        return name
    raise UsageError(
        "bad-credential-name",
        "A credential can't have this name",
        "It has 1 to 64 letters, digits or . _ - and begins with a letter or a digit.",
        f"Choose a name such as {DEFAULT_NAME}.",
    )


def _parse(content: Secret) -> Secret:
    """32 bytes, raw or as base64 of either alphabet."""
    if len(content) == KEY_SIZE:
        with content.reveal() as view:
            return Secret(view)
    with content.reveal() as view:
        text = bytes(view).translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n=")
    try:
        decoded = binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) != KEY_SIZE:
        raise VaultError(
            "bad-credential",
            "The credential is none for a vault",
            f"A vault's credential has {KEY_SIZE} bytes, raw or in base64; this one has not.",
            "Make one with `watchword vault init --open-with systemd-credential"
            " --credential-out FILE`.",
        )
    return Secret(decoded)


def _missing(name: str, why: str) -> VaultError:
    return VaultError(
        "credential-missing",
        "The vault's credential is not there",
        f"The vault opens with the systemd credential {name}, but {why}.",
        f"Run this in a service with LoadCredentialEncrypted={name}:FILE, FILE being the"
        " credential that was made with the vault; --credential-out FILE makes it with a new one.",
        {"credential": name},
    )
