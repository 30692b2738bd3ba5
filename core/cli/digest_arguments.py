# SPDX-License-Identifier: Apache-2.0
"""The options that say what the guest loads; what comes of them is ``digest_options``'s."""

from __future__ import annotations

import argparse

from .command import whole_number

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
