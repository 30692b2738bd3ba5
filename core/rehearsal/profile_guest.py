# SPDX-License-Identifier: Apache-2.0
"""From a guest profile to what is rehearsed: the first of each set, read and held to its hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from ..errors import BadInput
from ..files import BOOT_FILE_LIMIT, read_file
from ..guest.profile import ApprovedFile, GuestProfile
from ..launch.sev_plan import SecretOrder
from ..launch.vault_secrets import secret_orders
from ..sev.digest import VcpuSetup
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_approval import approve_firmware
from ..sev.firmware_inspection import inspect_firmware
from ..sev.policy import approve_policy
from ..sev.vmsa import VmsaGeneration
from ..vault.vault import Vault
from .guest import RehearsedGuest

_LIMITS: Final = {"firmware": FIRMWARE_LIMIT}


def rehearsed_guest(
    profile: GuestProfile,
    vault: Vault | None,
    *,
    policy_waiver: str | None = None,
    firmware_waiver: str | None = None,
    secrets: Sequence[SecretOrder] = (),
) -> RehearsedGuest:
    """The guest of a profile, with its secrets from the vault, or ``secrets`` in their place.

    Raises BadInput ``approved-file-changed`` and ``content-not-here``, as ``read_file``, and
    as ``secret_orders``; VerificationRefused as ``approve_policy`` and ``approve_firmware``.
    """
    firmware = profile_file(profile, "firmware")
    kernel = profile_file(profile, "kernel") if profile.kernel else None
    orders = tuple(secrets)
    if not orders and vault is not None:
        orders = secret_orders(profile, vault)
    return RehearsedGuest(
        firmware=firmware,
        approved_firmware=approve_firmware(
            [(profile.name, inspect_firmware(firmware, "the firmware").findings)],
            kernel_hashes=kernel is not None,
            waiver=firmware_waiver,
        ),
        kernel=kernel,
        initrd=profile_file(profile, "initrd") if profile.initrd else None,
        cmdline=profile_cmdline(profile),
        vcpus=profile_vcpus(profile),
        policy=approve_policy(profile.policy, policy_waiver),
        minimum_build=profile.minimum_build,
        secrets=orders,
        route=profile.chosen_route,
    )


def profile_file(profile: GuestProfile, component: str) -> bytes:
    """The content of the first file of a component that is here, if it is what was approved."""
    entries: Sequence[ApprovedFile] = getattr(profile, component)
    entry = next((entry for entry in entries if entry.path is not None), None)
    if entry is None or entry.path is None:
        raise _not_here(profile, component)
    field = f"the {component} of guest {profile.name}"
    data = read_file(entry.path, field, _LIMITS.get(component, BOOT_FILE_LIMIT))
    found = hashlib.sha256(data).hexdigest()
    if entry.sha256 is not None and not hmac.compare_digest(found, entry.sha256):
        raise BadInput(
            "approved-file-changed",
            field,
            f"{entry.path} is not what was approved.",
            f"Put the approved file back, or look at the new one: `watchword guest check"
            f" {profile.name}`.",
            {"sha256": found, "approved": entry.sha256},
        )
    return data


def profile_cmdline(profile: GuestProfile) -> str | None:
    """The first command line; BadInput where only its hash is known."""
    if not profile.cmdline:
        return None
    text = next((line.text for line in profile.cmdline if line.text is not None), None)
    if text is None:
        raise _not_here(profile, "cmdline")
    return text


def profile_vcpus(profile: GuestProfile) -> VcpuSetup | None:
    """The first number and model of the vCPUs; None under plain SEV."""
    if not profile.needs_es:
        return None
    return VcpuSetup(
        next(iter(profile.vcpus)),
        profile.cpu[0].signature,
        profile.vmsa or VmsaGeneration.LEGACY,
        profile.sev_features,
    )


def _not_here(profile: GuestProfile, component: str) -> BadInput:
    return BadInput(
        "content-not-here",
        f"the {component} of guest {profile.name}",
        "The profile knows it by its hash alone, and a guest boots from the content.",
        f"Name it: --{component} takes the place of the profile's.",
        {"component": component},
    )
