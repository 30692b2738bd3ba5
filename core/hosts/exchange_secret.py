# SPDX-License-Identifier: Apache-2.0
"""The files of turn 4: the sealed packet, the commands that hand it over, and a report's nonce."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from .connection_errors import INJECT_COMMAND
from .exchange_instructions import secret_instructions
from .exchange_qmp import command_lines
from .exchange_turns import README_FILE
from .protocol import NONCE_BYTES

if TYPE_CHECKING:
    from ..sev.secret_packet import Packet

HEADER_FILE: Final = "secret-header.b64"
SECRET_FILE: Final = "secret.b64"  # noqa: S105 - a file's name
NO_SECRET_FILE: Final = "no-secret.txt"  # noqa: S105 - as above
ESSENTIAL: Final = (HEADER_FILE, SECRET_FILE, NO_SECRET_FILE)
"""What is never another for the same launch; a turn without a packet says so in a file."""

_REPORT_COMMAND: Final = "query-sev-attestation-report"
_NONCE_CONTEXT: Final = b"watchword report nonce\0"


def report_nonce(launch_id: str, packet: Packet) -> bytes:
    """The nonce (16 bytes) that a carried attestation report has to be made for.

    It follows from the packet, so that nothing has to be remembered between turns. The
    packet's IV and MAC can't be known before it is sealed: a report with this nonce was
    made after that, and none of an earlier VM fits.
    """
    text = _NONCE_CONTEXT + launch_id.encode() + b"\0" + packet.header + packet.ciphertext
    return hashlib.sha256(text).digest()[:NONCE_BYTES]


def secret_files(launch_id: str, packet: Packet) -> dict[str, bytes]:
    """Names and contents for a packet; the same packet gives the same files."""
    header = base64.b64encode(packet.header).decode()
    secret = base64.b64encode(packet.ciphertext).decode()
    nonce = base64.b64encode(report_nonce(launch_id, packet)).decode()
    texts = {
        HEADER_FILE: header,
        SECRET_FILE: secret,
        "inject.qmp": command_lines(
            launch_id, (INJECT_COMMAND, {"packet-header": header, "secret": secret})
        ),
        "run.qmp": _run(launch_id, nonce),
        README_FILE: secret_instructions(launch_id, nonce),
    }
    return {name: text.encode() for name, text in texts.items()}


def run_files(launch_id: str) -> dict[str, bytes]:
    """Names and contents where there is no secret to hand over: the VM is let run."""
    texts = {
        NO_SECRET_FILE: "There is no secret to hand over in this launch.\n",
        "run.qmp": _run(launch_id, None),
        README_FILE: secret_instructions(launch_id, None),
    }
    return {name: text.encode() for name, text in texts.items()}


def _run(launch_id: str, nonce: str | None) -> str:
    if nonce is None:
        return command_lines(launch_id, "cont", "query-sev", "query-status")
    report = (_REPORT_COMMAND, {"mnonce": nonce})
    return command_lines(launch_id, "cont", "query-sev", "query-status", report)
