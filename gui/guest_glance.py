# SPDX-License-Identifier: Apache-2.0
"""A profile at a glance, for somebody who is about to launch it. Knows no Qt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from watchword.core.errors import VaultError, WatchwordError
from watchword.core.guest.profile import GuestProfile
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.sev_plan import prepare_secrets
from watchword.core.launch.vault_secrets import secret_orders
from watchword.core.sev.secret_table import table_size

from .pages.vault_service import VaultService


@dataclass(frozen=True, slots=True)
class GuestGlance:
    """What is shown beside a profile's name.

    ``contents``  what runs, in words
    ``secrets``   pairs of a secret's name and the vault's entry
    ``size``      bytes of all secrets in the table that the guest gets; None where the vault
                  is not open
    ``area``      bytes that the firmware has room for, if its image is here
    ``problem``   why it could not be launched as it stands
    """

    name: str
    contents: str
    host: str
    secrets: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    area: int | None = None
    problem: str = ""


def glance(name: str, vaults: VaultService) -> GuestGlance:
    """Read a profile, measure its files and look up its secrets' sizes. Raises BadInput."""
    profile = ProfileStore(profiles_folder()).load(name).profile
    secrets = tuple((one.name, one.entry) for one in profile.secret_references)
    shown = GuestGlance(name, _contents(profile), profile.host or "", secrets)
    try:
        area = profile.to_expected().secret_area
        size = _size(profile, vaults)
    except WatchwordError as error:
        words = f"{error.title}. {error.message}"
        return GuestGlance(name, shown.contents, shown.host, secrets, problem=words)
    return GuestGlance(name, shown.contents, shown.host, secrets, size, area)


def _size(profile: GuestProfile, vaults: VaultService) -> int | None:
    """Bytes of the secret table; the secrets are read for their lengths, and wiped at once."""
    if vaults.names() is None:
        return None
    with contextlib.ExitStack() as stack:
        try:
            vault = stack.enter_context(vaults.opened())
        except VaultError:
            return None
        prepared = prepare_secrets(secret_orders(profile, vault), profile.chosen_route)
        for entry in prepared.entries:
            stack.callback(entry.data.wipe)
        return table_size(prepared.entries)


def _contents(profile: GuestProfile) -> str:
    """Firmware and kernel by file name, and the technology."""
    files = [*profile.firmware, *profile.kernel, *profile.initrd]
    names = [
        one.path.rpartition("/")[2] if one.path else "a file known by its hash" for one in files
    ]
    technology = "SEV-ES" if profile.needs_es else "SEV"
    return f"{', '.join(names)} ({technology})"
