# SPDX-License-Identifier: Apache-2.0
"""Which sizes a firmware image can have; all that a plain launch digest must know of it."""

from __future__ import annotations

from ..errors import BadInput

# QEMU maps at most 8 MiB of flash unless told otherwise; real images have 2 to 16.
FIRMWARE_LIMIT = 64 << 20
# Flash sectors have 4 KiB and -bios images come in 64 KiB: QEMU refuses other sizes.
# Source: QEMU hw/i386/pc_sysfw.c (pc_system_flash_map), hw/i386/x86-common.c.
FIRMWARE_GRANULE = 4096


def check_image_size(size: int, field: str) -> None:
    """Raise BadInput ``firmware-size`` for a size in bytes that QEMU would refuse."""
    if size == 0:
        raise bad_size(field, "It is empty.")
    if size % FIRMWARE_GRANULE:
        raise bad_size(
            field, f"It has {size} bytes, no multiple of {FIRMWARE_GRANULE}: QEMU refuses that."
        )


def bad_size(field: str, message: str) -> BadInput:
    """The error for an image of a size that can't be."""
    return BadInput(
        "firmware-size",
        field,
        message,
        "The file is cut short, or it is no firmware image: name the OVMF file that QEMU maps.",
    )
