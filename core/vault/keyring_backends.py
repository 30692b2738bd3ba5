# SPDX-License-Identifier: Apache-2.0
"""Chooses the keyring of the operating system, from a list of four and no other.

The keyring package would also load any plug-in: back ends that store nothing (null),
store in plain text (alt), ask on stdin, or hand a secret to whichever of them takes it
(chainer). So its own choice is not asked for; but where a person has configured one,
that is not silently ignored either.
"""

from __future__ import annotations

import configparser
import importlib
import os
from collections.abc import Iterator
from typing import Final, Protocol, cast

from .keyring_errors import keyring_absent, keyring_refused

BACKENDS: Final = {
    "SecretService": "keyring.backends.SecretService.Keyring",
    "KWallet": "keyring.backends.kwallet.DBusKeyring",
    "macOS": "keyring.backends.macOS.Keyring",
    "WinVault": "keyring.backends.Windows.WinVaultKeyring",
}
"""The back ends that may hold a key: the name that a vault file keeps, and the class."""

_VARIABLE: Final = "PYTHON_KEYRING_BACKEND"


class Backend(Protocol):
    """The part of the keyring package's back ends that is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """The text stored under service and user, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a text under service and user."""

    def delete_password(self, service: str, username: str) -> None:
        """Delete the text stored under service and user."""


def choose_backend(wanted: str | None) -> tuple[str, Backend]:
    """The name and the back end that is wanted; with None, the best one there is.

    Blocks while the service is looked for. Raises VaultError ``keyring-refused`` if
    PYTHON_KEYRING_BACKEND or keyringrc.cfg names a back end outside the list,
    ``keyring-absent`` if none works here.
    """
    configured = _configured()
    only = wanted or configured
    found = sorted(_usable([only] if only else list(BACKENDS)), key=lambda usable: -usable[0])
    if not found:
        if wanted is None:
            raise keyring_absent()
        raise keyring_absent(f"The vault's key is in a {wanted} keyring, and there is none here")
    _, name, backend = found[0]
    return name, backend


def _configured() -> str | None:
    """The name of the back end that a person has configured for all programs, or None."""
    if variable := os.environ.get(_VARIABLE):
        return _allowed(variable, f"The environment variable {_VARIABLE}")
    # In the thread of the keyring, and only here: importing it costs more than a command.
    from keyring.util import platform_  # noqa: PLC0415

    path = platform_.config_root() / "keyringrc.cfg"
    config = configparser.RawConfigParser()
    try:
        config.read(path, encoding="utf-8")
        name = config.get("backend", "default-keyring", fallback="").strip()
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    return _allowed(name, f"The file {path}") if name else None


def _allowed(dotted: str, where: str) -> str:
    for name, allowed in BACKENDS.items():
        if dotted == allowed:
            return name
    raise keyring_refused(dotted, where)


def _usable(names: list[str]) -> Iterator[tuple[float, str, Backend]]:
    """Priority, name and back end of those that work here."""
    for name in names:
        module, _, class_name = BACKENDS.get(name, "").rpartition(".")
        try:
            backend_class = getattr(importlib.import_module(module), class_name)
            priority = float(backend_class.priority)
            backend = backend_class()
        except Exception:  # noqa: BLE001, S112 - whatever a back end says, it is not usable
            continue
        if name == "WinVault":
            backend.persist = "local machine"  # else Windows copies it to every machine
        yield priority, name, cast("Backend", backend)
