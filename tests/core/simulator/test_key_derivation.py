# SPDX-License-Identifier: Apache-2.0
"""The secure processor opens sessions that other people's tools made."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.simulator.certificate_layout import parse_owner_key
from watchword.core.simulator.firmware_status import FirmwareRefusal, FirmwareStatus
from watchword.core.simulator.key_derivation import derive_key, unwrap_session, wrapping_keys
from watchword.core.simulator.other_owner import make_session
from watchword.core.simulator.platform_keys import PlatformKeys

NO_KEYS = (FirmwareStatus.INVALID_LENGTH, FirmwareStatus.BAD_MEASUREMENT)


def private_key(scalar: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(scalar, 16), ec.SECP384R1())


def public_key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(certificate[at : at + 72], "little") for at in (0x14, 0x5C))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()


def revealed(secret) -> bytes:
    with secret.reveal() as view:
        return bytes(view)


def test_the_key_derivation_gives_the_published_test_value():
    made = derive_key(bytes(16), b"sev-master-secret", bytes(16))
    assert made.hex() == "ab4d269fcc62bedb4511d56c386ce706"


@given(st.binary(min_size=16, max_size=48), st.binary(max_size=32))
def test_the_key_derivation_agrees_with_the_library(secret, context):
    fixed = b"\0\0\0sev-kek\0" + context + struct.pack("<I", 128)
    # One big-endian counter byte and three zero bytes are a little-endian 32-bit counter.
    library = KBKDFHMAC(
        hashes.SHA256(),
        Mode.CounterMode,
        length=16,
        rlen=1,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=fixed,
    )
    assert derive_key(secret, b"sev-kek", context) == library.derive(secret)


def test_sessions_by_other_tools_open_with_the_platforms_key(vectors: Path):
    manifest = json.loads((vectors / "fake-platform/manifest.json").read_bytes())
    pdh = private_key(manifest["pdh_private_hex"])
    assert pdh.public_key() == public_key((vectors / "fake-platform/pdh.cert").read_bytes())
    opened = 0
    for case in manifest["sessions"]:
        godh = parse_owner_key(base64.b64decode(case["godh_b64"]))
        session = bytes.fromhex(case["session_hex"])
        assert godh is not None, case["tool"]
        keys = unwrap_session(pdh, godh, session, case["policy"])
        assert revealed(keys.tek).hex() == case["tek"]
        assert revealed(keys.tik).hex() == case["tik"]
        with pytest.raises(FirmwareRefusal) as refused:
            unwrap_session(pdh, godh, session, case["policy"] ^ 1)
        assert refused.value.status is FirmwareStatus.BAD_MEASUREMENT
        opened += 1
    assert opened == 12


@pytest.mark.parametrize("tool", ["sev-tool", "sevctl"])
def test_right_sessions_open_and_the_tools_wrong_ones_do_not(vectors: Path, tool: str):
    # The owner's private key and the platform's public key give the same secret as the reverse.
    godh = private_key((vectors / "inputs/godh_priv.hex").read_text())
    pdh = public_key((vectors / "chains/naples/pdh.cert").read_bytes())
    cases = json.loads((vectors / f"{tool}.json").read_bytes())["sessions"]
    assert cases
    for case in cases:
        right, made = (bytes.fromhex(case[name]) for name in ("correct_session_hex", "session_hex"))
        keys = unwrap_session(godh, pdh, right, case["policy"])
        assert revealed(keys.tek).hex() == case["tek"]
        assert revealed(keys.tik).hex() == case["tik"]
        wrapping = wrapping_keys(godh, pdh, right[:16])
        assert revealed(wrapping.kek).hex() == case["intermediate"]["kek"]
        assert revealed(wrapping.kik).hex() == case["intermediate"]["kik"]
        if made != right:
            with pytest.raises(FirmwareRefusal):
                unwrap_session(godh, pdh, made, case["policy"])


def test_a_session_with_any_bit_flipped_is_refused(keys: PlatformKeys):
    owner = make_session(keys.pdh_key.public_key(), 1)
    godh = parse_owner_key(owner.godh)
    unwrap_session(keys.pdh_key, godh, owner.session, 1)
    for position in range(0, 128, 7):
        damaged = bytearray(owner.session)
        damaged[position] ^= 0x10
        with pytest.raises(FirmwareRefusal) as refused:
            unwrap_session(keys.pdh_key, godh, bytes(damaged), 1)
        assert refused.value.status is FirmwareStatus.BAD_MEASUREMENT


@given(session=st.binary(max_size=140))
def test_any_bytes_for_a_session_are_refused_with_a_status(keys: PlatformKeys, session: bytes):
    with pytest.raises(FirmwareRefusal) as refused:
        unwrap_session(keys.pdh_key, keys.pek_key.public_key(), session, 1)
    assert refused.value.status in NO_KEYS
