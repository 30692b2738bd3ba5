# SPDX-License-Identifier: Apache-2.0
"""AMD's root (ARK) and signing (ASK) keys of five generations, from the numbers that ship."""

from __future__ import annotations

import hmac
import json
from functools import cache

from ...resources import read_bytes
from ..errors import BadInput
from ..sev.certificates import AmdCertificate
from ..sev.chain import RootKeys


def _certificate(entry: dict[str, object]) -> AmdCertificate:
    """One certificate from its numbers, refused unless its body has the recorded SHA-256."""
    bits = int(str(entry["bits"]))
    certificate = AmdCertificate(
        key_id=bytes.fromhex(str(entry["key_id"])),
        certifying_id=bytes.fromhex(str(entry["certifying_id"])),
        usage=int(str(entry["usage"])),
        bits=bits,
        exponent=int(str(entry["exponent"])),
        modulus=int(str(entry["modulus"]), 16),
        # The file has numbers in big-endian; certificates store them the other way round.
        signature=bytes.fromhex(str(entry["signature"]).zfill(bits // 4))[::-1],
    )
    if not hmac.compare_digest(certificate.fingerprint(), str(entry["body_sha256"])):
        raise BadInput(
            "damaged-roots",
            "amd_roots.json",
            f"The {entry['generation']} {entry['certificate']} is not the one it claims to be.",
            "Watchword's installation is damaged: install it again.",
        )
    return certificate


@cache
def amd_roots() -> tuple[RootKeys, ...]:
    """AMD's published keys, oldest generation first (read once; constant data)."""
    by_generation: dict[str, dict[str, AmdCertificate]] = {}
    for entry in json.loads(read_bytes("amd_roots.json"))["keys"]:
        pair = by_generation.setdefault(entry["generation"], {})
        pair[entry["certificate"]] = _certificate(entry)
    return tuple(RootKeys(name, pair["ARK"], pair["ASK"]) for name, pair in by_generation.items())
