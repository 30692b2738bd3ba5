# SPDX-License-Identifier: Apache-2.0
"""The guest profile of a new image: what it loads, and its key by reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..guest.approvals import APPROVABLE
from ..guest.approving import approve
from ..guest.document import profile_from_document
from ..guest.rules import needs_es
from ..guest.store import ProfileStore
from .order import BuiltImage, ImageOrder


def add_profile(profiles: ProfileStore, order: ImageOrder, built: BuiltImage) -> BuiltImage:
    """Keep a profile that launches this image, its files approved as they are now.

    Raises BadInput ``guest-exists`` and as ``approve`` and ``profile_from_document`` do.
    """
    document: dict[str, Any] = {
        "name": order.name,
        "policy": order.policy,
        "firmware": [{"path": str(order.firmware.absolute())}] if order.firmware else [],
        "route": order.route.value,
        "secrets": {"disk-passphrase": order.boot_entry},
        "description": f"encrypted image {built.path.name}, LUKS {built.luks_uuid}"[:200],
    }
    document["technology"] = "sev" if needs_es(document) is False else "sev-es"
    if order.vcpus is not None:
        document["vcpus"] = order.vcpus
    if order.cpu is not None:
        document["cpu"] = [order.cpu]
    if built.kernel is not None and built.initrd is not None:
        document["kernel"] = [{"path": str(built.kernel)}]
        document["initrd"] = [{"path": str(built.initrd)}]
        document["cmdline"] = [built.cmdline]
    field = f"guest profile {order.name}"
    profile, _ = approve(profile_from_document(document, field), APPROVABLE, datetime.now(UTC))
    profiles.add(profile)
    return replace(built, profile=order.name)
