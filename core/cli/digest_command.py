# SPDX-License-Identifier: Apache-2.0
"""``watchword digest``: the launch digest of a guest that was not started yet."""

from __future__ import annotations

import argparse

from .command import Parser, Subparsers, add_command
from .digest_options import add_digest_options, load_digest
from .output import Console, Result, grouped


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``digest``."""
    parser = add_command(
        subparsers,
        "digest",
        summary="compute the launch digest from what the guest is to load",
        example="watchword digest --firmware OVMF.fd --vcpus 2 --cpu EPYC-Milan",
        run=_digest,
    )
    add_digest_options(parser)


def _digest(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    loaded = load_digest(arguments)
    lines = [f"launch digest  {grouped(loaded.digest.value.hex())}", "made of:"]
    lines += [
        f"  {part.name}{f' x {part.count}' if part.count > 1 else ''}: {part.description},"
        f" SHA-256 {part.sha256.hex()}"
        for part in loaded.digest.components
    ]
    return Result(loaded.digest.as_json(), tuple(lines))
