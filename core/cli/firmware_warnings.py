# SPDX-License-Identifier: Apache-2.0
"""Says what stands against a firmware before a secret goes to a VM that runs it."""

from __future__ import annotations

import argparse

from ..files import read_file
from ..sev.firmware import FIRMWARE_LIMIT
from ..sev.firmware_inspection import ANY_LAUNCH, Weight, inspect_firmware
from .measurement_options import Expectation
from .output import Console

KERNEL_HASHES = "kernel-hashes"


def warn_of_firmware(
    arguments: argparse.Namespace, expectation: Expectation, console: Console
) -> None:
    """Note each NO-GO that can be seen in the image for the way in which it is used.

    The measurement says that the image runs, not that it is fit to be given a secret.
    """
    if arguments.firmware is None:
        return
    uses = {ANY_LAUNCH, *([KERNEL_HASHES] if expectation.direct_boot else [])}
    image = read_file(arguments.firmware, "--firmware", FIRMWARE_LIMIT)
    for finding in inspect_firmware(image, "--firmware").findings:
        if finding.weight is Weight.NO_GO and finding.use in uses:
            console.note(f"warning: firmware NO-GO: {finding.text}")
