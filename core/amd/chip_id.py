# SPDX-License-Identifier: Apache-2.0
"""The chip id that AMD's key service knows a processor by: how it is written, and who prints it.

Source: AMD SEV API specification, GET_ID: 64 bytes for each socket.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from ..errors import BadInput, HostError
from ..sev.chain_files import CHIP_ID_SIZE

_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_DIGITS: Final = 2 * CHIP_ID_SIZE
WHERE_TO_READ_IT: Final = (
    "On the host, `sevctl show identifier` prints the chip id, and so does"
    " `sevtool --get_id`: give it with --chip-id. Or give AMD's signed copy of the CEK with"
    " --cek FILE, or the full export that `sevctl export --full` writes on the host."
)


def parse_chip_id(text: str, field: str = "--chip-id") -> bytes:
    """The 64 bytes of a chip id, from 128 hex digits or from base64 as QEMU prints it.

    Raises BadInput ``bad-chip-id``.
    """
    compact = "".join(text.split())
    if _HEX.fullmatch(compact):  # base64 of 64 bytes ends in ==, so it is never mistaken for hex
        if len(compact) == 2 * _DIGITS:
            raise _bad(field, "These are two chip ids: a host with two sockets has one for each.")
        if len(compact) != _DIGITS:
            raise _bad(field, f"It has {len(compact)} hex digits; a chip id has {_DIGITS}.")
        chip_id = bytes.fromhex(compact)
    else:
        chip_id = _from_base64(compact, field)
    if not any(chip_id):
        raise _bad(field, "It is all zeros: the host hides its chip id, or never read it.")
    return chip_id


def _from_base64(compact: str, field: str) -> bytes:
    problem = f"It is neither {_DIGITS} hex digits nor the base64 of {CHIP_ID_SIZE} bytes."
    # Bounded before decoding: the base64 of 64 bytes has 88 characters.
    if len(compact) != 88:
        raise _bad(field, problem)
    try:
        chip_id = base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(field, problem) from None
    if len(chip_id) != CHIP_ID_SIZE:
        raise _bad(field, problem)
    return chip_id


def is_usable(chip_id: bytes | None) -> bool:
    """Whether this can be asked about: 64 bytes that are not all zeros."""
    return chip_id is not None and len(chip_id) == CHIP_ID_SIZE and any(chip_id)


def chip_id_missing() -> HostError:
    """The error for a host that does not say which chip it has (exit 4)."""
    return HostError(
        "chip-id-missing",
        "The host does not tell its chip id",
        "AMD's key service finds the signed CEK by the chip id, and the host did not give"
        " one. Most likely its QEMU is older than 7.1, which has no `cpu0-id`.",
        WHERE_TO_READ_IT,
    )


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-chip-id",
        field,
        problem,
        "Give the 128 hex digits that `sevctl show identifier` prints on the host (of the"
        " first socket), or the base64 text of `cpu0-id` from query-sev-capabilities.",
    )
