# SPDX-License-Identifier: Apache-2.0
"""From a prepared launch and its profile to the VM that a host is to start for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import BadInput
from ..guest.fields import CommandLine
from ..guest.profile import ApprovedFile, GuestProfile
from ..handover.vm_order import VmOrder
from ..hosts.kubevirt_url import KubevirtAddress
from ..hosts.protocol import StartOrder
from ..hosts.urls import UnixAddress, parse_host_url
from ..sev.cpu_models import parse_cpu

_ANY_CPU: Final = "EPYC"
"""Without SEV-ES the model is not measured; this one runs on every host that has SEV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What the profile doesn't say of a VM, or says of the owner's machine and not the host's.

    None: as the profile has it. The fields are those of VmOrder.
    """

    firmware: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    vcpus: int | None = None
    cpu: str | None = None
    memory: int = 2048
    disk: str | None = None
    disk_format: str = "qcow2"
    monitor: str | None = None
    cbitpos: int | None = None
    reduced_phys_bits: int | None = None


def vm_order(profile: GuestProfile, start: StartOrder, host: str, placement: Placement) -> VmOrder:
    """The VM; where the profile allows several values, the first one unless ``placement`` chooses.

    Raises BadInput ``not-allowed-by-profile`` for a choice that the measurement would refuse,
    ``no-path-for-host`` where nobody says where a file is, and ``bad-vm-order``.
    """
    return VmOrder(
        name=_name(profile, host),
        godh=start.owner_dh_certificate,
        blob=start.launch_blob,
        policy=start.policy,
        firmware=_path("firmware", placement.firmware, profile.firmware) or "",
        kernel=_path("kernel", placement.kernel, profile.kernel),
        initrd=_path("initrd", placement.initrd, profile.initrd),
        cmdline=_cmdline(profile, placement),
        vcpus=_vcpus(profile, placement),
        cpu=_cpu(profile, placement),
        memory=placement.memory,
        disk=placement.disk,
        disk_format=placement.disk_format,
        monitor=placement.monitor or _monitor(host),
        cbitpos=placement.cbitpos,
        reduced_phys_bits=placement.reduced_phys_bits,
    )


def _name(profile: GuestProfile, host: str) -> str:
    """The profile's, unless the launch is for a VM of a cluster, which has a name already."""
    address = parse_host_url(host) if host else None
    return address.name if isinstance(address, KubevirtAddress) else profile.name[:63]


def _path(name: str, placed: str | None, approved: Sequence[ApprovedFile]) -> str | None:
    if not approved:
        if placed is not None:
            raise _not_allowed(name, placed, "none: it would be measured")
        return None
    if placed is not None:
        return placed
    path = next((file.path for file in approved if file.path is not None), None)
    if path is None:
        raise BadInput(
            "no-path-for-host",
            name,
            "The profile knows this file by its hash alone.",
            f"Say where it is on the host: --{name} PATH.",
        )
    return path


def _cmdline(profile: GuestProfile, placement: Placement) -> str | None:
    """The text; a profile may know a line by its hash alone, which no option takes."""
    if not profile.kernel:
        return None
    allowed = [line.text for line in profile.cmdline if line.text is not None]
    chosen = placement.cmdline
    if chosen is None:
        return allowed[0] if allowed else None
    if profile.cmdline and CommandLine.of(chosen).sha256 not in [
        line.sha256 for line in profile.cmdline
    ]:
        raise _not_allowed("cmdline", chosen, " | ".join(allowed) or "others")
    return chosen


def _vcpus(profile: GuestProfile, placement: Placement) -> int:
    allowed = tuple(profile.vcpus)
    if placement.vcpus is None:
        return allowed[0] if allowed else 1
    if allowed and placement.vcpus not in allowed:
        raise _not_allowed("vcpus", str(placement.vcpus), ", ".join(map(str, allowed)))
    return placement.vcpus


def _cpu(profile: GuestProfile, placement: Placement) -> str:
    if placement.cpu is None:
        return profile.cpu[0].name if profile.cpu else _ANY_CPU
    allowed = [cpu.signature.value for cpu in profile.cpu]
    if allowed and parse_cpu(placement.cpu).value not in allowed:
        raise _not_allowed("cpu", placement.cpu, ", ".join(cpu.name for cpu in profile.cpu))
    return placement.cpu


def _monitor(host: str) -> str:
    address = parse_host_url(host) if host else None
    return address.path if isinstance(address, UnixAddress) else "qmp.sock"


def _not_allowed(name: str, chosen: str, allowed: str) -> BadInput:
    return BadInput(
        "not-allowed-by-profile",
        name,
        f"The profile doesn't allow {chosen[:100]}; it allows: {allowed[:200]}.",
        "Choose one of these, or change the profile first.",
    )
