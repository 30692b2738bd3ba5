# SPDX-License-Identifier: Apache-2.0
"""Asks a host about its platform; ``watchword platform export`` saves the answer."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path

from ..files import write_file
from ..hosts.connect import connect_host
from ..hosts.locality import local_warnings
from ..hosts.protocol import PlatformAnswer
from ..hosts.urls import parse_host_url
from .host_notes import note_host_warnings
from .output import Console, Result, table
from .peer_output import in_form, write_in_form

_UNSIGNED = "The CEK that hosts hand out is not signed: add AMD's copy to verify the chain."


def export(arguments: argparse.Namespace, console: Console) -> Result:
    """Run ``platform export``."""
    warnings = note_host_warnings(arguments.host, console)
    for warning in local_warnings(arguments.host, simulated=False):
        console.note(f"warning: {warning}")
        warnings.append(warning)
    answer = asyncio.run(ask_platform(arguments.host))
    if arguments.form is not None:
        return _in_form(arguments, console, answer, warnings)
    data = _as_json(answer) if arguments.out.endswith(".json") else answer.pdh + answer.cert_chain
    write_file(arguments.out, data, field="--out")
    console.note(_UNSIGNED)
    chip_id = answer.cpu_id.hex() if answer.cpu_id is not None else None
    payload = {"file": arguments.out, "size": len(data), "chip_id": chip_id, "warnings": warnings}
    return Result(payload, (f"Wrote {arguments.out}. Nothing in it is verified yet.",))


def _in_form(
    arguments: argparse.Namespace, console: Console, answer: PlatformAnswer, warnings: list[str]
) -> Result:
    """The certificates under the names of another program."""
    from ..sev.chain_files import recognise  # noqa: PLC0415 - for --form alone
    from ..sev.peer_files import LaunchFiles  # noqa: PLC0415 - as above

    found = recognise([("the host's PDH", answer.pdh), ("the host's chain", answer.cert_chain)])
    certificates = replace(found.certificates, chip_id=answer.cpu_id)
    outputs = in_form(arguments.form, LaunchFiles(certificates), "host")
    files = write_in_form(outputs, {False: (Path(arguments.out), "--out")})
    console.note(_UNSIGNED)
    chip_id = answer.cpu_id.hex() if answer.cpu_id is not None else None
    payload = {"form": arguments.form, "files": files, "chip_id": chip_id, "warnings": warnings}
    lines = (*table(files.items()), "Nothing in these is verified yet.")
    return Result(payload, lines)


async def ask_platform(url: str) -> PlatformAnswer:
    """What the host at this URL says about its platform."""
    async with await connect_host(parse_host_url(url)) as host:
        return await host.platform()


def _as_json(answer: PlatformAnswer) -> bytes:
    """As query-sev-capabilities answers, so that other tools can read it."""
    content: dict[str, object] = {
        "pdh": base64.b64encode(answer.pdh).decode(),
        "cert-chain": base64.b64encode(answer.cert_chain).decode(),
        "cbitpos": answer.cbitpos,
        "reduced-phys-bits": answer.reduced_phys_bits,
    }
    if answer.cpu_id is not None:
        content["cpu0-id"] = base64.b64encode(answer.cpu_id).decode()
    return json.dumps(content, indent=2).encode() + b"\n"
