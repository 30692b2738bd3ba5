# SPDX-License-Identifier: Apache-2.0
"""Reads what a simulated VM is started with, for ``rehearse`` and ``simulate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UsageError
from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_approval import ApprovedFirmware, approve_firmware
from ..sev.firmware_inspection import inspect_firmware
from ..simulator import build_firmware

LARGEST_BOOT_FILE = 1 << 30


def add_boot_options(parser: argparse.ArgumentParser) -> None:
    """Firmware, kernel, initrd and command line as files and text."""
    parser.add_argument(
        "--firmware", metavar="FILE", help="firmware image; a small simulated one by default"
    )
    parser.add_argument("--kernel", metavar="FILE", help="kernel, measured (kernel-hashes=on)")
    parser.add_argument("--initrd", metavar="FILE", help="initrd")
    parser.add_argument("--cmdline", metavar="TEXT", help="kernel command line")


def read_firmware(arguments: argparse.Namespace) -> bytes:
    """The image's bytes, or the simulated default."""
    if arguments.firmware is None:
        return build_firmware()
    return read_file(arguments.firmware, "--firmware", FIRMWARE_LIMIT)


def read_boot_file(arguments: argparse.Namespace, name: str) -> bytes | None:
    """The kernel's or the initrd's bytes; UsageError for an initrd without a kernel."""
    path = getattr(arguments, name)
    if arguments.kernel is None and (arguments.initrd or arguments.cmdline is not None):
        raise UsageError(
            "kernel-missing",
            "There is an initrd or command line, but no kernel",
            "QEMU loads them only together with a kernel.",
            "Add --kernel FILE, or leave the others out.",
        )
    return None if path is None else read_file(path, f"--{name}", LARGEST_BOOT_FILE)


def approved_image(
    arguments: argparse.Namespace, firmware: bytes, kernel: bytes | None
) -> ApprovedFirmware:
    """An image of the owner's own is judged as in a launch; the simulated one is no firmware."""
    if arguments.firmware is None and getattr(arguments, "guest", None) is None:
        return ApprovedFirmware()
    return approve_firmware(
        [("--firmware", inspect_firmware(firmware, "--firmware").findings)],
        kernel_hashes=kernel is not None,
        waiver=arguments.waive_firmware,
    )


def socket_address(text: str) -> Path | tuple[str, int]:
    """Where a simulator listens: a path, or HOST:PORT (IPv6 in brackets)."""
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) <= 5 and "/" not in text:
        return host.strip("[]"), int(port)
    return Path(text).absolute()
