# SPDX-License-Identifier: Apache-2.0
"""The rules for each pair of neighbours in a platform's certificate chain.

Every function returns None where the rule holds, else a sentence why it doesn't.
Source: AMD SEV API specification, chapter 2.1; what the field's tools leave out
(half of the id bytes, the ARK's own signature, which slot is whose) is checked here.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from ..errors import BadInput
from .certificates import (
    COORDINATE_SIZE,
    Algorithm,
    AmdCertificate,
    Curve,
    EcPublicKey,
    SevCertificate,
    Signature,
    Usage,
)
from .signatures import ecdsa_problem, rsa_pss_problem, slot_of

_ECDSA_KEYS = (Algorithm.ECDSA_SHA256, Algorithm.ECDSA_SHA384)
_ECDH_KEYS = (Algorithm.ECDH_SHA256, Algorithm.ECDH_SHA384)
_RSA_KEYS = (Algorithm.RSA_SHA256, Algorithm.RSA_SHA384)

UNSIGNED_CEK = (
    "the CEK carries no signature by AMD's ASK: hosts hand it out unsigned,"
    " and AMD's key service has the signed copy of it"
)


def _ca_algorithm(signer: AmdCertificate) -> Algorithm:
    """AMD signs with SHA-256 under 2048-bit keys (Naples) and SHA-384 under 4096-bit ones."""
    return Algorithm.RSA_SHA256 if signer.bits == 2048 else Algorithm.RSA_SHA384


def amd_signature_problem(certificate: AmdCertificate, signer: AmdCertificate) -> str | None:
    """Whether ``signer``'s key made the signature on an ARK or ASK."""
    if certificate.signature is None:
        return f"it has no signature ({len(certificate.build())} bytes)"
    if certificate.bits != signer.bits:
        return "its signature is not of the size of the signer's key"
    try:
        key = signer.load("ARK")
    except BadInput as error:
        return error.message
    body = certificate.signed_body()
    return rsa_pss_problem(key, certificate.signature, body, _ca_algorithm(signer))


def ark_problem(ark: AmdCertificate, published: AmdCertificate | None) -> str | None:
    """A root: usage, ids, its own signature.

    ``published`` is AMD's root with the same signed body, if there is one. AMD
    serves the Naples ARK without its signature; that form is as good as the
    pinned key that it equals, and no other unsigned root is.
    """
    if ark.usage != Usage.ARK:
        return f"its usage is 0x{ark.usage:x}, not that of an ARK"
    if ark.key_id != ark.certifying_id:
        return "it names another key as its signer"
    if ark.signature is None and published is not None:
        return None
    return amd_signature_problem(ark, ark)


def ask_problem(ask: AmdCertificate, ark: AmdCertificate) -> str | None:
    """ASK under ARK: usage, all 16 bytes of the id, signature."""
    if ask.usage != Usage.ASK:
        return f"its usage is 0x{ask.usage:x}, not that of an ASK"
    if ask.certifying_id != ark.key_id:
        return "it names another ARK as its signer"
    return amd_signature_problem(ask, ark)


def cek_problem(cek: SevCertificate, ask: AmdCertificate) -> str | None:
    """CEK under ASK: an ECDSA key, and one RSA signature by the ASK."""
    problem = _key_problem(cek, Usage.CEK, _ECDSA_KEYS)
    if problem is not None:
        return problem
    slot = slot_of(cek.signatures, Usage.ASK)
    if isinstance(slot, str):
        return UNSIGNED_CEK if "no signature" in slot else slot
    try:
        key = ask.load("ASK")
    except BadInput as error:
        return error.message
    return rsa_pss_problem(key, slot.data[: ask.bits // 8], cek.signed_body(), slot.algorithm)


def ecdsa_link_problem(
    certificate: SevCertificate, usage: Usage, signer: SevCertificate, signer_usage: Usage
) -> str | None:
    """OCA under itself, PEK under OCA and under CEK, PDH under PEK."""
    algorithms = _ECDH_KEYS if usage is Usage.PDH else _ECDSA_KEYS
    problem = _key_problem(certificate, usage, algorithms)
    if problem is not None:
        return problem
    if signer.usage != signer_usage:
        return f"the signer's usage is 0x{signer.usage:x}, not that of a {signer_usage.name}"
    slot = slot_of(certificate.signatures, signer_usage)
    if isinstance(slot, str):
        return slot
    try:
        key = EcPublicKey.parse(signer.public_key_area, signer_usage.name).load(signer_usage.name)
    except BadInput as error:
        return f"{signer_usage.name}: {error.message}"
    return ecdsa_problem(key, slot.ecdsa_numbers(), certificate.signed_body(), slot.algorithm)


def _key_problem(
    certificate: SevCertificate, usage: Usage, algorithms: tuple[Algorithm, ...]
) -> str | None:
    """Usage and algorithm of a certificate's own key, and that the key is a point of its curve."""
    if certificate.usage != usage:
        return f"its usage is 0x{certificate.usage:x}, not that of a {usage.name}"
    if certificate.algorithm not in algorithms:
        purpose = "key agreement (ECDH)" if algorithms is _ECDH_KEYS else "signing (ECDSA)"
        return f"its algorithm 0x{certificate.algorithm:x} is not one for {purpose}"
    try:
        EcPublicKey.parse(certificate.public_key_area, usage.name).load(usage.name)
    except BadInput as error:
        return error.message
    return None


def pdh_public_key(pdh: SevCertificate) -> ec.EllipticCurvePublicKey:
    """The key to agree a session with: P-384 and on its curve, else BadInput.

    The session's key derivation takes 48 bytes, so no other curve can serve.
    """
    key = EcPublicKey.parse(pdh.public_key_area, "PDH")
    if key.curve != Curve.P384:
        raise BadInput(
            "pdh-curve",
            "PDH",
            "Its key is not on P-384, the one curve that launch sessions use.",
            "Ask the host's operator for the PDH that the secure processor exports.",
        )
    return key.load("PDH")


def has_stray_bytes(slot: Signature, signers: tuple[Usage, ...], rsa_width: int) -> bool:
    """Whether a signature slot holds bytes that nothing signs and nothing reads.

    ``signers`` are those whose signatures the chain reads in this certificate;
    ``rsa_width`` is the number of bytes that an RSA signature takes (256 or 512).
    """
    if slot.is_unused:
        return slot.algorithm != Algorithm.NONE or bool(slot.data.strip(b"\0"))
    if slot.usage not in signers:
        return True
    used = rsa_width if slot.algorithm in _RSA_KEYS else 2 * COORDINATE_SIZE
    return bool(slot.data[used:].strip(b"\0"))
