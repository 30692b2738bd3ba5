# SPDX-License-Identifier: Apache-2.0
"""The command with which libvirt's own tool checks a measurement, while TIK is there.

TIK is given out by an explicit command alone, with an entry in the ledger, and never after the
packet was sealed (spec/threats.md 10).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ..guest.profile import GuestProfile
from ..sev.cpu_models import parse_cpu

TIK_FILE: Final = "tik.bin"
NO_TEK_FILE: Final = "no-tek.bin"
"""16 zero bytes: the tool asks for TEK always, and reads it for secrets alone."""

EXPECTED: Final = "OK: Looks good to me"
TOOL: Final = "libvirt-clients-qemu"
_HEX_OF_48: Final = re.compile(r"[0-9a-f]{96}")
_PROGRAM: Final = "virt-qemu-sev-validate"


def validate_words(
    fact: Mapping[str, object], digests: Sequence[object], profile: GuestProfile
) -> tuple[str, ...] | None:
    """The command; None where the tool can't be asked: hashes alone, or several combinations.

    ``fact`` is that of the measurement step, ``digests`` those of the guest step. The tool
    knows SEV-ES's older VMSA pages (KVM_SEV_ES_INIT) only.
    """
    lists = (profile.firmware, profile.kernel, profile.initrd, profile.cmdline, profile.cpu)
    if max(map(len, lists)) > 1 or len(tuple(profile.vcpus)) > 1:
        return None
    if profile.needs_es and not _is_legacy(fact, digests):
        return None
    loaded, blob = _loaded(profile), _blob(fact)
    if loaded is None or blob is None:
        return None
    told = {
        "tik": TIK_FILE,
        "tek": NO_TEK_FILE,
        "measurement": blob,
        "api-major": fact.get("api_major"),
        "api-minor": fact.get("api_minor"),
        "build-id": fact.get("build"),
        "policy": profile.policy.value,
        **loaded,
    }
    words = (f"--{name}={value}" for name, value in told.items())
    return (_PROGRAM, *words, *_cpus(profile))


def _blob(fact: Mapping[str, object]) -> str | None:
    """MAC and nonce as hosts report them; None for a record that somebody has edited."""
    digits = f"{fact.get('measurement')}{fact.get('nonce')}"
    if not _HEX_OF_48.fullmatch(digits):
        return None
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _is_legacy(fact: Mapping[str, object], digests: Sequence[object]) -> bool:
    return any(
        isinstance(digest, Mapping)
        and digest.get("launch_digest") == fact.get("launch_digest")
        and "legacy" in str(digest.get("components"))
        for digest in digests
    )


def _loaded(profile: GuestProfile) -> dict[str, str] | None:
    """The options that name what was loaded; None where a file is known by its hash alone."""
    files = {"firmware": profile.firmware, "kernel": profile.kernel, "initrd": profile.initrd}
    loaded: dict[str, str] = {}
    for name, approved in files.items():
        for file in approved:
            if file.path is None:
                return None
            loaded[name] = file.path
    for line in profile.cmdline:
        if line.text is None:
            return None
        loaded["cmdline"] = line.text
    return loaded


def _cpus(profile: GuestProfile) -> Iterator[str]:
    if profile.needs_es:
        cpu = parse_cpu(profile.cpu[0].name)
        yield f"--num-cpus={next(iter(profile.vcpus))}"
        yield f"--cpu-family={cpu.family}"
        yield f"--cpu-model={cpu.model}"
        yield f"--cpu-stepping={cpu.stepping}"
