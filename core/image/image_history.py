# SPDX-License-Identifier: Apache-2.0
"""What the ledger knows of an image: built here, given a new key, or an older copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..ledger.entries import EntryKind, LedgerEntry, is_hash
from ..ledger.ledger import Ledger
from .luks_header import LuksHeader

IMAGE_KINDS: Final = (EntryKind.IMAGE_BUILT, EntryKind.IMAGE_REKEYED)
_LONGEST_PATH: Final = 1024


class Standing(StrEnum):
    """Where an image stands among those that the ledger knows."""

    UNKNOWN = "unknown"
    """No entry is about it."""
    CURRENT = "current"
    """As it was built, or as the newest change of its key left it."""
    UNFINISHED = "rekey-unfinished"
    """Both keys open it: a rekey was interrupted, or the copy was made during one."""
    OLDER = "older-copy"
    """From before its key was replaced: the replaced key still opens it."""
    OTHER_KEYS = "other-keys"
    """The ledger knows the volume, but not with these key slots."""


@dataclass(frozen=True, slots=True)
class ImageHistory:
    """What the ledger says of one image, by the UUID of its volume.

    ``entry``, ``recovery_entry``  where the vault keeps its keys, as last recorded
    ``built``, ``rekeyed``         when (UTC); None for never
    ``removed_slot``               the slot that the newest rekey removes
    ``newest_header``              digest of the header as it was left last
    """

    standing: Standing
    entry: str | None = None
    recovery_entry: str | None = None
    built: str | None = None
    rekeyed: str | None = None
    removed_slot: int | None = None
    newest_header: str | None = None

    def as_json(self) -> dict[str, object]:
        """The history with stable field names."""
        return {
            "standing": self.standing.value,
            "entry": self.entry,
            "recovery_entry": self.recovery_entry,
            "built": self.built,
            "rekeyed": self.rekeyed,
        }


def built_body(
    header: LuksHeader, *, path: str, entry: str, recovery_entry: str | None
) -> dict[str, object]:
    """What the ledger keeps of a new image: entry kind IMAGE_BUILT, of no launch."""
    return {
        "luks_uuid": header.uuid,
        "header_sha256": header.digest,
        "path": _recordable(path),
        "entry": entry,
        "recovery_entry": recovery_entry,
    }


def rekeyed_body(
    both: LuksHeader,
    *,
    old_slot: int,
    new_slot: int,
    path: str,
    entry: str,
    recovery_entry: str | None,
) -> dict[str, object]:
    """What the ledger keeps of a new key; ``both`` is the header that has both slots.

    It is recorded before the old slot is removed, so that no disk is ever ahead of it.
    """
    return {
        "luks_uuid": both.uuid,
        "old_header_sha256": both.without(new_slot).digest,
        "both_header_sha256": both.digest,
        "header_sha256": both.without(old_slot).digest,
        "removed_slot": old_slot,
        "added_slot": new_slot,
        "path": _recordable(path),
        "entry": entry,
        "recovery_entry": recovery_entry,
    }


def image_history(ledger: Ledger | None, header: LuksHeader) -> ImageHistory:
    """What the ledger, if there is one, says of the image with this header."""
    if ledger is None:
        return ImageHistory(Standing.UNKNOWN)
    return history_of(ledger.entries(kinds=IMAGE_KINDS, skip_damaged=True), header)


def history_of(entries: Iterable[LedgerEntry], header: LuksHeader) -> ImageHistory:
    """What these entries, the oldest first, say of the image with this header."""
    own = [entry for entry in entries if entry.body.get("luks_uuid") == header.uuid]
    if not own:
        return ImageHistory(Standing.UNKNOWN)
    last = own[-1]
    built = [entry.time for entry in own if entry.kind is EntryKind.IMAGE_BUILT]
    rekeyed = [entry.time for entry in own if entry.kind is EntryKind.IMAGE_REKEYED]
    removed = last.body.get("removed_slot")
    return ImageHistory(
        _standing(own, header.digest),
        _text(last.body, "entry"),
        _text(last.body, "recovery_entry"),
        built[-1] if built else None,
        rekeyed[-1] if rekeyed else None,
        removed if type(removed) is int else None,
        _digest(last.body, "header_sha256"),
    )


def _standing(own: list[LedgerEntry], digest: str) -> Standing:
    last = own[-1].body
    if _digest(last, "header_sha256") == digest:
        return Standing.CURRENT
    if _digest(last, "both_header_sha256") == digest:
        return Standing.UNFINISHED
    names = ("header_sha256", "old_header_sha256", "both_header_sha256")
    known = {_digest(entry.body, name) for entry in own for name in names}
    return Standing.OLDER if digest in known else Standing.OTHER_KEYS


def _digest(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and is_hash(value) else None


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _recordable(text: str) -> str:
    """A path as the ledger takes it, whatever bytes its name is made of."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:_LONGEST_PATH]
