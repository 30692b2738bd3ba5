# SPDX-License-Identifier: Apache-2.0
"""Sessions that sev-tool and sevctl made, and one-time certificates of theirs."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.secret import Secret
from watchword.core.sev.certificates import EcPublicKey, SevCertificate
from watchword.core.sev.chain_rules import pdh_public_key
from watchword.core.sev.mac import hmac_sha256
from watchword.core.sev.session import (
    LaunchBlob,
    SessionRandomness,
    derive_key,
    godh_certificate,
    wrap_keys,
)

from . import firmware_side
from .chain_maker import EMPTY_SLOT

TOOLS = pytest.mark.parametrize("tool", ["sev-tool", "sevctl"])


@pytest.fixture(scope="module")
def godh(vectors):
    scalar = int((vectors / "inputs" / "godh_priv.hex").read_text(), 16)
    return ec.derive_private_key(scalar, ec.SECP384R1())


@pytest.fixture(scope="module")
def naples_pdh(vectors):
    data = (vectors / "chains" / "naples" / "pdh.cert").read_bytes()
    return pdh_public_key(SevCertificate.parse(data))


def sessions(vectors, tool):
    return json.loads((vectors / f"{tool}.json").read_text())["sessions"]


def randomness(godh, session):
    part = {name: bytes.fromhex(session[name]) for name in ("nonce", "tek", "tik", "wrap_iv")}
    return SessionRandomness(
        godh, part["nonce"], Secret(part["tek"]), Secret(part["tik"]), part["wrap_iv"]
    )


@TOOLS
def test_right_blobs_for_every_policy(vectors, godh, naples_pdh, tool):
    known = sessions(vectors, tool)
    assert len(known) == {"sev-tool": 13, "sevctl": 12}[tool]
    for session in known:
        blob = wrap_keys(naples_pdh, randomness(godh, session), session["policy"])
        assert blob.build().hex() == session["correct_session_hex"]


@TOOLS
def test_the_tools_own_blobs_differ_in_the_policys_mac_alone(vectors, tool):
    for session in sessions(vectors, tool):
        theirs, right = (
            LaunchBlob.parse(bytes.fromhex(session[name]))
            for name in ("session_hex", "correct_session_hex")
        )
        same = session["policy"] == session["policy_used_in_mac"]
        assert (theirs == right) is same
        assert theirs.build()[:96] == right.build()[:96]
        used = session["policy_used_in_mac"].to_bytes(4, "little")
        assert hmac_sha256(bytes.fromhex(session["tik"]), used) == theirs.policy_mac


@TOOLS
def test_intermediate_keys(vectors, godh, naples_pdh, tool):
    for session in sessions(vectors, tool):
        known = {name: bytes.fromhex(text) for name, text in session["intermediate"].items()}
        assert godh.exchange(ec.ECDH(), naples_pdh) == known["z"]
        nonce = bytes.fromhex(session["nonce"])
        assert derive_key(known["z"], b"sev-master-secret", nonce) == known["master"]
        assert derive_key(known["master"], b"sev-kek", b"") == known["kek"]
        assert derive_key(known["master"], b"sev-kik", b"") == known["kik"]


def test_godh_has_sev_tools_body_without_its_signature(vectors, godh):
    theirs = (vectors / "godh_naples.cert").read_bytes()
    ours = godh_certificate(godh.public_key())
    parsed = SevCertificate.parse(theirs)
    assert ours.signed_body() == parsed.signed_body()
    assert [slot.usage for slot in ours.signatures] == [0x1000, 0x1000]
    assert EcPublicKey.parse(parsed.public_key_area).load() == godh.public_key()


def test_godh_is_sevctls_byte_for_byte(vectors, godh):
    ours = godh_certificate(godh.public_key()).build()
    known = {session["godh_sha256"] for session in sessions(vectors, "sevctl")}
    assert known == {hashlib.sha256(ours).hexdigest()}
    assert ours.endswith(2 * EMPTY_SLOT)


@pytest.fixture(scope="module")
def fake_platform(vectors):
    manifest = json.loads((vectors / "fake-platform" / "manifest.json").read_text())
    scalar = int(manifest["pdh_private_hex"], 16)
    return ec.derive_private_key(scalar, ec.SECP384R1()), manifest["sessions"]


def test_the_fake_platform_has_the_known_private_key(vectors, fake_platform):
    data = (vectors / "fake-platform" / "pdh.cert").read_bytes()
    key, _ = fake_platform
    assert pdh_public_key(SevCertificate.parse(data)) == key.public_key()


def test_this_firmware_side_opens_what_the_tools_made(fake_platform):
    key, known = fake_platform
    assert len(known) == 12
    for session in known:
        blob = bytes.fromhex(session["session_hex"])
        godh = base64.b64decode(session["godh_b64"])
        keys = firmware_side.unwrap(key, godh, blob, session["policy"])
        assert (keys.tek.hex(), keys.tik.hex()) == (session["tek"], session["tik"])
        assert LaunchBlob.parse(blob).build() == blob
        assert SevCertificate.parse(godh).build() == godh


def test_this_firmware_side_opens_our_sessions_for_the_same_keys(fake_platform):
    key, known = fake_platform
    for number, session in enumerate(known):
        one_time = ec.derive_private_key(1000 + number, ec.SECP384R1())
        made = SessionRandomness(
            one_time,
            bytes([number]) * 16,
            Secret(bytes.fromhex(session["tek"])),
            Secret(bytes.fromhex(session["tik"])),
            bytes([255 - number]) * 16,
        )
        blob = wrap_keys(key.public_key(), made, session["policy"]).build()
        godh = godh_certificate(one_time.public_key()).build()
        keys = firmware_side.unwrap(key, godh, blob, session["policy"])
        assert (keys.tek.hex(), keys.tik.hex()) == (session["tek"], session["tik"])
