# SPDX-License-Identifier: Apache-2.0
"""The names of the vault's entries, where they can be had without asking anybody."""

from __future__ import annotations

import argparse
from collections.abc import Collection

from ..errors import VaultError
from ..vault.opening import read_header
from ..vault.vault_file import VaultFile
from .output import Console
from .vault_options import opened_vault, opens_unattended, vault_folder


def entries_if_unattended(
    arguments: argparse.Namespace, console: Console
) -> Collection[str] | None:
    """The names; None, and a warning that says why, where the vault can't be opened just so."""
    try:
        header = read_header(VaultFile(vault_folder(arguments)).read())
        if opens_unattended(arguments, header.slot.WAY):
            with opened_vault(arguments, console) as vault:
                return [entry.name for entry in vault.list()]
        why = "it would have to be asked for"
    except VaultError as error:
        why = error.title
    console.note(f"warning: the vault was not looked into: {why}. Its entries were not checked.")
    return None
