# SPDX-License-Identifier: Apache-2.0
"""Whether bytes are what AMD signed: a CEK under a built-in ASK, or a generation's ASK and ARK.

Nothing from the network or the disk is used, kept or handed on before it went
through here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import BadInput
from ..sev.certificates import (
    SEV_CERTIFICATE_SIZE,
    SEV_SIGNED_SIZE,
    AmdCertificate,
    SevCertificate,
    Usage,
)
from ..sev.chain import RootKeys
from ..sev.chain_rules import UNSIGNED_CEK, ark_problem, ask_problem, cek_problem
from ..sev.proof import Mint, Proof

_MINT: Final = Mint("watchword.core.amd.signed_certificates")

LARGEST_ASK_ARK: Final = 3200
"""Bytes of ASK|ARK with 4096-bit keys; 2048-bit keys take 1664, or 1408 unsigned."""


class Flaw(StrEnum):
    """What is wrong with bytes that should be a certificate; the value is stable in JSON."""

    TRUNCATED = "truncated"
    TOO_LONG = "too-long"
    WEB_PAGE = "web-page"
    NOT_A_CERTIFICATE = "not-a-certificate"
    NOT_A_CEK = "not-a-cek"
    OTHER_KEY = "other-key"
    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad-signature"
    NOT_AMDS = "not-amds"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why bytes were not taken: the kind, and the particulars as a clause without a full stop."""

    flaw: Flaw
    words: str


class SignedCek(Proof):
    """A CEK (2084 bytes) with a good signature by AMD's ASK of ``generation``.

    Made by :func:`judge_cek` alone, so holding one means that it was verified in this run.
    """

    __slots__ = ("data", "generation")

    data: bytes
    generation: str

    def __init__(self, mint: Mint, data: bytes, generation: str) -> None:
        _MINT.check(mint)
        self._establish(data=data, generation=generation)

    @property
    def body(self) -> bytes:
        """The 1044 bytes that the signature covers."""
        return self.data[:SEV_SIGNED_SIZE]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the body in hex: names the key, however often AMD signs it anew."""
        return fingerprint_of(self.data)

    def __repr__(self) -> str:
        return f"<CEK {self.fingerprint}, signed by AMD's {self.generation} ASK>"


def fingerprint_of(cek: bytes) -> str:
    """SHA-256 in hex of the first 0x414 bytes of a CEK, signed or not."""
    return hashlib.sha256(cek[:SEV_SIGNED_SIZE]).hexdigest()


def judge_cek(
    data: bytes, roots: Sequence[RootKeys], same_key_as: bytes | None = None
) -> SignedCek | Refusal:
    """Whether ``data`` is a CEK signed by the ASK of one of ``roots``.

    ``same_key_as`` is a CEK whose first 0x414 bytes it must have: the host's unsigned one.
    """
    if len(data) != SEV_CERTIFICATE_SIZE:
        return _wrong_size(data, SEV_CERTIFICATE_SIZE, "a CEK")
    try:
        cek = SevCertificate.parse(data, "CEK")
    except BadInput as error:
        return Refusal(Flaw.NOT_A_CERTIFICATE, _clause(error.message))
    if cek.usage != Usage.CEK:
        return Refusal(
            Flaw.NOT_A_CEK, f"it is a certificate of usage 0x{cek.usage:x}, and no CEK (0x1004)"
        )
    if same_key_as is not None and not _same_body(data, same_key_as):
        return Refusal(Flaw.OTHER_KEY, "it is the CEK of another key than the host's")
    problems = [cek_problem(cek, keys.ask) for keys in roots]
    for keys, problem in zip(roots, problems, strict=True):
        if problem is None:
            return SignedCek(_MINT, data, keys.generation)
    if UNSIGNED_CEK in problems:
        return Refusal(Flaw.UNSIGNED, "it carries no signature by an ASK")
    return Refusal(Flaw.BAD_SIGNATURE, "no ASK of AMD's made its signature")


def judge_ask_ark(data: bytes, keys: RootKeys) -> Refusal | None:
    """What is wrong with AMD's ASK|ARK file of a generation, None if nothing is.

    The Naples ARK may come without its signature, as AMD serves it.
    """
    size = AmdCertificate.size_at(data)
    if size is None:
        return _not_certificates(data)
    if len(data) > LARGEST_ASK_ARK:
        return Refusal(Flaw.TOO_LONG, f"it is longer than the {LARGEST_ASK_ARK} bytes of ASK|ARK")
    try:
        ask = AmdCertificate.parse(data[:size], "ASK")
        ark = AmdCertificate.parse(data[size:], "ARK")
    except BadInput as error:
        return Refusal(Flaw.NOT_A_CERTIFICATE, _clause(error.message))
    ours = hmac.compare_digest(ask.fingerprint(), keys.ask.fingerprint())
    if not ours or not hmac.compare_digest(ark.fingerprint(), keys.ark.fingerprint()):
        return Refusal(Flaw.NOT_AMDS, f"it does not hold AMD's ASK and ARK of {keys.generation}")
    problem = ask_problem(ask, keys.ark) or ark_problem(ark, keys.ark)
    return None if problem is None else Refusal(Flaw.BAD_SIGNATURE, problem)


def _same_body(one: bytes, other: bytes) -> bool:
    return hmac.compare_digest(one[:SEV_SIGNED_SIZE], other[:SEV_SIGNED_SIZE])


def _wrong_size(data: bytes, size: int, what: str) -> Refusal:
    if _looks_like_markup(data):
        return _web_page()
    if len(data) > size:
        return Refusal(Flaw.TOO_LONG, f"it goes on after the {size} bytes that {what} has")
    return Refusal(Flaw.TRUNCATED, f"it ends after {len(data)} of the {size} bytes of {what}")


def _not_certificates(data: bytes) -> Refusal:
    if _looks_like_markup(data):
        return _web_page()
    return Refusal(Flaw.NOT_A_CERTIFICATE, "it does not begin with an ASK")


def _looks_like_markup(data: bytes) -> bool:
    return data[:256].lstrip().startswith(b"<")


def _web_page() -> Refusal:
    return Refusal(Flaw.WEB_PAGE, "it is a web page, and no certificate")


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
