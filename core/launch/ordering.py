# SPDX-License-Identifier: Apache-2.0
"""From an order to the record of a launch that is to begin."""

from __future__ import annotations

import hashlib
from typing import Final

from ..errors import BadInput
from ..guest.document import profile_text
from .orders import LaunchOrder
from .record import LaunchRecord, LaunchState, RecordedOrder

_MOST_FILES: Final = 4 << 20
"""Bytes of certificate files that are recorded with an order."""


def order_record(order: LaunchOrder, vault_id: bytes, now: str) -> LaunchRecord:
    """The record of an order that nobody has begun; its id is still to come.

    Raises UsageError ``no-host``, and BadInput ``too-many-certificates``.
    """
    if sum(len(data) for _, data in order.certificate_files) > _MOST_FILES:
        raise _too_many_files()
    profile, text = order.profile, profile_text(order.profile)
    return LaunchRecord(
        id="",
        guest=profile.name,
        technology=profile.technology,
        simulated=order.simulated,
        state=LaunchState.PREPARING,
        host=(order.host_url if order.ask_host else order.host or profile.host) or "",
        waits_for="",
        created=now,
        changed=now,
        vault_id=vault_id.hex(),
        order=RecordedOrder(
            profile=text,
            profile_sha256=hashlib.sha256(text.encode()).hexdigest(),
            ask_host=order.ask_host,
            certificate_files=order.certificate_files,
            trusted_roots=tuple(root.build() for root in order.trusted_roots),
            platform_waiver=order.platform_waiver,
            policy_waiver=order.policy_waiver,
            firmware_waiver=order.firmware_waiver,
            require_pinned=order.require_pinned,
        ),
        accepted_platform=order.accept_platform,
    )


def _too_many_files() -> BadInput:
    return BadInput(
        "too-many-certificates",
        "the certificate files",
        f"Together they have more than {_MOST_FILES >> 20} MiB.",
        "Give the chain of this one platform: 10 to 20 KiB.",
    )
