# SPDX-License-Identifier: Apache-2.0
"""A host's certificates as files with names; what can't be read is the host's fault."""

from __future__ import annotations

from ..errors import BadInput, HostError
from ..sev.chain_files import recognise


def read_host_certificates(pdh: bytes, chain: bytes) -> list[tuple[str, bytes]]:
    """PDH and chain with names to call them by; HostError ``bad-certificates-from-host``."""
    files = [("the host's pdh", pdh), ("the host's cert-chain", chain)]
    try:
        recognise(files)
    except BadInput as error:
        raise HostError(
            "bad-certificates-from-host",
            "The host's certificates can't be read",
            f"{error.field}: {error.message}",
            "Ask the host's operator for the chain in a file (`sevctl export`), and compare.",
        ) from None
    return files
