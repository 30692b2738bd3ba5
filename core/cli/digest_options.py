# SPDX-License-Identifier: Apache-2.0
"""The options that say what the guest loads, and the launch digest that comes of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..errors import UsageError
from ..files import BOOT_FILE_LIMIT, read_chunks
from ..frozen import dataclass
from ..sev.cpu_models import parse_cpu
from ..sev.digest import (
    LaunchDigest,
    VcpuSetup,
    launch_digest,
    launch_digest_from_firmware_hash,
)
from ..sev.firmware import FIRMWARE_LIMIT, FirmwareImage
from ..sev.kernel_hashes import KernelHashes, hash_chunks, hash_cmdline
from ..sev.policy import Policy
from ..sev.vmsa import VmsaGeneration
from .command import whole_number
from .hex_text import parse_hex

DIGEST_OPTIONS = (
    "firmware",
    "firmware_sha256",
    "kernel",
    "kernel_sha256",
    "initrd",
    "initrd_sha256",
    "cmdline",
    "cmdline_sha256",
    "vcpus",
    "cpu",
    "vmsa",
    "sev_features",
)
"""What ``add_digest_options`` adds, as the parsed arguments name it; None where not given."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A launch digest, and what it was made of, to explain a mismatch with.

    ``firmware``  None where only its hash was given
    ``cmdline``   the text, where not only its hash was given
    """

    digest: LaunchDigest
    firmware: FirmwareImage | None
    kernel_hashes: KernelHashes | None = None
    cmdline: str | None = None
    vcpus: VcpuSetup | None = None

    @property
    def direct_boot(self) -> bool:
        """Whether a kernel is measured, so that the kernel route is taken."""
        return self.kernel_hashes is not None

    def require_secret_area(self) -> int | None:
        """Bytes of the firmware's secret area; None where only its hash is known."""
        return self.firmware.require_secret_area() if self.firmware is not None else None


def add_digest_options(parser: argparse.ArgumentParser) -> None:
    """Firmware, kernel, initrd, command line (each as a file or a hash) and vCPUs."""
    group = parser.add_argument_group("what the guest loads")
    group.add_argument("--firmware", metavar="FILE", help="the firmware image as the host maps it")
    group.add_argument(
        "--firmware-sha256",
        metavar="HEX",
        help="its SHA-256 instead; only for plain SEV without --kernel",
    )
    group.add_argument("--kernel", metavar="FILE", help="kernel, where kernel-hashes=on is used")
    group.add_argument("--initrd", metavar="FILE", help="initrd")
    group.add_argument(
        "--cmdline", metavar="TEXT", help="kernel command line, exactly as -append gets it"
    )
    for name in ("kernel", "initrd"):
        group.add_argument(f"--{name}-sha256", metavar="HEX", help=f"the {name}'s SHA-256 instead")
    group.add_argument(
        "--cmdline-sha256",
        metavar="HEX",
        help="SHA-256 of the command line and a NUL byte, instead",
    )
    group.add_argument("--vcpus", type=whole_number, metavar="N", help="number of vCPUs: SEV-ES")
    group.add_argument(
        "--cpu", metavar="MODEL", help="QEMU CPU model, or FAMILY/MODEL/STEPPING such as 25/1/1"
    )
    group.add_argument(
        "--vmsa",
        metavar="GENERATION",
        help="legacy (QEMU's default, and ours) or init2 (KVM_SEV_INIT2)",
    )
    group.add_argument("--sev-features", metavar="HEX", help="SEV_FEATURES of the vCPUs, default 0")


def load_digest(arguments: argparse.Namespace, policy: Policy | None = None) -> Loaded:
    """The launch digest of what the options name.

    With ``policy`` the vCPUs must go with its ES bit. Raises UsageError for options
    that contradict each other, BadInput for files that can't be used.
    """
    vcpus = _vcpus(arguments, policy)
    kernel_hashes = _kernel_hashes(arguments)
    _only_one(arguments, "firmware", "firmware_sha256")
    if arguments.firmware_sha256 is not None:
        value = parse_hex(arguments.firmware_sha256, "--firmware-sha256", 32)
        digest = launch_digest_from_firmware_hash(value, kernel_hashes=kernel_hashes, vcpus=vcpus)
        return Loaded(digest, None)
    if arguments.firmware is None:
        raise UsageError(
            "no-firmware",
            "The firmware is missing",
            "A launch digest is made from the firmware image, first of all.",
            "Give --firmware FILE, the very file that the host maps.",
        )
    image = load_firmware(arguments.firmware)
    digest = launch_digest(image, kernel_hashes=kernel_hashes, vcpus=vcpus)
    return Loaded(digest, image, kernel_hashes, arguments.cmdline, vcpus)


def load_firmware(path: str, field: str = "--firmware") -> FirmwareImage:
    """The firmware image in a file."""
    return FirmwareImage.from_chunks(read_chunks(path, field, limit=FIRMWARE_LIMIT), field)


def _boot_chunks(path: str, field: str) -> Iterator[bytes]:
    return read_chunks(path, field, limit=BOOT_FILE_LIMIT, allow_empty=field == "--initrd")


def _kernel_hashes(arguments: argparse.Namespace) -> KernelHashes | None:
    for name in ("kernel", "initrd", "cmdline"):
        _only_one(arguments, name, f"{name}_sha256")
    kernel = _file_hash(arguments, "kernel")
    initrd = _file_hash(arguments, "initrd")
    cmdline = _cmdline_hash(arguments)
    if kernel is None:
        if initrd is not None or cmdline is not None:
            raise UsageError(
                "kernel-missing",
                "There is an initrd or command line, but no kernel",
                "QEMU measures the three together, and only where it is given a kernel.",
                "Add --kernel FILE or --kernel-sha256 HEX, or leave the others out.",
            )
        return None
    return KernelHashes(
        kernel=kernel,
        initrd=initrd if initrd is not None else KernelHashes.NO_INITRD,
        cmdline=cmdline if cmdline is not None else hash_cmdline(None),
    )


def _file_hash(arguments: argparse.Namespace, name: str) -> bytes | None:
    path, digits = getattr(arguments, name), getattr(arguments, f"{name}_sha256")
    if path is not None:
        return hash_chunks(_boot_chunks(path, f"--{name}"))
    return None if digits is None else parse_hex(digits, f"--{name}-sha256", 32)


def _cmdline_hash(arguments: argparse.Namespace) -> bytes | None:
    if arguments.cmdline is not None:
        return hash_cmdline(arguments.cmdline)
    digits = arguments.cmdline_sha256
    return None if digits is None else parse_hex(digits, "--cmdline-sha256", 32)


def _only_one(arguments: argparse.Namespace, first: str, second: str) -> None:
    if getattr(arguments, first) is not None and getattr(arguments, second) is not None:
        names = [f"--{name.replace('_', '-')}" for name in (first, second)]
        raise UsageError(
            "contradicting-options",
            f"{names[0]} and {names[1]} say the same thing twice",
            "Which of them would count can't be told.",
            "Give one of them.",
        )


def _vcpus(arguments: argparse.Namespace, policy: Policy | None) -> VcpuSetup | None:
    if policy is not None and policy.needs_es != (arguments.vcpus is not None):
        raise _es_mismatch(policy)
    if arguments.vcpus is None:
        _refuse_without_vcpus(arguments)
        return None
    if arguments.cpu is None:
        raise UsageError(
            "no-cpu",
            "The CPU model is missing",
            "SEV-ES measures the vCPUs' first state, which holds the CPU's signature.",
            "Give --cpu with QEMU's model (EPYC-Milan) or the host's family/model/stepping.",
        )
    return VcpuSetup(
        arguments.vcpus,
        parse_cpu(arguments.cpu),
        VmsaGeneration.parse(arguments.vmsa or VmsaGeneration.LEGACY.value),
        _sev_features("0" if arguments.sev_features is None else arguments.sev_features),
    )


def _refuse_without_vcpus(arguments: argparse.Namespace) -> None:
    """Whoever describes vCPUs means SEV-ES: plain SEV's digest would be of another guest."""
    for name in ("cpu", "vmsa", "sev_features"):
        if getattr(arguments, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                "no-vcpus",
                f"{option} is given, but no number of vCPUs",
                "Without vCPUs this is plain SEV, which doesn't measure them.",
                f"Add --vcpus N for SEV-ES, or leave {option} out.",
            )


def _sev_features(text: str) -> int:
    digits = text.strip().lower().removeprefix("0x")
    if digits and len(digits) <= 16 and all(c in "0123456789abcdef" for c in digits):
        return int(digits, 16)
    raise UsageError(
        "bad-hex",
        "Can't read --sev-features",
        "It takes up to 16 hex digits.",
        "Leave it out unless the VMM was told to set features.",
    )


def _es_mismatch(policy: Policy) -> UsageError:
    if policy.needs_es:
        return UsageError(
            "es-without-vcpus",
            "The policy asks for SEV-ES, but no vCPUs are given",
            "Under SEV-ES the vCPUs' first state is part of the launch digest.",
            "Add --vcpus N --cpu MODEL as the VM is started with, or use a policy without ES.",
        )
    return UsageError(
        "vcpus-without-es",
        "vCPUs are given, but the policy has no ES bit",
        "Under plain SEV the vCPUs are not part of the launch digest.",
        "Leave --vcpus out, or use a policy with ES.",
    )
