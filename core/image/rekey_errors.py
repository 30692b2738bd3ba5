# SPDX-License-Identifier: Apache-2.0
"""The errors of replacing an image's key."""

from __future__ import annotations

from ..errors import BadInput, VerificationRefused
from .image_errors import IMAGE


def wrong_key(entry: str) -> VerificationRefused:
    """VerificationRefused ``image-key-wrong``."""
    return VerificationRefused(
        "image-key-wrong",
        "The image does not open",
        f"No key slot of it opens with {entry}, so its key can't be replaced.",
        "Check which entry belongs to it, and whether it is an older copy: `watchword image"
        " inspect FILE`. Nothing was changed.",
        {"entries": [entry]},
    )


def recovery_is_boot_key(entry: str, recovery: str) -> BadInput:
    """BadInput ``image-recovery-is-boot-key``."""
    return BadInput(
        "image-recovery-is-boot-key",
        "--recovery",
        f"{recovery} opens the same key slot as {entry}: it would be removed with it.",
        "Name the recovery key's own entry. Nothing was changed.",
    )


def elsewhere(entry: str) -> BadInput:
    """BadInput ``image-rekey-elsewhere``: an interrupted rekey was of another image."""
    return BadInput(
        "image-rekey-elsewhere",
        IMAGE,
        f"A rekey of {entry} was interrupted on another image: the key that the vault has now"
        " does not open this one.",
        "Finish it first, on the image that it was begun with; this one is an older copy or"
        " another image.",
    )


def not_kept() -> BadInput:
    """BadInput ``image-not-written``: the disk did not keep what was written."""
    return BadInput(
        "image-not-written",
        IMAGE,
        "After it was written, its keys did not open it as they should.",
        "Check the disk that the image is on, and run `image rekey` again: the vault still has"
        " both keys.",
    )
