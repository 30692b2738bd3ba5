# SPDX-License-Identifier: Apache-2.0
"""What a launch digest is made of, read back from its components.

A digest keeps its parts as words and hashes. Whatever the words say is built again here
and held against the hash, so that nothing is told that was not measured.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ..errors import BadInput
from ..evidence.facts import LoadedContents
from ..sev.cpu_models import parse_cpu
from ..sev.digest import DigestComponent, LaunchDigest, VcpuSetup
from ..sev.kernel_hashes import KernelHashes, hash_cmdline
from ..sev.vmsa import VmsaGeneration

_HASHES: Final = re.compile(
    r"kernel ([0-9a-f]{64}), initrd ([0-9a-f]{64}), command line ([0-9a-f]{64})"
)
_FIRST_VCPU: Final = re.compile(
    r"vCPU 0: CPU ([0-9]+/[0-9]+/[0-9]+), (legacy|init2), SEV features (0x[0-9a-f]+)"
)


def loaded_contents(digest: LaunchDigest, cmdlines: Iterable[str] = ()) -> LoadedContents:
    """The parts of a launch digest, as far as they are known for sure.

    ``cmdlines`` are the command lines that may be the one whose hash was measured.
    """
    bare = LoadedContents(launch_digest=digest.value)
    parts = digest.components
    if not parts or parts[0].name != "firmware":
        return bare
    hashes = _kernel_hashes(parts)
    vcpus = _vcpus(parts)
    told = 1 + (hashes is not None) + (0 if vcpus is None else min(vcpus.count, 2))
    if told != len(parts):  # one of them is of a kind that isn't known here
        return bare
    return replace(
        bare,
        firmware_sha256=parts[0].sha256,
        firmware_size=parts[0].size,
        kernel_hashes=hashes,
        cmdline=None if hashes is None else _cmdline(hashes, cmdlines),
        vcpus=vcpus,
        components=parts,
    )


def _kernel_hashes(parts: Iterable[DigestComponent]) -> KernelHashes | None:
    for part in parts:
        match = _HASHES.fullmatch(part.description)
        if part.name == "kernel-hashes" and match is not None:
            hashes = KernelHashes(*map(bytes.fromhex, match.groups()))
            if hashlib.sha256(hashes.build()).digest() == part.sha256:
                return hashes
    return None


def _vcpus(parts: Iterable[DigestComponent]) -> VcpuSetup | None:
    pages = [part for part in parts if part.name == "vmsa"]
    match = _FIRST_VCPU.fullmatch(pages[0].description) if pages else None
    if match is None:
        return None
    try:
        generation, features = VmsaGeneration(match[2]), int(match[3], 16)
        count = sum(page.count for page in pages)
        vcpus = VcpuSetup(count, parse_cpu(match[1]), generation, features)
    except BadInput:
        return None
    same = hashlib.sha256(vcpus.first_page()).digest() == pages[0].sha256
    return vcpus if same else None


def _cmdline(hashes: KernelHashes, cmdlines: Iterable[str]) -> str | None:
    for text in cmdlines:
        try:
            if hash_cmdline(text) == hashes.cmdline:
                return text
        except BadInput:
            continue
    return "" if hashes.cmdline == hash_cmdline(None) else None
