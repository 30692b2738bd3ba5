# SPDX-License-Identifier: Apache-2.0
"""VMs as a host really starts them, measured by the simulator's own code, and what was approved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from watchword.core.secret import Secret
from watchword.core.sev.cpu_models import CpuSignature
from watchword.core.sev.diagnosis import ApprovedContents, DirectBoot, Question
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import ReportedMeasurement
from watchword.core.simulator import FirmwareRecipe, SaveAreaKind, build_firmware
from watchword.core.simulator import FirmwareVersion as SimulatedVersion
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.launch_macs import measurement_mac
from watchword.core.simulator.save_area import BOOT_RESET_ADDRESS, save_area

TEK, TIK, NONCE = b"the TEK, 16 byte", b"the TIK, 16 byte", b"nonce of the psp"
CMDLINE = "console=ttyS0 root=/dev/sda1"
RESET = 0x80B004
FIRMWARE = build_firmware()
OTHER_FIRMWARE = build_firmware(FirmwareRecipe(seed="another"))
MILAN = CpuSignature(25, 1, 1)
ES = 4
DEFAULT = 0x1100002F
INIT2 = SaveAreaKind.INIT2


@dataclass(frozen=True)
class MeasuredVm:
    """A VM as it was started, right or wrong; ``raw_cmdline`` is hashed without more ado."""

    firmware: bytes = FIRMWARE
    kernel: bytes = b"a kernel"
    initrd: bytes = b"an initrd"
    cmdline: str = CMDLINE
    raw_cmdline: bytes | None = None
    kernel_hashes: bool = True
    vcpus: int = 2
    signature: int = 0xA00F11
    kind: SaveAreaKind = SaveAreaKind.LEGACY
    sev_features: int = 0
    policy: int = DEFAULT
    version: SimulatedVersion = field(default_factory=SimulatedVersion)
    key: bytes = TIK
    vcpus_measured: bool | None = None

    def digest(self) -> bytes:
        measured = hashlib.sha256(self.firmware)
        if self.kernel_hashes:
            measured.update(self._table())
        es = bool(self.policy & ES) if self.vcpus_measured is None else self.vcpus_measured
        settings = (self.signature, self.kind, self.sev_features)
        for number in range(self.vcpus if es else 0):
            measured.update(save_area(RESET if number else BOOT_RESET_ADDRESS, *settings))
        return measured.digest()

    def reported(self) -> ReportedMeasurement:
        value = measurement_mac(Secret(self.key), self.version, self.policy, self.digest(), NONCE)
        return ReportedMeasurement(value, NONCE)

    def _table(self) -> bytes:
        table = kernel_table(self.kernel, self.initrd, self.cmdline)
        if self.raw_cmdline is None:
            return table
        usual = hashlib.sha256(self.cmdline.encode() + b"\0").digest()
        return table.replace(usual, hashlib.sha256(self.raw_cmdline).digest())


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def image(data: bytes) -> FirmwareImage:
    return FirmwareImage.from_bytes(data)


BOOT = DirectBoot(sha256(b"a kernel"), sha256(b"an initrd"), CMDLINE)
VCPUS = VcpuSetup(2, MILAN)
APPROVED = ApprovedContents(image(FIRMWARE), BOOT, VCPUS)
PLAIN = replace(APPROVED, boot=None, vcpus=None)


def question(vm: MeasuredVm, approved: ApprovedContents | bytes = APPROVED, **changes) -> Question:
    """What an owner asks who approved what a MeasuredVm without arguments is."""
    asked = Question(
        reported=vm.reported(),
        version=FirmwareVersion(1, 55, 24),
        policy=DEFAULT,
        tik=Secret(TIK),
        approved=approved,
        tek=Secret(TEK),
        other_firmware=(("OVMF_CODE.fd", image(OTHER_FIRMWARE)),),
    )
    return replace(asked, **changes)


def codes(diagnosis):
    """The codes of the one explanation; an empty set if there is none."""
    assert len(diagnosis.matches) <= 1
    return {deviation.code for match in diagnosis.matches for deviation in match}
