# SPDX-License-Identifier: Apache-2.0
"""The table of secrets in guest memory: GUIDs, lengths, data, zeros up to 16 bytes.

    header GUID 16 | u32 length of all but the padding
    entry GUID 16  | u32 20 + n | n bytes of data         (once for each secret)
    zeros up to a multiple of 16

Source: edk2 OvmfPkg SecretDxe, Linux ``efi_secret``, GRUB's ``efisecret``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from ..errors import BadInput, UsageError
from ..secret import Secret

TABLE_GUID: Final = UUID("1e74f542-71dd-4d66-963e-ef4287ff173b")
DISK_PASSPHRASE: Final = UUID("736869e5-84f0-4973-92ec-06879ce3da0b")
KNOWN_SECRETS: Final = {
    "disk-passphrase": DISK_PASSPHRASE,
    "luks-key": DISK_PASSPHRASE,
    "offline-kbc": UUID("e6f5a162-d67f-4750-a67c-5d065f2a9910"),
    "online-kbc": UUID("1ee27366-0c87-43a6-af48-28543eaf7cb0"),
    "kata-bundle": UUID("0a46e24d-478c-4eb1-8696-113eeec3aa99"),
}
"""Names for well-known GUIDs; ``luks-key`` is libvirt's word for the disk passphrase."""
KVM_LIMIT: Final = 16384
"""Bytes that KVM copies at most for one LAUNCH_SECRET."""
MOST_ENTRIES: Final = 64
"""The Linux kernel reads no more entries than this."""
_HEAD: Final = struct.Struct("<16sI")
_GUID_TEXT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Route(StrEnum):
    """Who reads the disk passphrase in the guest: GRUB wants a NUL after it, the kernel none."""

    GRUB = "grub"
    KERNEL = "kernel"


def parse_secret_name(text: str) -> UUID:
    """The GUID for a well-known name or a GUID in text; UsageError ``bad-secret-name``."""
    name = text.strip().lower()
    if name in KNOWN_SECRETS:
        return KNOWN_SECRETS[name]
    # UUID() alone would take braces, underscores and other digits than 0 to 9 too.
    guid = UUID(name) if _GUID_TEXT.fullmatch(name) else UUID(int=0)
    if guid.int == 0 or guid == TABLE_GUID:
        raise UsageError(
            "bad-secret-name",
            "Not the name of a secret",
            f"{text[:60]!r} is neither a well-known name nor a GUID that a secret may have.",
            "Use one of " + ", ".join(KNOWN_SECRETS) + ", or a GUID of your own.",
        )
    return guid


@dataclass(frozen=True, slots=True, eq=False)
class SecretEntry:
    """One secret under its GUID; ``data`` is as the guest will read it."""

    guid: UUID
    data: Secret = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class TestSecretEntry(SecretEntry):
    """A secret of no worth: marked ``test``, or generated in this very launch.

    Another type, because a platform that is not proven may receive no other.
    """

    __test__ = False  # not a class of tests


def needs_trailing_nul(guid: UUID, data: Secret, route: Route) -> bool:
    """Whether a NUL must be added: GRUB refuses a disk passphrase that doesn't end in one."""
    if guid != DISK_PASSPHRASE or route is not Route.GRUB or len(data) == 0:
        return False
    with data.reveal() as view:
        return view[-1] != 0


def ends_with_newline(data: Secret) -> bool:
    """Whether the last byte is a newline, as editors and `echo` leave it: rarely meant."""
    if len(data) == 0:
        return False
    with data.reveal() as view:
        return view[-1] == 0x0A


def with_trailing_nul(data: Secret) -> Secret:
    """The secret with a NUL after it; the given one is wiped."""
    longer = bytearray(len(data) + 1)
    with data.reveal() as view:
        longer[:-1] = view
    secret = Secret(longer)
    longer[:] = bytes(len(longer))
    data.wipe()
    return secret


def table_size(entries: Sequence[SecretEntry]) -> int:
    """Bytes of the table with its padding, a multiple of 16."""
    used = _HEAD.size + sum(_HEAD.size + len(entry.data) for entry in entries)
    return -(-used // 16) * 16


def check_entries(entries: Sequence[SecretEntry], area_size: int | None) -> None:
    """Raise BadInput unless the secrets fit together: some, no GUID twice, small enough.

    ``area_size`` is the size of the firmware's secret area in bytes, None if it is
    not known; KVM's own limit always holds.
    """
    if not entries:
        raise _bad_secrets("There is none.", "Name at least one: --secret NAME=FILE.")
    if len(entries) > MOST_ENTRIES:
        raise _bad_secrets(
            f"There are {len(entries)}; a guest reads at most {MOST_ENTRIES}.", "Give fewer."
        )
    guids = [entry.guid for entry in entries]
    if any(guid.int == 0 or guid == TABLE_GUID for guid in guids):
        raise _bad_secrets(
            "One of them has a GUID that no secret may have; a guest would skip it.",
            "Give each secret a GUID of its own.",
        )
    for guid in guids:
        if guids.count(guid) > 1:
            raise _bad_secrets(
                f"{guid} is there twice; the guest would see only one.",
                "Give each secret a GUID of its own.",
            )
    if any(len(entry.data) == 0 for entry in entries):
        raise _bad_secrets("One of them is empty.", "Check the file that it was read from.")
    # An area of 0 bytes is an area that takes nothing, not one of unknown size.
    size, limit = table_size(entries), KVM_LIMIT if area_size is None else min(KVM_LIMIT, area_size)
    if size > limit:
        whose = "the firmware's secret area" if limit != KVM_LIMIT else "what KVM copies"
        raise _bad_secrets(
            f"Their table has {size} bytes; {whose} has room for {limit}.",
            "Give smaller secrets: a key that unlocks the rest is enough.",
        )


def _bad_secrets(problem: str, remedy: str) -> BadInput:
    return BadInput("bad-secrets", "the secrets", problem, remedy)


def build_table(entries: Sequence[SecretEntry]) -> Secret:
    """The table in clear, padded with zeros to a multiple of 16 bytes."""
    table = bytearray(table_size(entries))
    offset = _HEAD.size
    for entry in entries:
        length = _HEAD.size + len(entry.data)
        _HEAD.pack_into(table, offset, entry.guid.bytes_le, length)
        with entry.data.reveal() as view:
            table[offset + _HEAD.size : offset + length] = view
        offset += length
    _HEAD.pack_into(table, 0, TABLE_GUID.bytes_le, offset)
    secret = Secret(table)
    table[:] = bytes(len(table))
    return secret


def parse_table(data: bytes) -> tuple[SecretEntry, ...]:
    """Read a table as the guest's kernel would; BadInput ``bad-secret-table`` if it is corrupt.

    Peers write the header's length with or without the padding; both are read.
    """
    if len(data) < _HEAD.size:
        raise _corrupt("It is shorter than its header.")
    guid, total = _HEAD.unpack_from(data)
    if guid != TABLE_GUID.bytes_le:
        raise _corrupt("It doesn't begin with the table's GUID.")
    if not _HEAD.size <= total <= len(data):
        raise _corrupt(f"It claims {total} bytes; there are {len(data)}.")
    entries: list[SecretEntry] = []
    offset: int = _HEAD.size
    while total - offset >= _HEAD.size:
        guid, length = _HEAD.unpack_from(data, offset)
        if guid == bytes(16) and not any(data[offset:total]):
            break
        if not _HEAD.size <= length <= total - offset:
            raise _corrupt(f"The entry at {offset} claims {length} bytes.")
        body = data[offset + _HEAD.size : offset + length]
        entries.append(SecretEntry(UUID(bytes_le=guid), Secret(body)))
        offset += length
    if any(data[offset:total]):
        raise _corrupt("Bytes follow after its last entry.")
    return tuple(entries)


def _corrupt(problem: str) -> BadInput:
    return BadInput("bad-secret-table", "the secret table", problem, "Seal the secrets again.")
