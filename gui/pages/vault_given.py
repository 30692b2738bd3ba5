# SPDX-License-Identifier: Apache-2.0
"""What a person gives to open a vault, or for one that is to come; knows no Qt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from watchword.core.errors import VaultError
from watchword.core.secret import Secret
from watchword.core.vault.credential_way import DEFAULT_NAME, CredentialWay, credentials_directory
from watchword.core.vault.header import OpenWith
from watchword.core.vault.key_stretching import Stretching
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.keyring_way import KeyringWay
from watchword.core.vault.passphrase_way import PassphraseWay
from watchword.core.vault.token_way import MODULE_VARIABLE, TokenWay
from watchword.core.vault.ways import SessionWay, Way


def known_module() -> str:
    """The PKCS#11 library that the environment names; empty if it names none."""
    return os.environ.get(MODULE_VARIABLE, "")


@dataclass(slots=True, kw_only=True)
class Given:
    """The answers for one piece of work; :meth:`wipe` wipes the secrets among them.

    ``open_with``       how it opens, or shall open from now on
    ``new_passphrase``  where the old one is needed too; else ``passphrase`` is the new one
    ``module``          path of the token's library; ``token`` its label, of a new vault
    ``credential``      name of the systemd credential of a new vault
    ``credential_out``  new file for the credential, encrypted with ``with_key``; empty for
    one that this service has already
    """

    open_with: OpenWith
    passphrase: Secret | None = None
    new_passphrase: Secret | None = None
    pin: Secret | None = None
    module: str = field(default_factory=known_module)
    token: str = ""
    credential: str = DEFAULT_NAME
    credential_out: str = ""
    with_key: str = "auto"

    def wipe(self) -> None:
        """Wipe what must not stay."""
        for secret in (self.passphrase, self.new_passphrase, self.pin):
            if secret is not None:
                secret.wipe()


class Answers:
    """Makes ways to open a vault that ask for what was given, as long as that is there.

    ``keyring``     makes the access to the keyring
    ``stretching``  of a new passphrase
    """

    def __init__(self, keyring: Callable[[], KeyringAccess], stretching: Stretching) -> None:
        self._make_access = keyring
        self._stretching = stretching
        self._given: Given | None = None
        self._access: KeyringAccess | None = None
        self._token: TokenWay | None = None
        self._fresh: Secret | None = None

    @contextmanager
    def hold(self, given: Given) -> Iterator[None]:
        """For the time of one piece of work; it is wiped at its end."""
        self._given = given
        try:
            yield
        finally:
            given.wipe()
            self._given = None
            if self._token is not None:
                self._token.close()

    def close(self) -> None:
        """Let go of keyring, token and credential."""
        if self._access is not None:
            self._access.close()
        if self._token is not None:
            self._token.close()
        if self._fresh is not None:
            self._fresh.wipe()
        self._access = self._token = self._fresh = None

    def ways(self, given: Given) -> Mapping[OpenWith, Way]:
        """Every way, for a file of which it is not known yet how it opens."""
        return {way: self.way(way, given) for way in OpenWith}

    def way(self, way: OpenWith, given: Given) -> Way:
        """One way; raises UsageError ``bad-credential-name``."""
        if way is OpenWith.KEYRING:
            if self._access is not None:
                self._access.close()
            # One that was blocked once stays so: each attempt has its own.
            self._access = self._make_access()
            return KeyringWay(self._access)
        if way is OpenWith.PASSPHRASE:
            return PassphraseWay(self._passphrase, self._new_passphrase, self._stretching)
        if way is OpenWith.PKCS11:
            self._token = TokenWay(given.module or None, given.token or None, self._pin)
            return self._token
        if way is OpenWith.SYSTEMD_CREDENTIAL:
            return CredentialWay(credentials_directory(), given.credential, self._fresh)
        return SessionWay()

    def make_credential(self, given: Given) -> None:
        """Make the credential of a vault to come, if one is wanted; raises as the core's does."""
        if given.credential_out:
            from watchword.core.vault.systemd_creds import (  # noqa: PLC0415 - few vaults need it
                make_credential,
            )

            out = Path(given.credential_out)
            self._fresh = make_credential(given.credential, out, given.with_key)

    def _passphrase(self) -> Secret:
        return _copy(None if self._given is None else self._given.passphrase)

    def _new_passphrase(self) -> Secret:
        given = self._given
        if given is None or given.new_passphrase is None:
            return self._passphrase()
        return _copy(given.new_passphrase)

    def _pin(self) -> Secret:
        return _copy(None if self._given is None else self._given.pin)


def _copy(secret: Secret | None) -> Secret:
    if secret is None:
        raise _not_given()
    with secret.reveal() as view:
        return Secret(view)


def _not_given() -> VaultError:
    return VaultError(
        "passphrase-needed",
        "The vault needs its passphrase or PIN for this",
        "It was not given.",
        "Fill it in, and try again.",
    )
