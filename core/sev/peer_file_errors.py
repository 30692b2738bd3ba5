# SPDX-License-Identifier: Apache-2.0
"""The errors for files of a launch that are not what they should be, or could be several things."""

from __future__ import annotations

from ..errors import BadInput
from .peer_names import Kind


def unknown_file(name: str, problem: str) -> BadInput:
    """For a file that is nothing that belongs to a launch."""
    return BadInput(
        "unknown-file",
        name,
        problem,
        "Give certificates, GODH, launch blob, transport keys, a packet's header or payload, a"
        " launch measurement or an attestation report.",
    )


def wrong_size(name: str, kind: Kind, size: int, right: int) -> BadInput:
    """For a file whose name, or person, says what it is, and whose size says otherwise."""
    return BadInput(
        "wrong-size",
        name,
        f"It holds {size} bytes; a {kind.value} has {right}.",
        "The file is cut short, or it is another one.",
    )


def which_kind(name: str, size: int, may_be: str, example: Kind) -> BadInput:
    """For a file whose size fits several kinds and whose name fits none."""
    return BadInput(
        "which-kind",
        name,
        f"Its {size} bytes may be {may_be}, and its name does not say which.",
        f"Say it, as in `{example.value}={name}`.",
    )


def ambiguous_files(name: str, what: str) -> BadInput:
    """For files that contradict each other."""
    return BadInput(
        "ambiguous-files",
        name,
        f"It holds {what}, and so does a file before it.",
        "Give the files of one launch only.",
    )


def keys_in_text(name: str) -> BadInput:
    """For transport keys in base64, of which copies would stay in memory."""
    return BadInput(
        "keys-in-text",
        name,
        "It holds transport keys as text.",
        "Keys are read in binary only, from files of 16 or 32 bytes.",
    )


def measurement_without_nonce(name: str) -> BadInput:
    """For the MAC that sev-tool's calc_measurement writes, which could be taken for two keys."""
    return BadInput(
        "measurement-without-nonce",
        name,
        "It is named as sev-tool's calc_measurement_out: that is a MAC alone, without its nonce.",
        "Give what the host reported: 48 bytes, or the answer that holds them.",
    )
