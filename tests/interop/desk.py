# SPDX-License-Identifier: Apache-2.0
"""An owner's desk in a folder: files, launch blobs, and VMs started with them by the simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from watchword.core.simulator import (
    FirmwareRecipe,
    FirmwareVersion,
    MemoryArea,
    PlatformKeys,
    SaveAreaKind,
    SecureProcessor,
    StartOrder,
    VirtualMachine,
    build_firmware,
    save_platform,
)

from .claims import Claim, Guest
from .command_line import watchword

REASON = "an interoperability test: the peer has no other policies"
CURRENT = FirmwareVersion(1, 55, 24)
# Names of firmware that differs in what tests vary.
RECIPES = {
    "firmware": FirmwareRecipe(),
    "other-firmware": FirmwareRecipe(seed="other"),
    "other-reset": FirmwareRecipe(reset_address=0x808004),
    "no-hash-area": FirmwareRecipe(hash_area=None),
    "no-secret-area": FirmwareRecipe(secret_area=None),
    "no-table": FirmwareRecipe(footer=False),
    "large-area": FirmwareRecipe(
        secret_area=MemoryArea(0x810000, 0x8000), hash_area=MemoryArea(0x818000, 0x400)
    ),
}
BOOT_FILES = {
    "kernel": b"kernel" * 2000,
    "other-kernel": b"Kernel" * 2000,
    "initrd": b"initrd" * 700,
    "other-initrd": b"Initrd" * 700,
    "empty": b"",
}


@dataclass(frozen=True, slots=True)
class Blob:
    """What ``session create`` made: the host's two files, and the folder with the keys."""

    godh: bytes = field(repr=False)
    session: bytes = field(repr=False)
    keys: Path


class Desk:
    """Files, keys and VMs of tests; ``close`` ends the VMs."""

    def __init__(self, folder: Path, platform: PlatformKeys) -> None:
        self.files = folder / "files"
        self._folder = folder
        self._platform = platform
        self._blobs: dict[int, Blob] = {}
        self._machines: list[VirtualMachine] = []
        self.files.mkdir(parents=True)
        save_platform(platform, folder / "platform")
        for name, recipe in RECIPES.items():
            (self.files / name).write_bytes(build_firmware(recipe))
        for name, content in BOOT_FILES.items():
            (self.files / name).write_bytes(content)

    def take(self, path: Path) -> str:
        """Make a file from elsewhere one of the guest's files; its name there."""
        link = self.files / path.name
        if not link.exists():
            link.symlink_to(path)
        return link.name

    def blob(self, policy: int) -> Blob:
        """A launch blob for a policy, the same one each time: one starts any number of VMs."""
        if policy not in self._blobs:
            self._blobs[policy] = self._make_blob(policy)
        return self._blobs[policy]

    def start(
        self, guest: Guest, policy: int, version: FirmwareVersion = CURRENT
    ) -> VirtualMachine:
        """A VM, started as QEMU would, and measured by a processor with that firmware."""
        blob = self.blob(policy)
        order = StartOrder(
            firmware=self._read(guest.firmware) or b"",
            policy=policy,
            dh_cert=blob.godh,
            session=blob.session,
            kernel=self._read(guest.kernel),
            initrd=self._read(guest.initrd),
            command_line=guest.cmdline,
        )
        if guest.setup is not None:
            order = _with_vcpus(order, guest)
        machine = VirtualMachine(order, SecureProcessor(self._platform, version))
        self._machines.append(machine)
        return machine

    def claim(self, machine: VirtualMachine, guest: Guest) -> Claim:
        """The true claim about a VM, by an owner who approved ``guest``."""
        version = machine.processor.version
        policy = machine.order.policy
        return Claim(
            guest=guest,
            policy=policy,
            api=version.api,
            build=version.build,
            reported=machine.measurement,
            keys=self.blob(policy).keys,
            files=self.files,
        )

    def close(self) -> None:
        """End all VMs."""
        for machine in self._machines:
            machine.shut_down()

    def _read(self, name: str | None) -> bytes | None:
        return None if name is None else (self.files / name).read_bytes()

    def _make_blob(self, policy: int) -> Blob:
        out, keys = self._folder / f"blob-{policy:x}", self._folder / f"keys-{policy:x}"
        watchword(
            *("session", "create", self._folder / "platform" / "full_chain.cert"),
            *("--trust-root", self._folder / "platform" / "ark.cert"),
            *("--policy", hex(policy), "--waive-policy", REASON),
            *("--out", out, "--export-keys", keys, "--name", "vm"),
        ).good()
        for name in ("tek", "tik"):
            (keys / f"vm_{name}.bin").rename(keys / f"{name}.bin")
        files = [(out / f"vm_{name}.b64").read_bytes() for name in ("godh", "session")]
        return Blob(*files, keys)


def _with_vcpus(order: StartOrder, guest: Guest) -> StartOrder:
    setup = guest.setup
    assert setup is not None
    return replace(
        order,
        vcpus=setup.count,
        cpu_signature=setup.cpu.value,
        save_area_kind=SaveAreaKind(setup.generation.value),
        sev_features=setup.sev_features,
    )
