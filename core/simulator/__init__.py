# SPDX-License-Identifier: Apache-2.0
"""A software secure processor and the QMP server in front of it."""

from __future__ import annotations

from .attack import Attack, HostView
from .attacks import ATTACKS, GUEST_ATTACKS, attack_named
from .firmware_builder import FirmwareRecipe, build_firmware
from .firmware_footer import MemoryArea
from .firmware_status import FirmwareStatus
from .guest_attacks import OwnDisk
from .host import SimulatedHost
from .launch_macs import FirmwareVersion
from .listener import Address
from .platform_keys import PlatformKeys, SigningRoot
from .qemu_host import QemuHost
from .qemu_server import QemuMachine
from .qmp_server import QmpServer
from .save_area import SaveAreaKind, cpu_signature
from .secure_processor import SecureProcessor
from .state_directory import load_platform, open_platform, save_platform
from .virtual_machine import Disk, StartFailure, StartOrder, VirtualMachine

__all__ = [
    "ATTACKS",
    "GUEST_ATTACKS",
    "Address",
    "Attack",
    "Disk",
    "FirmwareRecipe",
    "FirmwareStatus",
    "FirmwareVersion",
    "HostView",
    "MemoryArea",
    "OwnDisk",
    "PlatformKeys",
    "QemuHost",
    "QemuMachine",
    "QmpServer",
    "SaveAreaKind",
    "SecureProcessor",
    "SigningRoot",
    "SimulatedHost",
    "StartFailure",
    "StartOrder",
    "VirtualMachine",
    "attack_named",
    "build_firmware",
    "cpu_signature",
    "load_platform",
    "open_platform",
    "save_platform",
]
