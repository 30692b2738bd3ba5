# SPDX-License-Identifier: Apache-2.0
"""Judges the firmware that a command is given, before a secret goes to a VM that runs it."""

from __future__ import annotations

import argparse

from ..errors import BadInput
from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_approval import ApprovedFirmware, approve_firmware
from ..sev.firmware_inspection import inspect_firmware
from .measurement_options import Expectation

_UNSEEN = (
    "Whether the firmware is fit to be given a secret can't be seen: there is no image of it"
    " here (--firmware)."
)


def add_firmware_waiver(parser: argparse.ArgumentParser) -> None:
    """``--waive-firmware``."""
    parser.add_argument(
        "--waive-firmware",
        metavar="REASON",
        help="accept firmware that is a NO-GO, for this reason",
    )


def approve_named_firmware(
    arguments: argparse.Namespace, expectation: Expectation
) -> ApprovedFirmware:
    """The firmware of ``--firmware``, if nothing forbids to give it a secret.

    The measurement says that the image runs, not that it is fit for that. Raises
    VerificationRefused ``firmware-refused`` for a NO-GO without ``--waive-firmware``, and
    BadInput ``firmware-changed`` for another image than the one that is expected.
    """
    if arguments.firmware is None:
        return ApprovedFirmware(None, (_UNSEEN,))
    data = read_file(arguments.firmware, "--firmware", FIRMWARE_LIMIT)
    inspection = inspect_firmware(data, "--firmware")
    expected = None if expectation.loaded is None else expectation.loaded.firmware
    if expected is None or expected.sha256 != inspection.image.sha256:
        raise _changed()
    return approve_firmware(
        [("--firmware", inspection.findings)],
        kernel_hashes=expectation.direct_boot,
        waiver=arguments.waive_firmware,
    )


def _changed() -> BadInput:
    return BadInput(
        "firmware-changed",
        "--firmware",
        "It changed while it was read: the image that is expected is another one.",
        "Try again, with a file that nobody writes.",
    )
