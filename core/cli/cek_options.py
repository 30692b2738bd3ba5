# SPDX-License-Identifier: Apache-2.0
"""Brings in AMD's signed copy of a CEK: from a file, the cache, or the key service if allowed."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace

from ..amd.cek_source import CekSource
from ..amd.certificate_cache import CertificateCache, cache_folder
from ..amd.key_service import KeyService
from ..amd.key_service_address import key_service_address
from ..amd.roots import amd_roots
from ..sev.chain_files import RecognisedChain
from .output import Console


def complete_chain(
    arguments: argparse.Namespace, recognised: RecognisedChain, console: Console
) -> RecognisedChain:
    """The chain with AMD's copy of its CEK, where the host's came unsigned and a copy is known.

    The cache is always looked into; the key service is asked with ``--fetch-cek`` only.
    """
    so_far = recognised.certificates
    source = cek_source(arguments, console, online=arguments.fetch_cek)
    files = asyncio.run(source.more_certificates(so_far.chip_id, so_far))
    if not files:
        return recognised
    unsigned = so_far.cek_from_host or so_far.cek
    certificates = replace(so_far, cek=files[0][1], cek_from_host=unsigned)
    return replace(recognised, certificates=certificates)


def cek_source(arguments: argparse.Namespace, console: Console, *, online: bool) -> CekSource:
    """Where to look for a CEK; the console is told what the key service will learn."""
    roots = amd_roots()
    service = None
    if online:
        address = key_service_address(arguments.key_service)
        service = KeyService(address, roots, announce=console.note)
    cache = CertificateCache(cache_folder(), roots)
    return CekSource(roots, cache, service, announce=console.note)
