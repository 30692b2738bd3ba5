# SPDX-License-Identifier: Apache-2.0
"""Asks a host about its platform; ``watchword platform export`` saves the answer."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json

from ..files import write_file
from ..hosts.connect import connect_host
from ..hosts.protocol import PlatformAnswer
from ..hosts.urls import parse_host_url
from .output import Console, Result


def export(arguments: argparse.Namespace, console: Console) -> Result:
    """Run ``platform export``."""
    answer = asyncio.run(ask_platform(arguments.host))
    data = _as_json(answer) if arguments.out.endswith(".json") else answer.pdh + answer.cert_chain
    write_file(arguments.out, data, field="--out")
    console.note("The CEK that hosts hand out is not signed: add AMD's copy to verify the chain.")
    chip_id = answer.cpu_id.hex() if answer.cpu_id is not None else None
    payload = {"file": arguments.out, "size": len(data), "chip_id": chip_id}
    return Result(payload, (f"Wrote {arguments.out}. Nothing in it is verified yet.",))


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
