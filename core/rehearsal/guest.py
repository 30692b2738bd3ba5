# SPDX-License-Identifier: Apache-2.0
"""What the owner approves for a rehearsal: the guest, and the launch's plan made from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from ..amd.advisories import published_advisories
from ..launch.engine import Launch
from ..launch.sev_plan import SecretOrder, SevPlan
from ..launch.sev_steps import LAUNCH_STEPS
from ..secret import Secret
from ..sev.certificates import AmdCertificate
from ..sev.diagnosis import ApprovedContents, DirectBoot
from ..sev.digest import LaunchDigest, VcpuSetup, launch_digest
from ..sev.firmware import FirmwareImage
from ..sev.firmware_approval import ApprovedFirmware
from ..sev.kernel_hashes import hash_chunks
from ..sev.measurement import FirmwareRequirements
from ..sev.policy import DEFAULT_POLICY, OLDEST_SAFE_API, ApprovedPolicy, approve_policy
from ..sev.secret_table import DISK_PASSPHRASE, Route
from ..simulator import build_firmware

_NOT_JUDGED: Final = ApprovedFirmware()


@dataclass(frozen=True, slots=True)
class RehearsedGuest:
    """What the owner approves for the rehearsal; the host may start something else.

    ``firmware``  the image's bytes; a simulated one by default
    ``vcpus``     None for plain SEV
    ``approved_firmware``  what is to be told of the image; the simulated one is no firmware
    ``secrets``   what to hand over; None: one that is made up for the occasion
    ``route``     who reads the disk passphrase; None: as what is measured suggests
    """

    firmware: bytes = field(default_factory=build_firmware, repr=False)
    kernel: bytes | None = field(default=None, repr=False)
    initrd: bytes | None = field(default=None, repr=False)
    cmdline: str | None = None
    vcpus: VcpuSetup | None = None
    policy: ApprovedPolicy = field(default_factory=lambda: approve_policy(DEFAULT_POLICY))
    approved_firmware: ApprovedFirmware = _NOT_JUDGED
    minimum_build: int = 0
    secrets: tuple[SecretOrder, ...] | None = field(default=None, repr=False)
    route: Route | None = None

    def direct_boot(self) -> DirectBoot | None:
        """The measured kernel, initrd and command line, where there is a kernel."""
        if self.kernel is None:
            return None
        return DirectBoot(
            kernel=hash_chunks((self.kernel,)),
            initrd=hash_chunks((self.initrd or b"",)),
            cmdline=self.cmdline,
        )

    def launch_digest(self) -> LaunchDigest:
        """What the secure processor is to measure. Raises as GuestContents."""
        boot = self.direct_boot()
        hashes = None if boot is None else boot.hashes()
        image = FirmwareImage.from_bytes(self.firmware)
        return launch_digest(image, kernel_hashes=hashes, vcpus=self.vcpus)

    def new_launch(self, attack: str | None) -> Launch:
        """A launch of this guest with all answers given, simulated."""
        launch = Launch("rehearsal", "sev", LAUNCH_STEPS, simulated=True)
        return self.answer(launch).answer("attack", attack)

    def answer(self, launch: Launch) -> Launch:
        """The launch with this guest's answers; what rests on another's turns stale."""
        secrets: list[dict[str, object]] = [
            {"name": name, "guid": str(guid), "test": True} for name, guid in self._named_secrets()
        ]
        for name, value in {
            "contents": [self.launch_digest().value.hex()],
            "policy": self.policy.policy.value,
            "certificates": "asked of the host",
            "secrets": secrets,
        }.items():
            launch = launch.answer(name, value)
        return launch

    def plan(self, root: bytes, secret: bytes) -> SevPlan:
        """The owner's decisions: ``root`` is the simulated ARK that is trusted by name."""
        image = FirmwareImage.from_bytes(self.firmware)
        made_up = SecretOrder("disk-passphrase", DISK_PASSPHRASE, lambda: Secret(secret))
        orders = (made_up,) if self.secrets is None else self.secrets
        requirements = FirmwareRequirements(
            OLDEST_SAFE_API, self.minimum_build, published_advisories()
        )
        return SevPlan(
            digests=(self.launch_digest(),),
            secret_area=image.require_secret_area(),
            policy=self.policy,
            firmware=self.approved_firmware,
            requirements=requirements,
            # Of test, since the platform is not proven: it is this very process.
            secrets=tuple(replace(order, test=True) for order in orders),
            route=self.route or (Route.GRUB if self.kernel is None else Route.KERNEL),
            trusted_roots=(AmdCertificate.parse(root),),
            approved=(ApprovedContents(image, self.direct_boot(), self.vcpus),),
        )

    def _named_secrets(self) -> list[tuple[str, UUID]]:
        if self.secrets is None:
            return [("disk-passphrase", DISK_PASSPHRASE)]
        return [(order.name, order.guid) for order in self.secrets]
