# SPDX-License-Identifier: Apache-2.0
"""What a vault holds: names, kinds and times of its entries, and the passphrase it generates."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ..errors import UsageError
from ..secret import Secret

LONGEST_NAME: Final = 128
LARGEST_VALUE: Final = 64 * 1024
PASSPHRASE_RANDOM_SIZE: Final = 33

# Slashes stand between parts only, so that "launch/7/tek" is a name and "../x" is none.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]*(/[A-Za-z0-9][A-Za-z0-9._@+-]*)*")


class EntryKind(StrEnum):
    """What a secret is for; sealed together with it, so that nobody can relabel it."""

    DISK_SECRET = "disk-secret"  # noqa: S105 - a kind
    """Unlocks a guest's disk."""
    GUEST_SECRET = "guest-secret"  # noqa: S105 - a kind
    """Anything else that a guest is given."""
    TEST_SECRET = "test-secret"  # noqa: S105 - a kind
    """Of no worth: the only kind that a platform which is not proven may receive."""
    TRANSPORT_KEY = "transport-key"
    """TEK or TIK of one launch."""
    LAUNCH_PACKET = "launch-packet"
    """The one packet of a launch, encrypted for its VM: what takes the place of its keys."""
    SIGNING_KEY = "signing-key"
    """Signs evidence."""
    RECORD_KEY = "record-key"
    """Shows that records of launches are as they were written."""
    RECOVERY = "recovery"
    """A disk's spare passphrase, for the day on which the first one is lost."""


@dataclass(frozen=True, slots=True)
class EntryInfo:
    """What may be shown of an entry.

    ``name``     as :func:`check_entry_name` allows it
    ``kind``     what the secret is for
    ``created``  when it was stored, in UTC, as ``2026-11-23T14:00:00Z``
    """

    name: str
    kind: EntryKind
    created: str

    def as_json(self) -> dict[str, object]:
        """The entry as it appears in JSON output."""
        return {"name": self.name, "kind": self.kind.value, "created": self.created}


def check_entry_name(name: str) -> str:
    """The name, if an entry may have it: letters, digits and ``. _ @ + -``, parted by slashes.

    At most 128 characters; each part begins with a letter or a digit. Raises
    UsageError ``bad-entry-name``.
    """
    if len(name) <= LONGEST_NAME and _NAME.fullmatch(name):
        return name
    raise UsageError(
        "bad-entry-name",
        "An entry can't have this name",
        f"A name has 1 to {LONGEST_NAME} letters, digits or . _ @ + - and may be parted by"
        " slashes; each part begins with a letter or a digit.",
        "Choose a name such as web1/disk.",
    )


def parse_kind(text: str) -> EntryKind:
    """The kind of that name. Raises UsageError ``bad-entry-kind``."""
    try:
        return EntryKind(text)
    except ValueError:
        raise UsageError(
            "bad-entry-kind",
            "There is no such kind of entry",
            "A kind says what a secret is for.",
            f"Choose one of {', '.join(EntryKind)}.",
        ) from None


def check_value(value: Secret) -> None:
    """Raise UsageError ``bad-entry-value`` unless the secret has 1 to 65536 bytes."""
    if not 0 < len(value) <= LARGEST_VALUE:
        raise UsageError(
            "bad-entry-value",
            "This can't be stored",
            f"It has {len(value)} bytes; an entry holds 1 to {LARGEST_VALUE}.",
            "A key that unlocks the rest is enough."
            if len(value)
            else "Check where the value comes from: there was nothing.",
        )


def generate_disk_passphrase(random_bytes: Callable[[int], bytes] = os.urandom) -> Secret:
    """33 random bytes in base64: 44 characters, no newline and no padding.

    264 bits, so that no work on the passphrase is needed to make it strong, and every
    character can be typed at a prompt.
    """
    return Secret(base64.b64encode(random_bytes(PASSPHRASE_RANDOM_SIZE)))


def now() -> str:
    """The time as entries carry it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
