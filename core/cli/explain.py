# SPDX-License-Identifier: Apache-2.0
"""Asks why a measurement does not match; imported only once one does not."""

from __future__ import annotations

import argparse

from ..errors import BadInput, VerificationRefused
from ..launch.mismatch import MISMATCH, explain_mismatch
from ..secret import Secret
from ..sev.diagnosis import ApprovedContents, DirectBoot, Question
from ..sev.firmware import FirmwareImage
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from ..sev.policy import Policy
from .digest_options import load_firmware
from .measurement_options import Expectation


def explain(
    refusal: VerificationRefused,
    arguments: argparse.Namespace,
    expectation: Expectation,
    asked: tuple[ReportedMeasurement, FirmwareVersion, Policy],
    keys: tuple[Secret | None, Secret],
) -> None:
    """Add a diagnosis to a refused measurement; ``keys`` are TEK, if at hand, and TIK."""
    if refusal.code != MISMATCH:
        return
    (reported, version, policy), (tek, tik) = asked, keys
    other = read_other_firmware(arguments)
    question = Question(
        reported, version, policy.value, tik, approved_contents(expectation), tek, other
    )
    explain_mismatch(refusal, [question])


def approved_contents(expectation: Expectation) -> ApprovedContents | bytes:
    """What was approved in as much detail as is known: files, or the launch digest alone."""
    loaded = expectation.loaded
    if loaded is None or loaded.firmware is None:
        return expectation.digest
    boot = None
    if loaded.kernel_hashes is not None:
        hashes = loaded.kernel_hashes
        text = loaded.cmdline if loaded.cmdline is not None else hashes.cmdline
        boot = DirectBoot(hashes.kernel, hashes.initrd, text)
    return ApprovedContents(loaded.firmware, boot, loaded.vcpus)


def read_other_firmware(arguments: argparse.Namespace) -> tuple[tuple[str, FirmwareImage], ...]:
    """The images of ``--also-firmware``; one that can't be read is left out of the search."""
    images = []
    for path in arguments.also_firmware:
        try:
            images.append((path, load_firmware(path, "--also-firmware")))
        except BadInput:
            continue
    return tuple(images)
