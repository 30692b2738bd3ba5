# SPDX-License-Identifier: Apache-2.0
"""Whatever single bit of a launch is changed: refused, or said to be of no consequence."""

from __future__ import annotations

import base64
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.errors import HostError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain import PlatformCertificates, examine_chain
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup, launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    FirmwareRequirements,
    ReportedMeasurement,
    check_measurement,
    verify_measurement,
)
from watchword.core.sev.platform import verify_chain
from watchword.core.sev.policy import DEFAULT_POLICY, Policy, approve_policy
from watchword.core.sev.secret_packet import seal
from watchword.core.sev.secret_table import DISK_PASSPHRASE, TestSecretEntry
from watchword.core.sev.session import SessionRandomness, create_session
from watchword.core.simulator import (
    FirmwareStatus,
    PlatformKeys,
    SecureProcessor,
    StartFailure,
    StartOrder,
    VirtualMachine,
    build_firmware,
)

ROLES = ("pdh", "pek", "oca", "cek", "ask", "ark")
FIRMWARE = build_firmware()
VCPUS = VcpuSetup(2, parse_cpu("EPYC-Milan"))
DIGEST = launch_digest(FirmwareImage.from_bytes(FIRMWARE), vcpus=VCPUS).value
REQUIREMENTS = FirmwareRequirements((0, 17), 0, published_advisories())
SECRET = b"correct horse battery staple\0"


@pytest.fixture(scope="module")
def keys() -> PlatformKeys:
    return PlatformKeys.generate(2048)


def certificates_of(keys: PlatformKeys) -> PlatformCertificates:
    return PlatformCertificates(
        pdh=keys.pdh,
        pek=keys.pek,
        oca=keys.oca,
        cek=keys.cek,
        ask=keys.root.ask,
        ark=keys.root.ark,
    )


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class Launch:
    """A launch on the simulated silicon, up to the measurement, ready to be tampered with."""

    def __init__(self, keys: PlatformKeys) -> None:
        self.processor = SecureProcessor(keys)
        root = AmdCertificate.parse(keys.root.ark)
        platform = verify_chain(
            certificates_of(keys), amd_roots(), published_advisories(), trusted_roots=[root]
        )
        randomness = SessionRandomness.draw(os.urandom)
        self.session, self.material = create_session(
            platform, approve_policy(DEFAULT_POLICY), randomness
        )

    def start(self, **changes: object) -> VirtualMachine:
        order = StartOrder(
            firmware=FIRMWARE,
            policy=DEFAULT_POLICY.value,
            dh_cert=self.material.godh_base64.encode(),
            session=self.material.session_base64.encode(),
            vcpus=VCPUS.count,
            cpu_signature=VCPUS.cpu.value,
        )
        return VirtualMachine(replace(order, **changes), self.processor)  # type: ignore[arg-type]

    def verify(self, machine: VirtualMachine):
        version = self.processor.version
        return verify_measurement(
            self.session,
            ReportedMeasurement.from_base64(machine.measurement),
            FirmwareVersion(version.api_major, version.api_minor, version.build),
            [DIGEST],
            REQUIREMENTS,
        )


@pytest.fixture(scope="module")
def launch(keys: PlatformKeys) -> Launch:
    return Launch(keys)


@pytest.mark.parametrize("role", ROLES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_bit_of_a_certificate(keys: PlatformKeys, role: str, data: st.DataObject) -> None:
    honest = certificates_of(keys)
    given_bytes: bytes = getattr(honest, role)
    bit = data.draw(st.integers(0, 8 * len(given_bytes) - 1))
    changed = replace(honest, **{role: flipped(given_bytes, bit)})
    root = AmdCertificate.parse(keys.root.ark)
    report = examine_chain(changed, amd_roots(), trusted_roots=[root])
    if report.ok:
        assert any("don't belong" in warning for warning in report.warnings), (role, bit // 8)


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 8 * 128 - 1))
def test_a_bit_of_the_launch_blob(launch: Launch, bit: int) -> None:
    blob = flipped(launch.material.blob.build(), bit)
    with pytest.raises(StartFailure) as failure:
        launch.start(session=base64.b64encode(blob))
    assert failure.value.fw_error is FirmwareStatus.BAD_MEASUREMENT


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 8 * 2084 - 1))
def test_a_bit_of_the_owners_one_time_certificate(launch: Launch, bit: int) -> None:
    changed = flipped(launch.material.godh.build(), bit)
    try:
        machine = launch.start(dh_cert=base64.b64encode(changed))
    except StartFailure:
        return
    # A processor may pass over bytes that it doesn't read: then the launch is the same one.
    assert launch.verify(machine).digest == DIGEST


@pytest.mark.parametrize(
    "changes",
    [
        {"firmware": flipped(FIRMWARE, 77)},
        {"vcpus": 3},
        {"cpu_signature": 0x800F12},
        {"sev_features": 0x20},
        {"kernel": b"kernel"},
    ],
)
def test_anything_else_that_is_loaded(launch: Launch, changes: dict[str, object]) -> None:
    machine = launch.start(**changes)
    with pytest.raises(VerificationRefused) as refusal:
        launch.verify(machine)
    assert refusal.value.code == "measurement-mismatch"


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 31))
def test_a_bit_of_the_policy(launch: Launch, bit: int) -> None:
    with pytest.raises(StartFailure):
        launch.start(policy=DEFAULT_POLICY.value ^ 1 << bit)


@settings(max_examples=60, deadline=None)
@given(
    what=st.sampled_from(["measurement", "nonce", "api_major", "api_minor", "build"]),
    data=st.data(),
)
def test_a_bit_of_what_the_host_reports(launch: Launch, what: str, data: st.DataObject) -> None:
    machine = launch.start()
    reported = ReportedMeasurement.from_base64(machine.measurement)
    number = launch.processor.version
    version = FirmwareVersion(number.api_major, number.api_minor, number.build)
    if what in ("measurement", "nonce"):
        value: bytes = getattr(reported, what)
        bit = data.draw(st.integers(0, 8 * len(value) - 1))
        reported = replace(reported, **{what: flipped(value, bit)})
    else:
        bit = data.draw(st.integers(0, 7))
        version = replace(version, **{what: getattr(version, what) ^ 1 << bit})
    with pytest.raises(VerificationRefused):
        check_measurement(
            launch.session.tik,
            Policy(DEFAULT_POLICY.value),
            reported,
            version,
            approved=[DIGEST],
            requirements=REQUIREMENTS,
        )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_bit_of_the_packet(keys: PlatformKeys, data: st.DataObject) -> None:
    launch = Launch(keys)
    machine = launch.start()
    verified = launch.verify(machine)
    entries = [TestSecretEntry(DISK_PASSPHRASE, Secret(SECRET))]
    packet = seal(verified, entries, os.urandom(16), 0xC00)
    whole = packet.header + packet.ciphertext
    changed = flipped(whole, data.draw(st.integers(0, 8 * len(whole) - 1)))
    status = offer(machine, changed[:52], changed[52:])
    assert status is not FirmwareStatus.SUCCESS
    assert not machine.memory.holds(SECRET)
    assert offer(machine, packet.header, packet.ciphertext) is FirmwareStatus.SUCCESS
    assert machine.memory.holds(SECRET)


def offer(machine: VirtualMachine, header: bytes, ciphertext: bytes) -> FirmwareStatus:
    try:
        machine.inject_secret(
            base64.b64encode(header).decode(), base64.b64encode(ciphertext).decode(), None
        )
    except HostError:
        return machine.processor.packets[-1].status
    return FirmwareStatus.SUCCESS
