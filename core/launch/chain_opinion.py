# SPDX-License-Identifier: Apache-2.0
"""A platform's certificates as openssl can check them: keys, signed bodies, signatures.

openssl doesn't know AMD's formats, and so shares none of our reading of them but the cutting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..errors import BadInput
from ..sev.certificates import AmdCertificate, EcPublicKey, SevCertificate, Signature, Usage

ROLES: Final = ("ark", "ask", "cek", "oca", "pek", "pdh")
_LINKS: Final = (
    ("ark", "ark"),
    ("ask", "ark"),
    ("cek", "ask"),
    ("oca", "oca"),
    ("pek", "oca"),
    ("pek", "cek"),
    ("pdh", "pek"),
)
_USAGES: Final = {
    "ask": Usage.ASK,
    "oca": Usage.OCA,
    "cek": Usage.CEK,
    "pek": Usage.PEK,
}
_VERIFIED: Final = "Verified OK"
_SHA384: Final = (0x101, 0x102, 0x103)
"""Algorithm numbers that mean SHA-384. Source: AMD SEV API, certificate algorithms."""

CheckWords = tuple[tuple[str, ...], str, str]
Opened = AmdCertificate | SevCertificate


def chain_opinion(
    certificates: Mapping[str, bytes],
) -> tuple[dict[str, bytes], list[CheckWords], tuple[str, ...]]:
    """Files, commands (words, what they print, tool) and sentences, for the links that there are.

    ``certificates`` by role, one of :data:`ROLES`. What can't be read is left out.
    """
    opened = {role: one for role, data in certificates.items() if (one := _open(role, data))}
    files: dict[str, bytes] = {f"{role}.cert": data for role, data in certificates.items()}
    checks: list[CheckWords] = []
    for role, signer in _LINKS:
        if role in opened and signer in opened:
            made = _link(role, opened[role], signer, opened[signer])
            if made is not None:
                files |= made[0]
                checks.append(made[1])
    sentences = (
        (
            "Each certificate's body was cut out, and its signature brought into the form that"
            " openssl reads: RSA-PSS big-endian, ECDSA as DER. The keys are the signers' own."
        ),
        (
            "That ark.pem is AMD's has to be looked up elsewhere: compare its modulus with the root"
            " that AMD publishes for the processor's generation."
        ),
    )
    return files, checks, sentences


def _open(role: str, data: bytes) -> Opened | None:
    kind = AmdCertificate if role in ("ark", "ask") else SevCertificate
    try:
        return kind.parse(data)
    except BadInput:
        return None


def _link(
    role: str, certificate: Opened, signer_role: str, signer: Opened
) -> tuple[dict[str, bytes], CheckWords] | None:
    made = _signature(certificate, signer_role, signer)
    if made is None:
        return None
    signature, digest, options = made
    name = f"{role}-by-{signer_role}"
    files = {
        f"{role}.body": certificate.signed_body(),
        f"{name}.sig": signature,
        f"{signer_role}.pem": _pem(signer),
    }
    words = ("openssl", "dgst", f"-{digest}", "-verify", f"{signer_role}.pem", *options)
    return files, (
        (*words, "-signature", f"{name}.sig", f"{role}.body"),
        _VERIFIED,
        "openssl",
    )


def _signature(
    certificate: Opened, signer_role: str, signer: Opened
) -> tuple[bytes, str, tuple[str, ...]] | None:
    """The signature as openssl takes it, the hash's name, and openssl's options."""
    if isinstance(signer, AmdCertificate):
        raw = _rsa_signature(certificate, signer)
        if raw is None:
            return None
        digest = "sha256" if signer.bits == 2048 else "sha384"
        pss = ("rsa_padding_mode:pss", "rsa_pss_saltlen:digest")
        return raw, digest, tuple(word for option in pss for word in ("-sigopt", option))
    if not isinstance(certificate, SevCertificate):
        return None
    slot = next(_slots(certificate, _USAGES[signer_role]), None)
    if slot is None:
        return None
    return _der(slot), "sha384" if slot.algorithm in _SHA384 else "sha256", ()


def _rsa_signature(certificate: Opened, signer: AmdCertificate) -> bytes | None:
    if isinstance(certificate, AmdCertificate):
        raw = certificate.signature
    else:
        slot = next(_slots(certificate, Usage.ASK), None)
        raw = None if slot is None else slot.data[: signer.bits // 8]
    return None if raw is None else raw[::-1]


def _slots(certificate: SevCertificate, usage: Usage) -> Iterator[Signature]:
    return (slot for slot in certificate.signatures if slot.usage == usage)


def _der(slot: Signature) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import (  # noqa: PLC0415 - only here
        encode_dss_signature,
    )

    return encode_dss_signature(*slot.ecdsa_numbers())


def _pem(signer: Opened) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - only here
        Encoding,
        PublicFormat,
    )

    if isinstance(signer, AmdCertificate):
        key = signer.load()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    curve_key = EcPublicKey.parse(signer.public_key_area).load()
    return curve_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
