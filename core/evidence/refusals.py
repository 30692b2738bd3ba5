# SPDX-License-Identifier: Apache-2.0
"""Refusals of a document whose signature holds: it can't be true, or nobody vouches for it."""

from __future__ import annotations

from ..errors import VerificationRefused

_LIE = (
    "Whoever signed it is mistaken or lies: rely on nothing in it, and ask the owner for the"
    " original documents."
)


def unknown_signer(fingerprint: str, *, named: bool) -> VerificationRefused:
    """The signature holds, by a key that nobody vouched for."""
    why = "and it is none of those that you named" if named else "and you named none"
    return VerificationRefused(
        "unknown-signer",
        "It is not known who signed this evidence",
        f"The signature holds; the key's fingerprint is {fingerprint}, {why}.",
        "Ask the owner for the fingerprint by another way (`watchword evidence signer` prints it)"
        " and give --signer FINGERPRINT; --accept-unknown-signer goes on without.",
        {"signer": fingerprint},
    )


def contradiction(problem: str) -> VerificationRefused:
    """Two statements of one document that can't both be true."""
    return VerificationRefused(
        "evidence-contradiction", "This evidence contradicts itself", problem, _LIE
    )


def verdict_differs(what: str, recorded: object, found: object) -> VerificationRefused:
    """The certificates say something else than what was recorded of them."""
    return VerificationRefused(
        "evidence-verdict-differs",
        "The platform's certificates don't bear out what this evidence says of them",
        f"{what}: recorded “{_word(recorded)}”, found “{_word(found)}”.",
        _LIE,
        {"what": what},
    )


def _word(value: object) -> str:
    return "nothing" if value is None else str(value)


def untrusted_root(fingerprint: str) -> VerificationRefused:
    """A chain that holds up to a root that only the owner trusted."""
    return VerificationRefused(
        "untrusted-root",
        "The platform's root is not AMD's",
        f"The chain holds up to a root that the owner named as trusted (SHA-256 {fingerprint});"
        " you did not.",
        "If you trust it too, give its ARK: --trust-root FILE. Simulated launches have such roots.",
        {"root_sha256": fingerprint},
    )


def differs_from_file(what: str, option: str) -> VerificationRefused:
    """A file of the caller's is not what the document is about."""
    return VerificationRefused(
        f"{what}-differs",
        f"This evidence is about another {what} than yours",
        f"None of the files that you gave with {option} has the SHA-256 that is recorded.",
        "Give the very file that was approved. If this is that file, another one was launched.",
    )


def not_measured(what: str, option: str) -> VerificationRefused:
    """A file is given of a kind that went into no launch digest there."""
    return VerificationRefused(
        f"{what}-not-measured",
        f"No {what} was measured in this launch",
        f"You gave {option}, but the launch digest of this evidence has no {what} in it: the host"
        " may have loaded any, or none.",
        f"Leave {option} out if that is as it should be.",
    )


def digest_differs(recorded: str, found: str) -> VerificationRefused:
    """The launch digest is not what comes of its parts."""
    return VerificationRefused(
        "launch-digest-differs",
        "The launch digest is not the one of what this evidence says was loaded",
        f"Recorded {recorded}, recomputed {found}.",
        _LIE,
        {"recorded": recorded, "recomputed": found},
    )
