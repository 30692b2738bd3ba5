# SPDX-License-Identifier: Apache-2.0
"""Reads LUKS2 headers: two copies with checksums, and the bounded JSON in them.

Source: LUKS2 On-Disk Format Specification, version 1.1.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput
from .image_errors import IMAGE, damaged_luks
from .luks_header import LARGEST_HEADER, MAGIC, SECOND_MAGIC, KeySlot, LuksHeader, Read

_FIXED: Final = struct.Struct(">6sHQQ48s32s64s40s48sQ184s64s")
_BINARY: Final = 4096
_CHECKSUM_AT: Final = 448
_SIZES: Final = tuple(16384 << power for power in range(9))
_DEEPEST: Final = 8
_LARGEST_NUMBER: Final = 1 << 62
_SLOTS: Final = 32
_LONGEST_BASE64: Final = 256
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.()-]{0,63}", re.ASCII)
_KDFS: Final = frozenset(("pbkdf2", "argon2i", "argon2id"))


@dataclass(frozen=True, slots=True)
class _Copy:
    size: int
    sequence: int
    uuid: str
    document: dict[str, object]


def read_luks2(read: Read, size: int) -> LuksHeader:
    """The newer sound copy of a LUKS2 header, for a volume of ``size`` bytes.

    A bad copy is named in ``damaged_copy``. Raises BadInput ``image-bad-luks`` where
    neither is sound.
    """
    first, why = _try_copy(read, size, 0, MAGIC)
    second: _Copy | None = None
    for place in (first.size,) if first else _SIZES:
        second, _ = _try_copy(read, size, place, SECOND_MAGIC)
        if second is not None:
            break
    copies = [copy for copy in (first, second) if copy is not None]
    if not copies:
        raise damaged_luks(f"neither copy of it can be used (the first: {why})")
    newest = max(copies, key=lambda copy: copy.sequence)
    header = _header(newest, size)
    if first is None or second is None:
        return replace(header, damaged_copy="second" if second is None else "first")
    if first.sequence != second.sequence or first.document != second.document:
        older = "first" if first.sequence < second.sequence else "second"
        return replace(header, damaged_copy=older)
    return header


def _try_copy(read: Read, size: int, place: int, magic: bytes) -> tuple[_Copy | None, str]:
    try:
        return _read_copy(read, size, place, magic), ""
    except BadInput as error:
        return None, error.message


def _read_copy(read: Read, size: int, place: int, magic: bytes) -> _Copy:
    if place + _BINARY > size:
        raise damaged_luks("it is cut off")
    binary = read(place, _BINARY)
    found, version, length, sequence, _, algorithm, _, identity, _, own, _, checksum = (
        _FIXED.unpack_from(binary)
    )
    if found != magic or version != 2:
        raise damaged_luks("it does not begin as one")
    if length not in _SIZES or own != place or place not in (0, length):
        raise damaged_luks("its size or place is none that it could have")
    if place + length > size:
        raise damaged_luks("it is cut off")
    if algorithm.rstrip(b"\0") != b"sha256":
        raise damaged_luks("its checksum is not SHA-256")
    data = binary + read(place + _BINARY, length - _BINARY)
    plain = data[:_CHECKSUM_AT] + bytes(64) + data[_CHECKSUM_AT + 64 :]
    if not hmac.compare_digest(hashlib.sha256(plain).digest(), checksum[:32]):
        raise damaged_luks("its checksum is wrong")
    return _Copy(length, sequence, _uuid(identity), _document(data[_BINARY:]))


def _document(area: bytes) -> dict[str, object]:
    text, _, rest = area.partition(b"\0")
    if rest.strip(b"\0"):
        raise damaged_luks("something follows its JSON")
    try:
        value = parse_json(text.decode("ascii"), IMAGE, deepest=_DEEPEST)
    except (UnicodeDecodeError, BadInput):
        raise damaged_luks("its JSON can't be read") from None
    if not isinstance(value, dict):
        raise damaged_luks("its JSON is no object")
    return value


def _header(copy: _Copy, size: int) -> LuksHeader:
    document = copy.document
    segment = _only_segment(document)
    payload = _number(segment, "offset")
    slots = tuple(_slots(document, 2 * copy.size, min(payload, LARGEST_HEADER)))
    digest = _volume_digest(document)
    sector = _number(segment, "sector_size")
    if sector not in (512, 1024, 2048, 4096) or payload % sector or payload > size:
        raise damaged_luks("its data begin, or are divided, in a way that they can't")
    if payload < 2 * copy.size:
        raise damaged_luks("its data begin inside it")
    config = _object(document, "config")
    requirements = config.get("requirements")
    names = requirements.get("mandatory") if isinstance(requirements, dict) else None
    busy = ", ".join(str(n)[:40] for n in names[:4]) if isinstance(names, list) else ""
    keys = {_number(slot, "key_size") for slot in _objects(document, "keyslots").values()}
    return LuksHeader(
        2,
        copy.uuid,
        _word(segment, "encryption"),
        max(keys, default=0),
        sector,
        payload,
        digest,
        slots,
        busy=busy,
    )


def _only_segment(document: dict[str, object]) -> dict[str, object]:
    segments = _objects(document, "segments")
    if len(segments) != 1:
        raise damaged_luks(
            f"it has {len(segments)} data segments, as during a re-encryption; one is expected"
        )
    segment = next(iter(segments.values()))
    if segment.get("type") != "crypt" or "integrity" in segment:
        raise damaged_luks("its data are of a kind that Watchword does not know")
    if segment.get("size") != "dynamic":
        _number(segment, "size")
    if _number(segment, "iv_tweak"):
        raise damaged_luks("its data are numbered in an unusual way")
    return segment


def _slots(document: dict[str, object], low: int, high: int) -> Iterator[KeySlot]:
    slots = _objects(document, "keyslots")
    for name, slot in sorted(slots.items()):
        if not _DECIMAL.fullmatch(name) or int(name) >= _SLOTS:
            raise damaged_luks("a key slot has no number that it could have")
        if slot.get("type") != "luks2":
            continue  # of an unfinished re-encryption, which the requirements tell
        yield _slot(int(name), slot, low, high)


def _slot(number: int, slot: dict[str, object], low: int, high: int) -> KeySlot:
    area, kdf = _object(slot, "area"), _object(slot, "kdf")
    offset, size = _number(area, "offset"), _number(area, "size")
    if offset < low or offset + size > high:
        raise damaged_luks(f"the key of slot {number} lies outside the header")
    if "null" in _word(area, "encryption"):
        # Older cryptsetups open such a slot with any key: whoever forged it knows the data's.
        raise damaged_luks(f"key slot {number} holds the volume key in clear")
    kind = _word(kdf, "type")
    if kind not in _KDFS:
        raise damaged_luks(f"key slot {number} stretches keys in an unknown way")
    stretched = kind != "pbkdf2"
    return KeySlot(
        number,
        kind,
        "" if stretched else _word(kdf, "hash"),
        _number(kdf, "time" if stretched else "iterations"),
        _number(kdf, "memory") if stretched else 0,
        _base64(kdf, "salt").hex(),
        offset,
        size,
    )


def _volume_digest(document: dict[str, object]) -> str:
    digests = _objects(document, "digests")
    if len(digests) != 1:
        raise damaged_luks("it knows no volume key, or several")
    digest = next(iter(digests.values()))
    return (_base64(digest, "digest") + _base64(digest, "salt")).hex()


def _object(parent: dict[str, object], name: str) -> dict[str, object]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise damaged_luks(f"“{name}” is missing in its JSON")
    return value


def _objects(parent: dict[str, object], name: str) -> dict[str, dict[str, object]]:
    value = _object(parent, name)
    if len(value) > _SLOTS or not all(isinstance(part, dict) for part in value.values()):
        raise damaged_luks(f"“{name}” in its JSON is not as it should be")
    return value  # type: ignore[return-value]  # each was looked at


def _number(parent: dict[str, object], name: str) -> int:
    """A number, which LUKS2 writes as text where it may have more than 32 bits."""
    value = parent.get(name)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
        raise damaged_luks(f"“{name}” in its JSON is no number that it could be")
    return value


def _word(parent: dict[str, object], name: str) -> str:
    value = parent.get(name)
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise damaged_luks(f"“{name}” in its JSON is no name")
    return value


def _base64(parent: dict[str, object], name: str) -> bytes:
    value = parent.get(name)
    text = value if isinstance(value, str) and len(value) <= _LONGEST_BASE64 else "?"
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise damaged_luks(f"“{name}” in its JSON is not base64") from None


def _uuid(field: bytes) -> str:
    text = field.partition(b"\0")[0].decode("ascii", "replace")
    try:
        same = str(uuid.UUID(text)) == text.lower()
    except ValueError:
        same = False
    if not same:
        raise damaged_luks("its UUID is none")
    return text.lower()
