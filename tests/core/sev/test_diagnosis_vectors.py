# SPDX-License-Identifier: Apache-2.0
"""What the peers' tools make of policies and versions is recognised in their own known answers."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct

import pytest

from watchword.core.secret import Secret
from watchword.core.sev.cpu_models import CpuSignature
from watchword.core.sev.diagnosis import ApprovedContents, Question, diagnose
from watchword.core.sev.digest import VcpuSetup
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import ReportedMeasurement

DIGEST, NONCE = bytes(range(32)), b"nonce of the psp"
MANGLERS = {"sevctl.json": "policy-nibbles-split", "sev-tool.json": "policy-cut-to-8-bits"}


def as_started(tik, policy):
    """What firmware reports of a VM that was started with this policy."""
    message = bytes((4, 1, 49, 6)) + struct.pack("<I", policy) + DIGEST + NONCE
    return ReportedMeasurement(hmac.digest(tik, message, hashlib.sha256), NONCE)


@pytest.mark.parametrize(("file", "code"), MANGLERS.items())
def test_policies_that_a_tool_mangled_are_explained_by_it(vectors, file, code):
    mangled = 0
    for row in json.loads((vectors / file).read_text())["sessions"]:
        if row["policy"] == row["policy_used_in_mac"]:
            continue
        mangled += 1
        tik = bytes.fromhex(row["tik"])
        asked = Question(
            reported=as_started(tik, row["policy_used_in_mac"]),
            version=FirmwareVersion(1, 49, 6),
            policy=row["policy"],
            tik=Secret(tik),
            approved=DIGEST,
        )
        diagnosis = diagnose(asked)
        assert code in {match[0].code for match in diagnosis.matches}
        # What gets lost is the minimum API; reserved bits protect nothing.
        assert diagnosis.alarm == (row["policy"] > 0xFFFF)
        assert all(len(match) == 1 for match in diagnosis.matches)
    assert mangled >= 4


def test_measurements_of_api_before_0_17_are_recognised(vectors):
    rows = json.loads((vectors / "sev-tool.json").read_text())["measurements"]
    old = [row for row in rows if row["form"].startswith("pre-0.17")]
    assert old
    for row in old:
        nonce = bytes.fromhex(row["nonce"])
        asked = Question(
            reported=ReportedMeasurement(bytes.fromhex(row["expected"]), nonce),
            version=FirmwareVersion(row["api_major"], row["api_minor"], row["build_id"]),
            policy=row["policy"],
            tik=Secret(bytes.fromhex(row["tik"])),
            approved=bytes.fromhex(row["launch_digest"]),
        )
        ((deviation,),) = diagnose(asked).matches
        assert deviation.code == "api-before-0.17"
        assert deviation.alarm


def test_a_peers_measurement_of_sev_es_is_explained_from_the_files(vectors):
    known = json.loads((vectors / "sevctl.json").read_text())
    rows = [
        row
        for row in known["measurements"]
        if row["vmsa"] and row["kernel"] is None and row["firmware"].startswith("inputs/")
    ]
    assert rows
    tik = (vectors / known["tik"]).read_bytes()
    for row in rows:
        image = FirmwareImage.from_bytes((vectors / row["firmware"]).read_bytes())
        wrong = VcpuSetup(row["num_cpus"] + 1, CpuSignature(**row["cpu"]))
        asked = Question(
            reported=ReportedMeasurement.from_base64(row["expected_b64"]),
            version=FirmwareVersion(row["api_major"], row["api_minor"], row["build_id"]),
            policy=row["policy"],
            tik=Secret(tik),
            approved=ApprovedContents(image, vcpus=wrong),
        )
        ((deviation,),) = diagnose(asked).matches
        assert deviation.code == "vcpu-count"
        assert deviation.text.startswith(f"The VM has {row['num_cpus']} vCPU")
