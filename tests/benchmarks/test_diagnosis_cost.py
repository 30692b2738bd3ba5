# SPDX-License-Identifier: Apache-2.0
"""What it costs to search for the reason of a mismatch, against as many bare HMACs."""

from __future__ import annotations

import hmac
import os

from watchword.core.secret import Secret
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.diagnosis import ApprovedContents, Question, diagnose
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import ReportedMeasurement
from watchword.core.simulator import build_firmware

from .ratio import Ratio


def test_each_variant_of_a_diagnosis_costs_a_few_hmacs(ratio: Ratio) -> None:
    image = FirmwareImage.from_bytes(build_firmware())
    question = Question(
        reported=ReportedMeasurement(os.urandom(32), os.urandom(16)),
        version=FirmwareVersion(1, 55, 24),
        policy=0x1100002F,
        tik=Secret(os.urandom(16)),
        approved=ApprovedContents(image, None, VcpuSetup(2, parse_cpu("EPYC-Milan"))),
        tek=Secret(os.urandom(16)),
    )
    tried = diagnose(question).variants_tried
    assert tried > 10_000
    key, message = os.urandom(16), os.urandom(56)

    def bare() -> None:
        for _ in range(tried):
            hmac.digest(key, message, "sha256")

    name = f"diagnosis of {tried} variants / as many bare HMACs"
    ratio(name, lambda: diagnose(question), bare, 10.0, rounds=3)
