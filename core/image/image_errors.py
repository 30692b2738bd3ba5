# SPDX-License-Identifier: Apache-2.0
"""The errors of looking into an image: what is wrong with its bytes, or with its use."""

from __future__ import annotations

from ..errors import BadInput

IMAGE = "the image"
"""How an image is called as the field of an error."""


def damaged_table(what: str) -> BadInput:
    """BadInput ``image-bad-layout``: the partition table makes no sense."""
    return BadInput(
        "image-bad-layout",
        IMAGE,
        f"Its partition table is damaged: {what}.",
        "Take another copy of the image, or build it again.",
    )


def damaged_luks(what: str) -> BadInput:
    """BadInput ``image-bad-luks``: a LUKS header makes no sense."""
    return BadInput(
        "image-bad-luks",
        IMAGE,
        f"Its LUKS header is damaged: {what}.",
        "Take another copy of the image, or put back a copy of the header that you have kept.",
    )


def no_luks() -> BadInput:
    """BadInput ``image-not-encrypted``: no partition holds a LUKS header."""
    return BadInput(
        "image-not-encrypted",
        IMAGE,
        "No partition of it, nor the whole of it, begins with a LUKS header: it is not encrypted"
        " in a way that a guest could open.",
        "See `watchword image inspect FILE`; build an encrypted one with `watchword image build`.",
    )


def several_luks(count: int) -> BadInput:
    """BadInput ``image-several-roots``: more than one encrypted partition."""
    return BadInput(
        "image-several-roots",
        IMAGE,
        f"It has {count} encrypted partitions, and nothing says which one the key belongs to.",
        "Name an image with one encrypted partition.",
    )


def too_short() -> BadInput:
    """BadInput ``image-too-short``: something lies beyond the image's end."""
    return BadInput(
        "image-too-short",
        IMAGE,
        "It ends before what its own headers speak of: it was not copied to the end.",
        "Copy the image again, and compare the sizes.",
    )


def in_use(path: str) -> BadInput:
    """BadInput ``image-in-use``: a QEMU, or another program, holds its locks."""
    return BadInput(
        "image-in-use",
        IMAGE,
        f"Another program uses {path}: a QEMU that runs it, or a qemu-img that copies it.",
        "Shut the guest down, or wait until the copy is done, and try again.",
        {"path": path},
    )
