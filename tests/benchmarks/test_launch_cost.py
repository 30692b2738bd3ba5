# SPDX-License-Identifier: Apache-2.0
"""What a whole launch costs its owner, against the bare library calls that it can't do without."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.secret import Secret
from watchword.core.sev import certificates
from watchword.core.sev.certificates import AmdCertificate, EcPublicKey, SevCertificate
from watchword.core.sev.chain import PlatformCertificates
from watchword.core.sev.cpu_models import parse_cpu
from watchword.core.sev.digest import VcpuSetup, launch_digest
from watchword.core.sev.firmware import FirmwareImage
from watchword.core.sev.firmware_version import FirmwareVersion
from watchword.core.sev.measurement import (
    FirmwareRequirements,
    ReportedMeasurement,
    compute_measurement,
    verify_measurement,
)
from watchword.core.sev.platform import verify_chain
from watchword.core.sev.policy import DEFAULT_POLICY, approve_policy
from watchword.core.sev.secret_packet import seal
from watchword.core.sev.secret_table import DISK_PASSPHRASE, SecretEntry
from watchword.core.sev.session import SessionRandomness, create_session
from watchword.core.sev.vmsa import build_vmsa

from .ratio import Ratio

VERSION = FirmwareVersion(1, 55, 24)
SECRET = b"correct horse battery staple" + bytes(1)


REMEMBERED = (
    certificates._parse_area,
    certificates._point,
    certificates._rsa_key,
    build_vmsa,
)


def read_naples(vectors: Path) -> dict[str, bytes]:
    folder = vectors / "chains" / "naples"
    names = ("pdh", "pek", "oca", "cek", "ask", "ark")
    return {name: (folder / f"{name}.cert").read_bytes() for name in names}


def whole_launch(files: dict[str, bytes], firmware: bytes) -> None:
    """The owner's work from certificates to packet; the host's measurement is computed too."""
    for remembered in REMEMBERED:
        remembered.cache_clear()  # what one launch remembers is no other's
    platform = verify_chain(PlatformCertificates(**files), amd_roots(), published_advisories())
    policy = approve_policy(DEFAULT_POLICY)
    session, material = create_session(platform, policy, SessionRandomness.draw(os.urandom))
    material.godh.build(), material.blob.build()
    digest = launch_digest(
        FirmwareImage.from_bytes(firmware), vcpus=VcpuSetup(2, parse_cpu("EPYC-Milan"))
    ).value
    nonce = os.urandom(16)
    value = compute_measurement(session.tik, VERSION, DEFAULT_POLICY.value, digest, nonce)
    requirements = FirmwareRequirements((0, 17), 0, published_advisories())
    reported = ReportedMeasurement(value, nonce)
    verified = verify_measurement(session, reported, VERSION, [digest], requirements)
    seal(verified, [SecretEntry(DISK_PASSPHRASE, Secret(SECRET))], os.urandom(16), 0xC00)


def bare_calls(files: dict[str, bytes], firmware: bytes) -> None:
    """The same cryptography with nothing around it: no check of any field, no types, no wiping."""
    sha256 = hashes.SHA256()
    pss = padding.PSS(mgf=padding.MGF1(sha256), salt_length=32)
    cas = {name: AmdCertificate.parse(files[name]) for name in ("ask", "ark")}
    keys = {n: rsa.RSAPublicNumbers(c.exponent, c.modulus).public_key() for n, c in cas.items()}
    parsed = {name: SevCertificate.parse(files[name]) for name in ("pdh", "pek", "oca", "cek")}
    points = {}
    for name, certificate in parsed.items():
        area = EcPublicKey.parse(certificate.public_key_area)
        numbers = ec.EllipticCurvePublicNumbers(area.x, area.y, ec.SECP384R1())
        points[name] = numbers.public_key()
    for name in ("ark", "ask"):
        keys["ark"].verify(files[name][-256:][::-1], files[name][:-256], pss, sha256)
    cek = files["cek"]
    keys["ask"].verify(cek[0x41C:0x51C][::-1], cek[:0x414], pss, sha256)
    for name, slot, signer in (
        ("oca", 0, "oca"),
        ("pek", 0, "oca"),
        ("pek", 1, "cek"),
        ("pdh", 0, "pek"),
    ):
        signature = utils.encode_dss_signature(*parsed[name].signatures[slot].ecdsa_numbers())
        points[signer].verify(signature, files[name][:0x414], ec.ECDSA(sha256))
    for name in ("pdh", "cek", "oca"):  # the fingerprints that a record needs
        hashlib.sha256(files[name]).hexdigest()
    godh = ec.derive_private_key(int.from_bytes(os.urandom(47)), ec.SECP384R1())
    godh.public_key().public_numbers()
    master = godh.exchange(ec.ECDH(), points["pdh"])
    for _ in range(3):
        master = hmac.digest(master, b"label", "sha256")[:16]
    for part in (bytes(32), bytes(4), bytes(100), bytes(100)):
        hmac.digest(master, part, "sha256")
    hashlib.sha256(firmware).copy().update(bytes(8192))
    for page in (bytes(4096), bytes(4096)):
        hashlib.sha256(page).digest()
    for size in (32, 96):
        encryptor = Cipher(algorithms.AES(master), modes.CTR(os.urandom(16))).encryptor()
        encryptor.update(bytes(size)), encryptor.finalize()
    hmac.digest(master, struct.pack("<I", 96) + bytes(96), "sha256")


def test_a_whole_launch_costs_its_owner_little_more_than_the_cryptography(
    vectors: Path, ratio: Ratio
) -> None:
    files = read_naples(vectors)
    firmware = (vectors / "firmware" / "OVMF_CODE_4M.fd").read_bytes()
    ratio(
        "whole launch / bare calls",
        lambda: whole_launch(files, firmware),
        lambda: bare_calls(files, firmware),
        1.15,
        rounds=100,
    )


def test_digests_for_1_to_255_vcpus_cost_little_more_than_one_pass(
    vectors: Path, ratio: Ratio
) -> None:
    from watchword.core.sev.digest import launch_digests_by_vcpus

    firmware = (vectors / "firmware" / "OVMF_CODE_4M.fd").read_bytes()
    most = VcpuSetup(255, parse_cpu("EPYC-Milan"))
    same_bytes = firmware + bytes(255 * 4096)

    def all_digests() -> None:
        digests = list(launch_digests_by_vcpus(FirmwareImage.from_bytes(firmware), None, most))
        assert len(digests) == 255

    ratio(
        "255 digests / one hashlib pass",
        all_digests,
        lambda: hashlib.sha256(same_bytes).digest(),
        1.5,
    )
