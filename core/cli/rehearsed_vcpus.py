# SPDX-License-Identifier: Apache-2.0
"""The vCPUs of a rehearsed guest, as options and a profile name them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..sev.cpu_models import parse_cpu
from ..sev.digest import VcpuSetup
from ..sev.policy import DEFAULT_POLICY, Policy
from ..sev.vmsa import VmsaGeneration
from .command import whole_number

if TYPE_CHECKING:
    from ..guest.profile import GuestProfile

_COUNT, _CPU, _GENERATION = 2, "EPYC-Milan", "legacy"


def add_vcpu_options(parser: argparse.ArgumentParser) -> None:
    """``--vcpus``, ``--cpu`` and ``--vmsa``; without them a profile's values count."""
    parser.add_argument(
        "--vcpus", type=whole_number, metavar="N", help=f"number of vCPUs, default {_COUNT}"
    )
    parser.add_argument("--cpu", metavar="MODEL", help=f"QEMU CPU model, default {_CPU}")
    parser.add_argument("--vmsa", metavar="GENERATION", help="legacy (default) or init2")


def vcpus_of(
    arguments: argparse.Namespace, policy: Policy, profile: GuestProfile | None = None
) -> VcpuSetup | None:
    """What is measured of the vCPUs, None under plain SEV; UsageError ``vcpus-without-es``."""
    if not policy.needs_es:
        if arguments.vcpus is not None:
            raise UsageError(
                "vcpus-without-es",
                "vCPUs are given, but the policy has no ES bit",
                "Under plain SEV the vCPUs are not measured.",
                f"Leave --vcpus out, or use a policy with ES, such as 0x{DEFAULT_POLICY.value:x}.",
            )
        return None
    count, cpu = arguments.vcpus, parse_cpu(arguments.cpu or _CPU)
    generation = VmsaGeneration.parse(arguments.vmsa or _GENERATION)
    if profile is None or not profile.needs_es:
        return VcpuSetup(_COUNT if count is None else count, cpu, generation)
    from ..rehearsal.profile_guest import profile_vcpus  # noqa: PLC0415 - pydantic

    given = profile_vcpus(profile)
    if given is None:
        return VcpuSetup(_COUNT if count is None else count, cpu, generation)
    return VcpuSetup(
        given.count if count is None else count,
        given.cpu if arguments.cpu is None else cpu,
        given.generation if arguments.vmsa is None else generation,
        given.sev_features,
    )
