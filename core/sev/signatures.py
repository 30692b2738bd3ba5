# SPDX-License-Identifier: Apache-2.0
"""Checks of the signatures on SEV certificates: RSA-PSS by AMD's keys, ECDSA by all others.

Each check returns None when the signature is good, else a sentence why not.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from .certificates import Algorithm, Signature, Usage

_RSA_HASHES: dict[int, type[hashes.HashAlgorithm]] = {
    Algorithm.RSA_SHA256: hashes.SHA256,
    Algorithm.RSA_SHA384: hashes.SHA384,
}
_ECDSA_HASHES: dict[int, type[hashes.HashAlgorithm]] = {
    Algorithm.ECDSA_SHA256: hashes.SHA256,
    Algorithm.ECDSA_SHA384: hashes.SHA384,
}


def rsa_pss_problem(
    key: rsa.RSAPublicKey, signature: bytes, body: bytes, algorithm: int
) -> str | None:
    """Check RSA-PSS (MGF1 with the same hash, salt as long as the digest).

    ``signature`` is little-endian and as long as the modulus.
    """
    hash_type = _RSA_HASHES.get(algorithm)
    if hash_type is None:
        return f"the signature names algorithm 0x{algorithm:x}, which is not RSA"
    digest = hash_type()
    pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    try:
        key.verify(signature[::-1], body, pss, digest)
    except (InvalidSignature, ValueError):
        return "the signature is wrong: certificate or signer was altered"
    return None


def ecdsa_problem(
    key: ec.EllipticCurvePublicKey, numbers: tuple[int, int], body: bytes, algorithm: int
) -> str | None:
    """Check ECDSA with R and S given as integers."""
    hash_type = _ECDSA_HASHES.get(algorithm)
    if hash_type is None:
        return f"the signature names algorithm 0x{algorithm:x}, which is not ECDSA"
    try:
        key.verify(utils.encode_dss_signature(*numbers), body, ec.ECDSA(hash_type()))
    except (InvalidSignature, ValueError):
        return "the signature is wrong: certificate or signer was altered"
    return None


def slot_of(signatures: tuple[Signature, Signature], signer: Usage) -> Signature | str:
    """The one slot that claims to be by ``signer``, or a sentence why there is none.

    Slots are matched by their usage, never by position: PEKs are seen with their
    two signatures in either order.
    """
    claimed = [slot for slot in signatures if slot.usage == signer]
    if not claimed:
        return f"it carries no signature by the {signer.name}"
    if len(claimed) > 1:
        return f"both of its signatures claim to be by the {signer.name}"
    return claimed[0]
