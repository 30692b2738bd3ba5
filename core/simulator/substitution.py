# SPDX-License-Identifier: Apache-2.0
"""What hosts put in the place of what the owner ordered."""

from __future__ import annotations

from dataclasses import replace

from .other_owner import make_session
from .secure_processor import SecureProcessor
from .virtual_machine import StartOrder


def under_other_session(order: StartOrder, processor: SecureProcessor, policy: int) -> StartOrder:
    """The same virtual machine under a session of the host's own, with a policy of its choice."""
    session = make_session(processor.keys.pdh_key.public_key(), policy)
    return replace(order, policy=policy, dh_cert=session.dh_cert_file, session=session.session_file)


def altered(content: bytes) -> bytes:
    """The same number of bytes, one of them different (in the middle)."""
    if not content:
        return b"\x90"
    middle = len(content) // 2
    return content[:middle] + bytes((content[middle] ^ 0xFF,)) + content[middle + 1 :]
