# SPDX-License-Identifier: Apache-2.0
"""Launch sessions: derivation, wrapping, one-time certificates, and the life of the keys."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.sev.policy import DEFAULT_POLICY, Policy, approve_policy
from watchword.core.sev.session import (
    LaunchBlob,
    SessionRandomness,
    adopt_session,
    create_session,
    derive_key,
    godh_certificate,
    restore_session,
    wrap_keys,
)

from . import firmware_side
from .chain_maker import EMPTY_SLOT, ec_area, ec_key
from .conftest import counting_random, outcome

ORDER = (1 << 384) - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D
BYTES16 = st.binary(min_size=16, max_size=16)
BYTES32 = st.binary(min_size=32, max_size=32)


def randomness(godh=None, tek=b"e" * 16, tik=b"i" * 16):
    return SessionRandomness(godh or ec_key("godh"), b"n" * 16, Secret(tek), Secret(tik), b"v" * 16)


@settings(max_examples=40)
@given(st.builds(LaunchBlob, BYTES16, BYTES32, BYTES16, BYTES32, BYTES32))
def test_a_launch_blob_survives_build_and_parse(blob):
    assert len(blob.build()) == 128
    assert LaunchBlob.parse(blob.build()) == blob


@given(st.binary(max_size=130) | st.binary(min_size=128, max_size=128))
def test_any_bytes_are_a_launch_blob_or_bad_input(data):
    found = outcome(LaunchBlob.parse, data)
    if len(data) == 128:
        assert found.build() == data
    else:
        assert isinstance(found, BadInput)
        assert str(len(data)) in found.message


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=64), st.binary(max_size=30), st.binary(max_size=32))
def test_the_derivation_is_sp_800_108_with_a_little_endian_counter(key, label, context):
    assert derive_key(key, label, context) == firmware_side.kdf(key, label, context)


@given(policy=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_the_holder_of_the_pdh_gets_the_keys_for_every_policy(policy):
    pdh, made = ec_key("the pdh"), randomness()
    blob = wrap_keys(pdh.public_key(), made, policy)
    godh = godh_certificate(made.godh.public_key())
    keys = firmware_side.unwrap(pdh, godh.build(), blob.build(), policy)
    assert (keys.tek, keys.tik) == (b"e" * 16, b"i" * 16)


def test_a_shared_secret_with_leading_zeros_keeps_its_48_bytes():
    # The first of these keys whose point shared with the PDH begins with a zero byte.
    pdh, made = ec_key("the pdh"), randomness(godh=ec_key("godh 330"))
    godh = godh_certificate(made.godh.public_key()).build()
    blob = wrap_keys(pdh.public_key(), made, 1).build()
    z = firmware_side.unwrap(pdh, godh, blob, 1).z
    assert (len(z), z[0]) == (48, 0)


@pytest.mark.parametrize("bit", [0, 5, 16, 24, 31])
def test_another_policy_than_the_sessions_does_not_open_it(bit):
    pdh, made = ec_key("the pdh"), randomness()
    policy = DEFAULT_POLICY.value
    blob = wrap_keys(pdh.public_key(), made, policy).build()
    godh = godh_certificate(made.godh.public_key()).build()
    with pytest.raises(AssertionError, match="policy"):
        firmware_side.unwrap(pdh, godh, blob, policy ^ 1 << bit)


def test_godh_is_an_unsigned_ecdh_certificate():
    data = godh_certificate(ec_key("godh").public_key()).build()
    head = struct.pack("<IIII", 1, 0, 0x1003, 3)
    assert data == head + ec_area(ec_key("godh")) + 2 * EMPTY_SLOT


def test_a_session_is_for_its_platform_and_its_policy(verified_platform, maker):
    approved = approve_policy(DEFAULT_POLICY)
    session, material = create_session(verified_platform, approved, randomness())
    assert session.platform is verified_platform
    assert session.policy is approved
    assert session.nonce == b"n" * 16
    godh = base64.b64decode(material.godh_base64, validate=True)
    blob = base64.b64decode(material.session_base64, validate=True)
    keys = firmware_side.unwrap(maker.key("pdh"), godh, blob, DEFAULT_POLICY.value)
    with session.tek.reveal() as tek, session.tik.reveal() as tik:
        assert (bytes(tek), bytes(tik)) == (keys.tek, keys.tik)


def test_every_draw_is_used_once():
    asked = []

    def random(size):
        asked.append(size)
        return bytes([len(asked)]) * size

    made = SessionRandomness.draw(random)
    assert asked == [56, 16, 16, 16, 16]
    with made.tek.reveal() as tek, made.tik.reveal() as tik:
        drawn = {made.nonce, bytes(tek), bytes(tik), made.wrap_iv}
    assert drawn == {bytes([number]) * 16 for number in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("number", "scalar"),
    [(0, 1), (ORDER - 2, ORDER - 1), (ORDER - 1, 1), (2**448 - 1, (2**448 - 1) % (ORDER - 1) + 1)],
)
def test_the_private_key_is_between_1_and_the_order(number, scalar):
    draws = iter([number.to_bytes(56, "big")])
    made = SessionRandomness.draw(lambda size: next(draws, bytes(size)))
    assert made.godh.private_numbers().private_value == scalar


def test_an_abandoned_session_has_no_keys(verified_platform):
    made = randomness()
    session, _ = create_session(verified_platform, approve_policy(DEFAULT_POLICY), made)
    assert not session.over
    session.abandon()
    session.abandon()
    assert session.over
    for key in (session.tek, session.tik, made.tek, made.tik):
        assert key.wiped
        with pytest.raises(UsageError), key.reveal():
            pass


def test_keys_made_elsewhere_are_adopted_without_a_platform():
    tek, tik = Secret(b"e" * 16), Secret(b"i" * 16)
    session = adopt_session(tek, tik, approve_policy(DEFAULT_POLICY), None)
    assert session.tek is tek
    assert session.tik is tik
    assert session.platform is None
    assert session.nonce is None


@pytest.mark.parametrize("size", [0, 15, 17, 32])
@pytest.mark.parametrize("name", ["TEK", "TIK"])
def test_transport_keys_of_another_size_are_refused(size, name):
    keys = {"TEK": Secret(bytes(16)), "TIK": Secret(bytes(16)), name: Secret(bytes(size))}
    with pytest.raises(BadInput) as caught:
        adopt_session(keys["TEK"], keys["TIK"], approve_policy(DEFAULT_POLICY), None)
    assert caught.value.field == name


def keys_again(tek=b"e" * 16, tik=b"i" * 16):
    return Secret(tek), Secret(tik)


def test_a_restored_session_is_for_the_platform_that_was_judged_again(verified_platform):
    approved = approve_policy(DEFAULT_POLICY)
    _, material = create_session(verified_platform, approved, randomness())
    session = restore_session(*keys_again(), approved, verified_platform, material.blob)
    assert session.platform is verified_platform
    assert session.policy is approved
    assert session.nonce == b"n" * 16


@pytest.mark.parametrize("what", ["tik", "policy", "policy_mac"])
def test_a_session_is_not_restored_from_parts_of_two_launches(verified_platform, what):
    approved = approve_policy(DEFAULT_POLICY)
    _, material = create_session(verified_platform, approved, randomness())
    keys, blob = keys_again(), material.blob
    if what == "tik":
        keys = keys_again(tik=b"j" * 16)
    elif what == "policy":
        approved = approve_policy(Policy(DEFAULT_POLICY.value | 1 << 25))
    else:
        blob = replace(blob, policy_mac=bytes(32))
    with pytest.raises(VerificationRefused) as caught:
        restore_session(*keys, approved, verified_platform, blob)
    assert caught.value.code == "session-mismatch"


def test_sessions_are_different_where_the_random_bytes_are(verified_platform):
    random, approved = counting_random(), approve_policy(DEFAULT_POLICY)
    blobs = [
        create_session(verified_platform, approved, SessionRandomness.draw(random))[1]
        for _ in range(2)
    ]
    assert blobs[0].godh != blobs[1].godh
    first, second = (blob.blob for blob in blobs)
    for field in ("nonce", "wrapped_keys", "wrap_iv", "wrap_mac", "policy_mac"):
        assert getattr(first, field) != getattr(second, field)
