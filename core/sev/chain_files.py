# SPDX-License-Identifier: Apache-2.0
"""Tells certificates apart by content, in whatever layout and order a tool wrote them.

Known: single certificates; PEK|OCA|CEK (QEMU, libvirt, sev-tool's cert_chain.cert);
PDH|PEK|OCA|CEK with or without ASK|ARK (sevctl export); ASK|ARK (AMD's files); all
of that as base64; the JSON of query-sev-capabilities or KubeVirt; the table that
``virsh nodesevinfo`` prints; the zip file of sev-tool's export_cert_chain.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..base64_text import decode_base64, refuse_pem
from ..bounded_json import parse_json
from ..errors import BadInput
from .certificate_archive import is_archive, read_archive
from .certificates import (
    SEV_CERTIFICATE_SIZE,
    SEV_SIGNED_SIZE,
    AmdCertificate,
    SevCertificate,
    Usage,
)
from .chain import PlatformCertificates, Role
from .peer_names import known_field, known_fields

_SEV_ROLES: Final = {
    Usage.PDH: Role.PDH,
    Usage.PEK: Role.PEK,
    Usage.OCA: Role.OCA,
    Usage.CEK: Role.CEK,
}
_AMD_ROLES: Final = {Usage.ASK: Role.ASK, Usage.ARK: Role.ARK}
_BY_PLACE: Final = {
    3: (Role.PEK, Role.OCA, Role.CEK),
    4: (Role.PDH, Role.PEK, Role.OCA, Role.CEK),
}
"""In files of that many SEV certificates the place tells the role if the content doesn't."""
LARGEST_FILE: Final = 1 << 20
"""Bytes of certificates that are read from one file."""
CHIP_ID_SIZE: Final = 64
_LARGEST_TEXT: Final = 2 * LARGEST_FILE
_TABLE_ROW: Final = re.compile(r"\s*([\w-]+)\s*:\s*(\S+)\s*")
_ROLE_NAMES: Final = frozenset(role.value for role in Role)
_NAPLES_ARK_UNSIGNED: Final = 576
_CHAIN_FIELDS: Final = ("pdh", "cert-chain")
_CHIP_FIELD: Final = "cpu0-id"


@dataclass(frozen=True, slots=True)
class Piece:
    """One certificate, or a chip id, found in a file.

    ``role`` is None for a certificate of the right size that claims an unknown usage.
    """

    source: str
    role: Role | None
    data: bytes


@dataclass(frozen=True, slots=True)
class RecognisedChain:
    """What a set of files amounts to, and what is odd about it."""

    certificates: PlatformCertificates
    warnings: tuple[str, ...]


def recognise(files: Iterable[tuple[str, bytes]]) -> RecognisedChain:
    """Put together the certificates in ``files``, pairs of a name and its content.

    Raises BadInput for a file that holds no certificates, holds more than
    certificates, or contradicts another one about PDH, PEK, OCA, ASK, ARK or chip id.
    """
    pieces: list[Piece] = []
    chip_id: bytes | None = None
    for name, content in _opened(files):
        found, chip = _read(name, content)
        pieces += found
        if chip is not None and chip_id is not None and chip != chip_id:
            raise _ambiguous(name, "It names another chip id than a file before it.")
        chip_id = chip or chip_id
    return _assemble(pieces, chip_id)


# -- one file ----------------------------------------------------------------------


def _opened(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The files, with those in archives in the place of the archives."""
    for name, content in files:
        if is_archive(content):
            for inner, data in read_archive(content, name):
                yield f"{name}/{inner}", data
        else:
            yield name, content


def _read(name: str, content: bytes) -> tuple[list[Piece], bytes | None]:
    if not content:
        raise _bad_file(name, "It is empty.")
    if len(content) > _LARGEST_TEXT:
        raise _bad_file(name, f"It has {len(content)} bytes, too many for certificates.")
    refuse_pem(content, name)
    text = _as_text(content)
    if text is None:
        return list(_split(name, content)), None
    if text.lstrip().startswith(("{", "[")):
        return _from_answer(name, _find_answer(parse_json(text, name)))
    # Line by line: over the whole text, long runs of blanks would take quadratic time.
    rows = map(_TABLE_ROW.fullmatch, text.splitlines())
    table = {row[1]: row[2] for row in rows if row is not None}
    if table:
        return _from_answer(name, table)
    return list(_split(name, decode_base64(text, name, LARGEST_FILE))), None


def _as_text(content: bytes) -> str | None:
    """The content as text if it is printable ASCII; certificates in binary never are."""
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or not set(text) & _CONTROL else None


_CONTROL: Final = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f")


def _find_answer(value: object) -> Mapping[str, object]:
    """The object that holds the PDH, as it is or inside QMP's ``return``."""
    if isinstance(value, dict):
        if any(known_field(key) in _CHAIN_FIELDS for key in value):
            return value
        if isinstance(value.get("return"), dict):
            return _find_answer(value["return"])
    return {}


def holds_platform_answer(value: object) -> bool:
    """Whether a JSON value holds a platform's PDH or chain, as query-sev-capabilities answers."""
    return bool(_find_answer(value))


def _from_answer(name: str, answer: Mapping[str, object]) -> tuple[list[Piece], bytes | None]:
    known = known_fields(answer)
    pieces: list[Piece] = []
    for key in _CHAIN_FIELDS:
        field, data = _base64_of(name, known, key)
        if data is not None:
            pieces += _split(field, data)
    if not pieces:
        raise _bad_file(name, "It has neither `pdh` nor `cert-chain`.")
    return pieces, _chip_id(*_base64_of(name, known, _CHIP_FIELD, 2 * CHIP_ID_SIZE))


def _chip_id(field: str, data: bytes | None) -> bytes | None:
    """The id of the first socket; a machine with two may name both."""
    if data is None or len(data) in (CHIP_ID_SIZE, 2 * CHIP_ID_SIZE):
        return None if data is None else data[:CHIP_ID_SIZE]
    raise _bad_file(field, f"It has {len(data)} bytes; a chip id has {CHIP_ID_SIZE}.")


def _base64_of(
    name: str, known: Mapping[str, object], key: str, limit: int = LARGEST_FILE
) -> tuple[str, bytes | None]:
    if key not in known:
        return name, None
    field = f"{name}: {key}"
    value = known[key]
    if not isinstance(value, str):
        raise _bad_file(field, "It is not text.")
    return field, decode_base64(value, field, limit)


# -- bytes into certificates -------------------------------------------------------


def _split(name: str, data: bytes) -> Iterator[Piece]:
    """Cut concatenated certificates; every byte must belong to one."""
    count = len(data) // SEV_CERTIFICATE_SIZE
    places = _BY_PLACE.get(count, ()) if len(data) % SEV_CERTIFICATE_SIZE == 0 else ()
    offset = number = 0
    while offset < len(data):
        rest = len(data) - offset
        size = AmdCertificate.size_at(data, offset)
        role = _sev_role(data, offset)
        if role is None and size is not None:
            size = min(size, rest) if rest == _NAPLES_ARK_UNSIGNED else size
            role = _AMD_ROLES[Usage(struct.unpack_from("<I", data, offset + 0x24)[0])]
        else:
            size = SEV_CERTIFICATE_SIZE
            role = role or (places[number] if number < len(places) else None)
        if rest < size or (role is None and not _is_version_1(data, offset)):
            raise _odd_size(name, data, offset)
        yield Piece(name, role, data[offset : offset + size])
        offset += size
        number += 1


def _sev_role(data: bytes, offset: int) -> Role | None:
    if len(data) - offset < 12:
        return None
    usage = struct.unpack_from("<I", data, offset + 8)[0]
    return _SEV_ROLES.get(usage)


def _is_version_1(data: bytes, offset: int) -> bool:
    return data[offset : offset + 4] == b"\1\0\0\0"


def _odd_size(name: str, data: bytes, offset: int) -> BadInput:
    if offset == 0:
        return _bad_file(
            name,
            f"Its {len(data)} bytes are no certificate: a SEV certificate has"
            f" {SEV_CERTIFICATE_SIZE}, an ARK or ASK 832 or 1600. It may be cut short.",
        )
    return _bad_file(
        name, f"After {offset} bytes of certificates come {len(data) - offset} that are none."
    )


# -- certificates into a chain -----------------------------------------------------


def _assemble(pieces: list[Piece], chip_id: bytes | None) -> RecognisedChain:
    warnings = [
        f"{piece.source}: a certificate that is neither PDH, PEK, OCA nor CEK was left out."
        for piece in pieces
        if piece.role is None
    ]
    warnings += _misleading_names(pieces)
    chosen: dict[str, bytes] = {}
    for role in Role:
        found = [piece for piece in pieces if piece.role is role]
        if role is Role.CEK:
            chosen.update(_choose_cek(found))
        elif found:
            chosen[role.value] = _only_one(found, role)
    return RecognisedChain(PlatformCertificates(chip_id=chip_id, **chosen), tuple(warnings))


def _only_one(found: list[Piece], role: Role) -> bytes:
    distinct = {piece.data: piece.source for piece in found}
    if role is Role.ARK and len(distinct) == 2:
        # AMD serves the Naples ARK with and without its signature: take the whole one.
        short, long = sorted(distinct, key=len)
        if len(short) == _NAPLES_ARK_UNSIGNED and long.startswith(short):
            return long
    if len(distinct) > 1:
        names = " and ".join(sorted(set(distinct.values())))
        raise _ambiguous(
            f"the {role.name}", f"There are {len(distinct)} different ones, in {names}."
        )
    return found[0].data


def _choose_cek(found: list[Piece]) -> dict[str, bytes]:
    """AMD's signed copy as the CEK, and beside it what the host handed out unsigned."""
    signed = {piece.data for piece in found if is_signed_cek(piece.data)}
    unsigned = {piece.data for piece in found} - signed
    bodies = {data[:SEV_SIGNED_SIZE] for data in signed}
    if len(bodies) > 1 or len({data[:SEV_SIGNED_SIZE] for data in unsigned}) > 1:
        raise _ambiguous("the CEK", "There are CEKs of different chips.")
    # The key service signs anew for each request, so copies may differ in that alone.
    chosen: dict[str, bytes] = {}
    if signed:
        chosen["cek"] = min(signed)
        if unsigned:
            chosen["cek_from_host"] = min(unsigned)
    elif unsigned:
        chosen["cek"] = min(unsigned)
    return chosen


def is_signed_cek(data: bytes) -> bool:
    """Whether a CEK (2084 bytes) claims a signature by the ASK; hosts hand it out without."""
    try:
        slots = SevCertificate.parse(data).signatures
    except BadInput:
        return True  # a damaged CEK is for the chain to refuse, not to be passed over
    return any(slot.usage == Usage.ASK for slot in slots)


def _misleading_names(pieces: list[Piece]) -> Iterator[str]:
    for piece in pieces:
        stem = re.split(r"[/\\]", piece.source)[-1].partition(".")[0].lower()
        role = piece.role
        if role is not None and stem in _ROLE_NAMES and stem != role.value:
            yield f"{piece.source}: named after the {stem.upper()}, but holds the {role.name}."


def fingerprint_pin(text: str, content: bytes | None) -> str:
    """The OCA fingerprint to pin, from 64 hex digits or from a certificate's bytes."""
    if content is not None:
        found = recognise([(text, content)]).certificates.oca
        if found is None:
            raise _bad_file(text, "It holds no OCA.")
        return SevCertificate.parse(found, text).fingerprint()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    raise _bad_file(text, "A pin is a fingerprint of 64 hex digits, or an OCA's certificate.")


def _ambiguous(field: str, problem: str) -> BadInput:
    return BadInput(
        "ambiguous-chain",
        field,
        problem,
        "Give the files of one platform only; a PDH that changed makes older ones useless.",
    )


def _bad_file(name: str, problem: str) -> BadInput:
    return BadInput(
        "not-certificates",
        name,
        problem,
        "Give what `sevctl export`, sev-tool, QEMU's query-sev-capabilities or"
        " `virsh nodesevinfo` wrote, binary or base64.",
    )
