# SPDX-License-Identifier: Apache-2.0
"""``watchword platform fetch-cek``: AMD's signed copy of a chip's endorsement key."""

from __future__ import annotations

import argparse
import asyncio

from ..amd.cek_source import CekSource, FoundCek
from ..amd.chip_id import parse_chip_id
from ..files import write_file
from ..launch.host_certificates import read_host_certificates
from ..sev.chain_files import recognise
from .cek_options import cek_source
from .output import Console, Result, grouped
from .platform_host import ask_platform


def fetch_cek(arguments: argparse.Namespace, console: Console) -> Result:
    """Run the command."""
    source = cek_source(arguments, console, online=not arguments.offline)
    found = asyncio.run(_find(arguments, source))
    if arguments.out is not None:
        write_file(arguments.out, found.data, field="--out")
    chip_id = found.chip_id.hex() if found.chip_id is not None else "unknown"
    lines = [
        f"AMD's {found.cek.generation} ASK signed this CEK (from: {found.origin.value}).",
        f"CEK fingerprint  {grouped(found.cek.fingerprint)}",
        f"chip id          {chip_id}",
    ]
    if arguments.out is not None:
        lines.append(f"Wrote {arguments.out}.")
    if found.note is not None:
        console.note(found.note)
    return Result({"file": arguments.out, **found.as_json()}, tuple(lines))


async def _find(arguments: argparse.Namespace, source: CekSource) -> FoundCek:
    if arguments.chip_id is not None:
        return await source.find(parse_chip_id(arguments.chip_id, "--chip-id"))
    answer = await ask_platform(arguments.host)
    files = read_host_certificates(answer.pdh, answer.cert_chain)
    return await source.find(answer.cpu_id, recognise(files).certificates)
