# SPDX-License-Identifier: Apache-2.0
"""A whole launch against a simulated host that is started for it, honest or not."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import HostError, WatchwordError
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..hosts.protocol import Host
from ..hosts.qmp import QmpHost
from ..hosts.urls import parse_host_url
from ..launch.engine import Launch
from ..launch.sev_plan import CertificateFile, SecretOrder, SevPlan, SevWorld
from ..launch.sev_steps import LAUNCH_STEPS, Observer, SevLaunch
from ..launch.worlds import opener
from ..secret import Secret
from ..sev.certificates import AmdCertificate
from ..sev.chain import PlatformCertificates
from ..sev.chain_files import is_signed_cek
from ..sev.diagnosis import ApprovedContents, DirectBoot
from ..sev.digest import VcpuSetup, launch_digest
from ..sev.firmware import FirmwareImage
from ..sev.kernel_hashes import hash_chunks
from ..sev.measurement import FirmwareRequirements
from ..sev.policy import DEFAULT_POLICY, OLDEST_SAFE_API, ApprovedPolicy, approve_policy
from ..sev.secret_table import DISK_PASSPHRASE, Route
from ..sev.session import LaunchMaterial
from ..simulator import (
    PlatformKeys,
    QmpServer,
    SaveAreaKind,
    SimulatedHost,
    StartOrder,
    attack_named,
    build_firmware,
)


@dataclass(frozen=True, slots=True)
class RehearsedGuest:
    """What the owner approves for the rehearsal; the host may start something else.

    ``firmware``  the image's bytes; a simulated one by default
    ``vcpus``     None for plain SEV
    """

    firmware: bytes = field(default_factory=build_firmware, repr=False)
    kernel: bytes | None = field(default=None, repr=False)
    initrd: bytes | None = field(default=None, repr=False)
    cmdline: str | None = None
    vcpus: VcpuSetup | None = None
    policy: ApprovedPolicy = field(default_factory=lambda: approve_policy(DEFAULT_POLICY))
    minimum_build: int = 0

    def direct_boot(self) -> DirectBoot | None:
        """The measured kernel, initrd and command line, where there is a kernel."""
        if self.kernel is None:
            return None
        return DirectBoot(
            kernel=hash_chunks((self.kernel,)),
            initrd=hash_chunks((self.initrd or b"",)),
            cmdline=self.cmdline,
        )


@dataclass(frozen=True, slots=True)
class RehearsalOutcome:
    """What came of a rehearsal.

    ``secret_in_guest``  whether the simulated guest can read the secret in its memory
    ``secret_seen``      whether the host saw any of the secret in clear, on the wire
    ``packets``          packets that the secure processor was given, accepted or not
    """

    launch: Launch
    error: WatchwordError | None
    secret_in_guest: bool
    secret_seen: bool
    packets: int


class _Stage:
    """The host's side of a rehearsal, and the owner's ways to it."""

    def __init__(self, host: SimulatedHost, guest: RehearsedGuest, limits: HostLimits) -> None:
        self.host = host
        self.guest = guest
        self.limits = limits
        self.monitor: QmpServer | None = None
        self.machine: QmpServer | None = None

    async def open_platform(self) -> Host:
        if self.monitor is None:
            self.monitor = await self.host.open_monitor()
        return await self._connect(self.monitor)

    async def open_guest(self) -> Host:
        # Before the VM is started there is only the monitor that the host opened first.
        server = self.machine or self.monitor
        if server is None:
            return await self.open_platform()
        return await self._connect(server)

    async def _connect(self, server: QmpServer) -> Host:
        return await QmpHost.connect(parse_host_url(server.url), self.limits)

    async def start(self, material: LaunchMaterial) -> None:
        """What a host's operator does with GODH, blob and policy."""
        guest, vcpus = self.guest, self.guest.vcpus
        order = StartOrder(
            firmware=guest.firmware,
            policy=guest.policy.policy.value,
            dh_cert=material.godh_base64.encode(),
            session=material.session_base64.encode(),
            kernel=guest.kernel,
            initrd=guest.initrd,
            command_line=guest.cmdline,
        )
        if vcpus is not None:
            order = _with_vcpus(order, vcpus)
        self.machine = await self.host.start_vm(order)

    async def more_certificates(
        self, chip_id: bytes | None, so_far: PlatformCertificates
    ) -> Sequence[CertificateFile]:
        """The operator's full export; the key service only if the CEK in that is unsigned."""
        files = [("the operator's export", self.host.exported_chain)]
        if chip_id is not None and not is_signed_cek(self.host.processor.keys.cek):
            signed = self.host.key_service_cek(chip_id)
            files += [] if signed is None else [("the key service's CEK", signed)]
        del so_far
        return files

    def secret_in_guest(self, secret: bytes) -> bool:
        """Look where a guest would."""
        return self.machine is not None and self.machine.machine.memory.holds(secret)


def _with_vcpus(order: StartOrder, vcpus: VcpuSetup) -> StartOrder:

    return replace(
        order,
        vcpus=vcpus.count,
        cpu_signature=vcpus.cpu.value,
        save_area_kind=SaveAreaKind(vcpus.generation.value),
        sev_features=vcpus.sev_features,
    )


def _plan(guest: RehearsedGuest, keys: PlatformKeys, secret: bytes) -> SevPlan:
    image = FirmwareImage.from_bytes(guest.firmware)
    boot = guest.direct_boot()
    hashes = None if boot is None else boot.hashes()
    digest = launch_digest(image, kernel_hashes=hashes, vcpus=guest.vcpus)
    order = SecretOrder("disk-passphrase", DISK_PASSPHRASE, lambda: Secret(secret), test=True)
    requirements = FirmwareRequirements(
        OLDEST_SAFE_API, guest.minimum_build, published_advisories()
    )
    return SevPlan(
        digests=(digest,),
        secret_area=image.require_secret_area(),
        policy=guest.policy,
        requirements=requirements,
        secrets=(order,),
        route=Route.GRUB if guest.kernel is None else Route.KERNEL,
        trusted_roots=(AmdCertificate.parse(keys.root.ark),),
        approved=(ApprovedContents(image, boot, guest.vcpus),),
    )


def _new_launch(plan: SevPlan, attack: str | None) -> Launch:
    launch = Launch("rehearsal", "sev", LAUNCH_STEPS, simulated=True)
    for name, value in {
        "contents": [digest.value.hex() for digest in plan.digests],
        "policy": plan.policy.policy.value,
        "certificates": "asked of the host",
        "secrets": [str(order.guid) for order in plan.secrets],
        "attack": attack,
    }.items():
        launch = launch.answer(name, value)
    return launch


async def rehearse(
    guest: RehearsedGuest,
    observe: Observer,
    *,
    attack: str | None = None,
    keys: PlatformKeys | None = None,
    limits: HostLimits = DEFAULT_LIMITS,
) -> RehearsalOutcome:
    """Play a launch from beginning to end; a refusal is an outcome, not an exception.

    ``attack``  how the host lies (UsageError ``unknown-attack``), None for an honest one
    ``keys``    the simulated machine; a new one takes a second or two to make
    ``limits``  how long the host may take over anything
    The secret is made up for the occasion: 33 random bytes in base64.
    """
    chosen = attack_named(attack) if attack is not None else None
    machine = keys if keys is not None else await asyncio.to_thread(PlatformKeys.generate)
    secret = base64.b64encode(os.urandom(33))
    plan = _plan(guest, machine, secret)
    async with SimulatedHost(machine, chosen) as host:
        stage = _Stage(host, guest, limits)
        world = SevWorld(
            open_platform=opener(stage.open_platform),
            open_guest=opener(stage.open_guest),
            random=os.urandom,
            roots=amd_roots(),
            advisories=published_advisories(),
            start=stage.start,
            more_certificates=stage.more_certificates,
        )
        driver = SevLaunch(_new_launch(plan, attack), plan, world, observe)
        error: WatchwordError | None = None
        try:
            await driver.run()
        except WatchwordError as problem:
            error = problem
        finally:
            driver.close()
        arrived = stage.secret_in_guest(secret)
        if error is None and not arrived:
            error = _not_arrived()
        return RehearsalOutcome(
            launch=driver.launch,
            error=error,
            secret_in_guest=arrived,
            secret_seen=secret in host.view.data,
            packets=len(host.processor.packets),
        )


def _not_arrived() -> HostError:
    """Only a rehearsal can look into the guest; in a real launch its disk stays locked."""
    return HostError(
        "secret-not-arrived",
        "The host said that it injected the secret, and did not",
        "The simulated guest's memory doesn't hold it. Of a real guest nobody can know this but"
        " the guest itself: its disk stays locked.",
        "Start a new launch, on another host. The secret itself was not disclosed.",
    )
