# SPDX-License-Identifier: Apache-2.0
"""The options that say where the vault is and bring what opens it, and the open vault itself."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import VaultError
from ..secret import Secret
from ..vault.credential_way import DEFAULT_NAME, CredentialWay, credentials_directory
from ..vault.header import OpenWith
from ..vault.key_stretching import STRETCHINGS, Argon2id, Scrypt
from ..vault.keyring_access import KeyringAccess
from ..vault.keyring_way import KeyringWay
from ..vault.passphrase_way import PassphraseWay
from ..vault.token_way import MODULE_VARIABLE, TokenWay
from ..vault.vault import Vault
from ..vault.vault_file import default_folder
from ..vault.ways import SessionWay, Way, session_only
from .command import whole_number
from .output import Console
from .secret_input import ask, ask_twice, read_line

PASSPHRASE_VARIABLE = "WATCHWORD_VAULT_PASSPHRASE"  # noqa: S105 - the name of a variable


def add_vault_options(parser: argparse.ArgumentParser) -> None:
    """``--vault`` and the options that open it."""
    group = parser.add_argument_group("the vault")
    group.add_argument(
        "--vault",
        metavar="DIR",
        help="its folder; default: vault in $WATCHWORD_HOME, or in your folder for program data",
    )
    group.add_argument(
        "--passphrase-fd", type=whole_number, metavar="N", help="passphrase: descriptor N"
    )
    group.add_argument("--passphrase-file", metavar="FILE", help="passphrase: first line of FILE")
    group.add_argument("--pkcs11-module", metavar="FILE", help=f"or {MODULE_VARIABLE}")
    group.add_argument(
        "--pin-fd", type=whole_number, metavar="N", help="the token's PIN: descriptor N"
    )
    group.add_argument("--pin-file", metavar="FILE", help="the token's PIN: first line of FILE")


def add_new_passphrase_options(parser: argparse.ArgumentParser) -> None:
    """``--new-passphrase-fd``, ``--new-passphrase-file`` and ``--kdf``."""
    group = parser.add_argument_group("a new passphrase (else it is asked for twice)")
    group.add_argument(
        "--new-passphrase-fd", type=whole_number, metavar="N", help="from descriptor N"
    )
    group.add_argument("--new-passphrase-file", metavar="FILE", help="first line of FILE")
    add_kdf_option(group)


def add_kdf_option(parser: argparse._ActionsContainer) -> None:
    """``--kdf``."""
    parser.add_argument(
        "--kdf",
        choices=tuple(STRETCHINGS),
        default=Scrypt.NAME,
        help="what makes a key of a passphrase, default scrypt",
    )


def add_placing_options(parser: argparse.ArgumentParser) -> None:
    """What the ways that are no keyring and no passphrase need for a new key."""
    group = parser.add_argument_group("other ways to open it")
    group.add_argument(
        "--credential", metavar="NAME", default=DEFAULT_NAME, help=f"default {DEFAULT_NAME}"
    )
    group.add_argument("--token", metavar="LABEL", help="the label of the PKCS#11 token")


def vault_folder(arguments: argparse.Namespace) -> Path:
    """The folder that ``--vault`` names, or the default one."""
    return default_folder() if arguments.vault is None else Path(arguments.vault)


def opens_unattended(arguments: argparse.Namespace, way: OpenWith) -> bool:
    """Whether a vault of this way can be opened without asking anybody."""
    if way is OpenWith.PASSPHRASE:
        given = (arguments.passphrase_fd, arguments.passphrase_file)
        return given != (None, None) or PASSPHRASE_VARIABLE in os.environ
    if way is OpenWith.PKCS11:
        return (arguments.pin_fd, arguments.pin_file) != (None, None)
    return True


@contextmanager
def vault_ways(
    arguments: argparse.Namespace, console: Console, fresh_credential: Secret | None = None
) -> Iterator[Mapping[OpenWith, Way]]:
    """Every way to open a vault, as the options provide for it."""
    keyring = KeyringAccess()
    asking = _Asking(arguments, console)
    stretching = Argon2id() if getattr(arguments, "kdf", "") == Argon2id.NAME else Scrypt()
    module = arguments.pkcs11_module or os.environ.get(MODULE_VARIABLE)
    token = TokenWay(module, getattr(arguments, "token", None), asking.pin)
    name = getattr(arguments, "credential", DEFAULT_NAME)
    try:
        yield {
            OpenWith.KEYRING: KeyringWay(keyring),
            OpenWith.PASSPHRASE: PassphraseWay(
                asking.passphrase, asking.new_passphrase, stretching
            ),
            OpenWith.SYSTEMD_CREDENTIAL: CredentialWay(
                credentials_directory(), name, fresh_credential
            ),
            OpenWith.PKCS11: token,
            OpenWith.SESSION_ONLY: SessionWay(),
        }
    finally:
        token.close()
        keyring.close()


@contextmanager
def opened_vault(arguments: argparse.Namespace, console: Console) -> Iterator[Vault]:
    """The vault, open; at the end the keyring takes note of its newest state.

    Raises as Vault.open does, and VaultError ``session-only-vault``.
    """
    with vault_ways(arguments, console) as ways:
        vault = Vault.open(vault_folder(arguments), ways)
        if vault.header.slot.WAY is OpenWith.SESSION_ONLY:
            raise session_only()
        with noting_state(vault, console):
            yield vault


@contextmanager
def noting_state(vault: Vault, console: Console) -> Iterator[None]:
    """Use the vault, then let the keyring take note of its state, and close it."""
    with contextlib.closing(vault):
        yield
        if not vault.anchor_due:
            return
        try:
            vault.write_anchor()
        except VaultError as error:
            if error.code == "vault-rolled-back":
                raise
            console.note(
                "warning: the vault is in order, but the keyring did not take note of its newest"
                f" state, so that an older copy may go unnoticed. {error.title}: {error.message}"
            )


@dataclass(frozen=True, slots=True)
class _Asking:
    """Gets passphrase and PIN from wherever the options say."""

    arguments: argparse.Namespace
    console: Console

    def passphrase(self) -> Secret:
        """The passphrase of the vault; raises VaultError ``passphrase-needed``."""
        return self._first(
            self._from_options, self._from_environment, lambda: ask("Passphrase of the vault")
        )

    def new_passphrase(self) -> Secret:
        """A passphrase to come; raises VaultError ``passphrase-needed``."""

        def prompt() -> Secret | None:
            return ask_twice("New passphrase of the vault")

        if self._has_new_options:
            return self._first(self._from_new_options, prompt)
        return self._first(self._from_options, self._from_environment, prompt)  # no old one yet

    def pin(self) -> Secret:
        """The token's PIN; raises VaultError ``pin-needed``."""
        given = read_line(self.arguments.pin_fd, self.arguments.pin_file, "the PIN")
        if given is None:
            given = ask("PIN of the token")
        if given is None:
            raise _needed("pin-needed", "token's PIN", "--pin-fd N or --pin-file FILE")
        return given

    def _first(self, *sources: Callable[[], Secret | None]) -> Secret:
        for source in sources:
            if (given := source()) is not None:
                return given
        options = "--passphrase-fd N or --passphrase-file FILE"
        if self._has_new_options:
            options += ", and --new-passphrase-fd N or --new-passphrase-file FILE for a new one"
        raise _needed("passphrase-needed", "vault's passphrase", options)

    @property
    def _has_new_options(self) -> bool:
        return hasattr(self.arguments, "new_passphrase_fd")

    def _from_options(self) -> Secret | None:
        descriptor, path = self.arguments.passphrase_fd, self.arguments.passphrase_file
        return read_line(descriptor, path, "the passphrase")

    def _from_new_options(self) -> Secret | None:
        descriptor, path = self.arguments.new_passphrase_fd, self.arguments.new_passphrase_file
        return read_line(descriptor, path, "the new passphrase")

    def _from_environment(self) -> Secret | None:
        given = os.environ.get(PASSPHRASE_VARIABLE)
        if given is None:
            return None
        self.console.note(
            f"warning: the passphrase is taken from {PASSPHRASE_VARIABLE}. Other programs of yours"
            " can read a process's environment: better use --passphrase-fd or --passphrase-file."
        )
        return Secret(os.fsencode(given))


def _needed(code: str, what: str, options: str) -> VaultError:
    return VaultError(
        code,
        f"The {what} is needed",
        "There is no terminal to ask at, and no option brings it.",
        f"Give {options}.",
    )
