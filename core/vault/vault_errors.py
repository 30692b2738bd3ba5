# SPDX-License-Identifier: Apache-2.0
"""The errors of an open vault and of its entries."""

from __future__ import annotations

from pathlib import Path

from ..errors import VaultError


def vault_exists(path: Path) -> VaultError:
    """VaultError ``vault-exists``."""
    return VaultError(
        "vault-exists",
        "There is a vault already",
        f"{path} exists. It is never overwritten: the secrets in it would be lost.",
        "Use that one, name another folder with --vault, or move the old one away.",
        {"path": str(path)},
    )


def rolled_back(generation: int, anchored: int) -> VaultError:
    """VaultError ``vault-rolled-back``."""
    return VaultError(
        "vault-rolled-back",
        "The vault file is an older copy",
        f"It is of generation {generation}; the newest one that was seen here is of generation"
        f" {anchored}. Somebody has put an old file back: secrets that were replaced or erased"
        " may be in it again.",
        "Find the newer file. If you have put a backup there yourself:"
        " `watchword vault restore FILE --accept-older`.",
        {"generation": generation, "newest_seen": anchored},
    )


def key_changed() -> VaultError:
    """VaultError ``vault-key-changed``."""
    return VaultError(
        "vault-key-changed",
        "The vault was given another key meanwhile",
        "Another process has rotated the key, or put another vault there, since this one was"
        " opened.",
        "Open the vault again.",
    )


def closed() -> VaultError:
    """VaultError ``vault-closed``."""
    return VaultError(
        "vault-closed", "The vault is closed", "Its keys were wiped.", "Open the vault again."
    )


def entry_missing(name: str) -> VaultError:
    """VaultError ``entry-missing``."""
    return VaultError(
        "entry-missing",
        "The vault has no such entry",
        f"There is nothing called {name[:128]!r} in it.",
        "See what there is with `watchword vault list`.",
    )


def entry_exists(name: str) -> VaultError:
    """VaultError ``entry-exists``."""
    return VaultError(
        "entry-exists",
        "The vault has such an entry already",
        f"“{name}” would be replaced, and its present value lost.",
        "Choose another name, or say --replace.",
        {"name": name},
    )


def other_kind(name: str, kind: str) -> VaultError:
    """VaultError ``entry-kind-differs``."""
    return VaultError(
        "entry-kind-differs",
        "The entry is of another kind",
        f"“{name}” is a {kind}. A kind says who may receive the secret, so it doesn't change.",
        "Choose another name, or remove the entry first.",
        {"name": name, "kind": kind},
    )
