# SPDX-License-Identifier: Apache-2.0
"""Tells apart the files that tools pass around for a launch, by content and size.

Certificates in any layout; GODH and launch blob; TEK and TIK; the packet's header and
ciphertext; launch measurement and attestation report. Where a size fits two of them the
file's name decides, and where the name says nothing either the caller has to.
Sources: AMDESE/sev-tool src/commands.h; virtee/sevctl src/session.rs; QEMU docs for
sev-guest; libvirt's domlaunchsecinfo and domsetlaunchsecstate; KubeVirt's virtctl sev.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..base64_text import decode_base64, refuse_pem
from ..bounded_json import parse_json
from ..errors import BadInput
from ..secret import Secret
from .certificate_archive import is_archive
from .certificates import SEV_CERTIFICATE_SIZE, EcPublicKey, SevCertificate, Usage
from .chain import PlatformCertificates
from .chain_files import LARGEST_FILE, holds_platform_answer, recognise
from .measurement_files import (
    LARGEST_ANSWER,
    MEASUREMENT_SIZE,
    NOTHING_TOLD,
    REPORT_SIZE,
    ToldMeasurement,
    read_told,
    told_by,
)
from .peer_file_errors import (
    ambiguous_files,
    keys_in_text,
    measurement_without_nonce,
    unknown_file,
    which_kind,
    wrong_size,
)
from .peer_names import Kind, kind_by_name, known_fields
from .signatures import ecdsa_problem

# Said again here: to tell files apart, nothing of the protocol need be loaded.
KEY_SIZE: Final = 16
SESSION_SIZE: Final = 128
HEADER_SIZE: Final = 52
KVM_LIMIT: Final = 16384
BOTH_KEYS_SIZE: Final = 2 * KEY_SIZE


_KEYS: Final = {Kind.TK: BOTH_KEYS_SIZE, Kind.TEK: KEY_SIZE, Kind.TIK: KEY_SIZE}
_SIZES: Final = {
    Kind.GODH: SEV_CERTIFICATE_SIZE,
    Kind.SESSION: SESSION_SIZE,
    Kind.HEADER: HEADER_SIZE,
    Kind.MEASUREMENT: MEASUREMENT_SIZE,
    Kind.REPORT: REPORT_SIZE,
    **_KEYS,
}
_TEXT: Final = re.compile(rb"[\t\n\f\r\x20-\x7e]*")
_JSON_FIELDS: Final = {
    Kind.GODH: "dh-cert",
    Kind.SESSION: "session",
    Kind.HEADER: "packet-header",
    Kind.PAYLOAD: "secret",
}
"""The names of these in JSON; never a key: those are not for JSON."""
_LAUNCH_TABLE: Final = re.compile(rb"(?m)^[ \t]*sev-measurement[ \t]*:")
_SHORT_KEYS: Final = "TEK, TIK or a packet's payload"
_MAC_FILE: Final = "calc_measurement_out"
"""sev-tool's name for the 32 bytes (or 64 hex digits) of a MAC without its nonce."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file to be recognised; ``kind`` where the person said it. Keys come as a Secret."""

    name: str
    content: bytes | Secret
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class LaunchFiles:
    """What a set of files amounts to; None for what was not among them.

    ``godh`` has 2084 bytes, ``session`` 128, ``tek`` and ``tik`` 16 each, ``header`` 52.
    ``told`` is what the host says of the VM: measurement, version, policy, report.
    """

    certificates: PlatformCertificates
    godh: bytes | None = None
    session: bytes | None = None
    tek: Secret | None = None
    tik: Secret | None = None
    header: bytes | None = None
    payload: bytes | None = None
    told: ToldMeasurement = NOTHING_TOLD

    def wipe(self) -> None:
        """Erase the keys."""
        for key in (self.tek, self.tik):
            if key is not None:
                key.wipe()


@dataclass(frozen=True, slots=True)
class RecognisedFiles:
    """The files put together, what each was (``read``: name and kinds), and what is odd."""

    files: LaunchFiles
    read: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


def is_key_size(size: int) -> bool:
    """Whether a file of this size may hold TEK or TIK, so that it is to be read as a Secret."""
    return size in _KEYS.values()


def is_text(content: bytes) -> bool:
    """Whether a file is printable ASCII, as base64 is and short binary files hardly ever are."""
    return _TEXT.fullmatch(content) is not None


def recognise_files(given: Iterable[GivenFile]) -> RecognisedFiles:
    """Put files together; a Secret that is among them is taken over or wiped.

    Raises BadInput for a file that is none of these, ``which-kind`` for one whose size
    fits several and whose name decides nothing, and ``ambiguous-files`` for files that
    contradict each other.
    """
    collection = _Collection()
    try:
        for file in given:
            collection.add(file)
        return collection.finish()
    except BaseException:
        collection.wipe()
        raise


class _Collection:
    """Puts files together one after the other."""

    def __init__(self) -> None:
        self._chain: list[tuple[str, bytes]] = []
        self._public: dict[Kind, bytes] = {}
        self._keys: dict[Kind, Secret] = {}
        self._read: list[tuple[str, str]] = []
        self._warnings: list[str] = []
        self._told: dict[str, Any] = {}

    def add(self, file: GivenFile) -> None:
        _refuse_bare_mac(file)
        if isinstance(file.content, Secret):
            self._add_short(file, file.content)
            return
        if _tells_measurement(file):
            self._take_told(file.name, read_told(_bytes_of(file), file.name))
            return
        answer = _as_answer(file)
        if answer is not None:
            self._add_answer(file, answer)
            return
        kind, data = _recognise_one(file)
        if kind in _KEYS:
            raise keys_in_text(file.name)
        self._keep(kind, file.name, data)

    def finish(self) -> RecognisedFiles:
        recognised = recognise(self._chain)
        files = LaunchFiles(
            recognised.certificates,
            godh=self._public.get(Kind.GODH),
            session=self._public.get(Kind.SESSION),
            tek=self._keys.get(Kind.TEK),
            tik=self._keys.get(Kind.TIK),
            header=self._public.get(Kind.HEADER),
            payload=self._public.get(Kind.PAYLOAD),
            told=replace(NOTHING_TOLD, **self._told),
        )
        warnings = (*self._warnings, *recognised.warnings)
        return RecognisedFiles(files, tuple(self._read), warnings)

    def wipe(self) -> None:
        for key in self._keys.values():
            key.wipe()

    def _add_short(self, file: GivenFile, secret: Secret) -> None:
        """A file as short as a key: it is one, unless it is said to be a packet's payload."""
        kind = file.kind or kind_by_name(file.name) or _only_key_of(len(secret))
        if kind is Kind.PAYLOAD:
            with secret.reveal() as view:
                self._keep(kind, file.name, bytes(view))
            secret.wipe()
            return
        if kind is None or kind not in _KEYS:
            size = len(secret)
            secret.wipe()
            raise which_kind(file.name, size, _SHORT_KEYS, Kind.TEK)
        self._take_keys(kind, file.name, secret)

    def _take_keys(self, kind: Kind, name: str, secret: Secret) -> None:
        if len(secret) != _KEYS[kind]:
            size = len(secret)
            secret.wipe()
            raise wrong_size(name, kind, size, _KEYS[kind])
        parts = {kind: secret}
        if kind is Kind.TK:
            with secret.reveal() as view:
                parts = {Kind.TEK: Secret(view[:KEY_SIZE]), Kind.TIK: Secret(view[KEY_SIZE:])}
            secret.wipe()
        if any(part in self._keys for part in parts):
            for part in parts.values():
                part.wipe()
            raise ambiguous_files(name, "a transport key")
        self._keys |= parts
        self._read.append((name, kind.value))

    def _add_answer(self, file: GivenFile, answer: Mapping[str, object]) -> None:
        known, found = known_fields(answer), False
        for kind, name in _JSON_FIELDS.items():
            if (value := known.get(name)) is not None:
                if not isinstance(value, str):
                    raise unknown_file(file.name, f"Its {kind.value} is no text.")
                data = decode_base64(value, f"{file.name}: {kind.value}", LARGEST_FILE)
                _check_size(file.name, kind, data)
                self._keep(kind, file.name, data)
                found = True
        told = told_by([answer], file.name)
        self._take_told(file.name, told)
        if holds_platform_answer(answer) or not (found or told != NOTHING_TOLD):
            self._keep(Kind.CHAIN, file.name, _bytes_of(file))

    def _take_told(self, name: str, told: ToldMeasurement) -> None:
        for part in ("measurement", "version", "policy", "report"):
            value = getattr(told, part)
            if value is not None and self._told.setdefault(part, value) != value:
                raise ambiguous_files(name, f"a {part}")
        for kind in (Kind.MEASUREMENT, Kind.REPORT):
            if getattr(told, kind.value) is not None:
                self._read.append((name, kind.value))

    def _keep(self, kind: Kind, name: str, data: bytes) -> None:
        self._read.append((name, kind.value))
        if kind is Kind.CHAIN:
            self._chain.append((name, data))
            return
        if self._public.setdefault(kind, data) != data:
            raise ambiguous_files(name, f"a {kind.value}")
        if kind is Kind.PAYLOAD and (len(data) % 16 or len(data) > KVM_LIMIT):
            self._warnings.append(
                f"{name}: its {len(data)} bytes are no payload that KVM takes: a multiple of 16,"
                f" at most {KVM_LIMIT}."
            )


# -- one file ----------------------------------------------------------------------


def _bytes_of(file: GivenFile) -> bytes:
    return file.content if isinstance(file.content, bytes) else b""


def _as_answer(file: GivenFile) -> Mapping[str, object] | None:
    """The JSON object in a file, perhaps inside QMP's ``return``; None if it is no JSON."""
    content = _bytes_of(file)
    if not content.lstrip().startswith(b"{") or not content.isascii():
        return None
    value = parse_json(content.decode("ascii"), file.name)
    inner = value.get("return") if isinstance(value, dict) else None
    found = inner if isinstance(inner, dict) else value
    return found if isinstance(found, dict) else None


def _refuse_bare_mac(file: GivenFile) -> None:
    """Its 32 bytes would pass for TEK and TIK."""
    if file.kind is None and re.split(r"[/\\]", file.name)[-1].startswith(_MAC_FILE):
        if isinstance(file.content, Secret):
            file.content.wipe()
        raise measurement_without_nonce(file.name)


def _tells_measurement(file: GivenFile) -> bool:
    """Whether a file is to hold what a host told of its VM: by name, or by its first words."""
    kind = file.kind or kind_by_name(file.name)
    if kind in (Kind.MEASUREMENT, Kind.REPORT):
        return True
    return kind is None and _LAUNCH_TABLE.search(_bytes_of(file)[:LARGEST_ANSWER]) is not None


def _recognise_one(file: GivenFile) -> tuple[Kind, bytes]:
    content = _bytes_of(file)
    if not content:
        raise unknown_file(file.name, "It is empty.")
    refuse_pem(content, file.name)
    hint = file.kind or kind_by_name(file.name)
    if is_archive(content) or hint is Kind.CHAIN:
        return Kind.CHAIN, content
    data = _decoded(content, file.name, hint)
    if data is None:  # text that is not base64: at most the table that virsh prints
        return Kind.CHAIN, content
    if file.kind is not None:
        _check_size(file.name, file.kind, data)
        return file.kind, data
    kind = _by_size(file.name, data, hint)
    return kind, content if kind is Kind.CHAIN else data


def _by_size(name: str, data: bytes, hint: Kind | None) -> Kind:
    if len(data) == SEV_CERTIFICATE_SIZE and hint is not Kind.PAYLOAD:
        return Kind.GODH if is_owners_certificate(data) else Kind.CHAIN
    if hint is Kind.PAYLOAD:
        return Kind.PAYLOAD
    for kind in (Kind.SESSION, Kind.HEADER, *_KEYS):
        if len(data) == _SIZES[kind]:
            return kind
    if len(data) in (MEASUREMENT_SIZE, REPORT_SIZE):
        kind = Kind.MEASUREMENT if len(data) == MEASUREMENT_SIZE else Kind.REPORT
        raise which_kind(name, len(data), f"a {kind.value} or a packet's payload", kind)
    if hint is not None and hint is not Kind.CHAIN:
        raise wrong_size(name, hint, len(data), _SIZES[hint])
    # Large enough and not ours: certificates in some layout, or nothing we know.
    return Kind.CHAIN


def _decoded(content: bytes, name: str, hint: Kind | None) -> bytes | None:
    """Base64 decoded, binary as it is; None for other text. A known size means binary."""
    if len(content) in _SIZES.values() or not is_text(content):
        return content
    try:
        return decode_base64(content, name, LARGEST_FILE)
    except BadInput:
        if hint is not None:
            raise
        return None


def is_owners_certificate(data: bytes) -> bool:
    """Whether a certificate with a PDH's usage is an owner's one-time key (GODH).

    A platform's PDH is signed by its PEK. Owners' tools leave both signatures out
    (sevctl, QEMU's libraries, Watchword) or sign with the key itself (sev-tool).
    """
    try:
        certificate = SevCertificate.parse(data)
        if certificate.usage != Usage.PDH:
            return False
        if all(slot.is_unused for slot in certificate.signatures):
            return True
        key = EcPublicKey.parse(certificate.public_key_area).load()
    except BadInput:
        return False
    body = certificate.signed_body()
    return any(
        ecdsa_problem(key, slot.ecdsa_numbers(), body, slot.algorithm) is None
        for slot in certificate.signatures
        if not slot.is_unused
    )


def _only_key_of(size: int) -> Kind | None:
    return Kind.TK if size == BOTH_KEYS_SIZE else None


def _check_size(name: str, kind: Kind, data: bytes) -> None:
    wanted = _SIZES.get(kind)
    if wanted is not None and len(data) != wanted:
        raise wrong_size(name, kind, len(data), wanted)
