# SPDX-License-Identifier: Apache-2.0
"""Packets: what they hold, for whom they are, and that there is one in a launch."""

from __future__ import annotations

import base64
import hashlib
import json
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.secret import Secret
from watchword.core.sev import secret_packet
from watchword.core.sev.measurement import ReportedMeasurement
from watchword.core.sev.policy import DEFAULT_POLICY, approve_policy
from watchword.core.sev.secret_packet import (
    HEADER_SIZE,
    StoredPacket,
    encrypt_table,
    packet_sha256,
    seal,
)
from watchword.core.sev.secret_table import (
    DISK_PASSPHRASE,
    SecretEntry,
    TestSecretEntry,
    build_table,
    parse_table,
)
from watchword.core.sev.session import adopt_session

from . import firmware_side

IV = b"v" * 16


def entry(kind=SecretEntry, data=b"the disk's passphrase"):
    return kind(DISK_PASSPHRASE, Secret(data))


def keys_of(session):
    with session.tek.reveal() as tek, session.tik.reveal() as tik:
        return bytes(tek), bytes(tik)


def test_the_measured_vm_opens_its_packet(verified_platform, new_session, measured):
    session = new_session(verified_platform)
    keys, verified = keys_of(session), measured(session)
    packet = seal(verified, [entry()], IV, 3072)
    assert packet.verified is verified
    assert len(packet.header) == HEADER_SIZE == 52
    table = firmware_side.open_packet(
        *keys, verified.reported.measurement, packet.header, packet.ciphertext
    )
    [found] = parse_table(table)
    with found.data.reveal() as view:
        assert (found.guid, bytes(view)) == (DISK_PASSPHRASE, b"the disk's passphrase")
    assert base64.b64decode(packet.header_base64) == packet.header
    assert base64.b64decode(packet.ciphertext_base64) == packet.ciphertext


def test_a_clone_from_the_same_blob_does_not_open_it(verified_platform, new_session, measured):
    session = new_session(verified_platform)
    keys, verified = keys_of(session), measured(session)
    packet = seal(verified, [entry()], IV, None)
    with pytest.raises(AssertionError, match="packet"):
        firmware_side.open_packet(*keys, b"m" * 32, packet.header, packet.ciphertext)


@settings(max_examples=40)
@given(place=st.integers(0, 115), bit=st.integers(0, 7))
def test_any_change_in_a_packet_is_noticed(place, bit):
    tek, tik, measurement = b"e" * 16, b"i" * 16, b"m" * 32
    header, ciphertext = encrypt_table(Secret(tek), Secret(tik), IV, Secret(bytes(64)), measurement)
    data = bytearray(header + ciphertext)
    data[place] ^= 1 << bit
    with pytest.raises(AssertionError):
        firmware_side.open_packet(tek, tik, measurement, bytes(data[:52]), bytes(data[52:]))


def test_a_second_packet_is_refused(verified_platform, new_session, measured):
    session = new_session(verified_platform)
    verified, again = measured(session), measured(session)
    seal(verified, [entry()], IV, None)
    for measurement in (verified, again):
        with pytest.raises(UsageError) as caught:
            seal(measurement, [entry()], b"w" * 16, None)
        assert caught.value.code == "already-sealed"


def test_a_stored_packet_is_the_sealed_one_byte_for_byte(verified_platform, new_session, measured):
    packet = seal(measured(new_session(verified_platform)), [entry()], IV, None)
    stored = StoredPacket.load(packet.header, packet.ciphertext, packet_sha256(packet))
    assert (stored.header, stored.ciphertext) == (packet.header, packet.ciphertext)
    assert packet_sha256(stored) == packet_sha256(packet)


@pytest.mark.parametrize(
    ("header", "ciphertext"),
    [(b"", b""), (51, 16), (53, 16), (52, 0), (52, 15), (52, 17), (52, 16400), (52, 1 << 20)],
)
def test_nothing_of_another_size_is_a_stored_packet(header, ciphertext):
    header, ciphertext = bytes(header or 0), bytes(ciphertext or 0)
    name = hashlib.sha256(header + ciphertext).hexdigest()
    with pytest.raises(BadInput) as caught:
        StoredPacket.load(header, ciphertext, name)
    assert caught.value.code == "bad-packet"


@pytest.mark.parametrize("name", ["", "00" * 32, "not hex"])
def test_other_bytes_than_were_sealed_are_no_stored_packet(name):
    with pytest.raises(BadInput) as caught:
        StoredPacket.load(bytes(52), bytes(16), name)
    assert caught.value.code == "bad-packet"


def test_nothing_is_sealed_for_an_abandoned_launch(verified_platform, new_session, measured):
    session = new_session(verified_platform)
    verified = measured(session)
    session.abandon()
    with pytest.raises(UsageError) as caught:
        seal(verified, [entry()], IV, None)
    assert caught.value.code == "already-sealed"


def test_keys_and_table_are_wiped_by_sealing(verified_platform, new_session, measured, monkeypatch):
    tables = []

    def keep(entries):
        tables.append(build_table(entries))
        return tables[-1]

    monkeypatch.setattr(secret_packet, "build_table", keep)
    session = new_session(verified_platform)
    seal(measured(session), [entry()], IV, None)
    assert session.over
    assert session.tek.wiped
    assert session.tik.wiped
    assert [table.wiped for table in tables] == [True]


def test_the_table_is_wiped_even_if_sealing_fails(
    verified_platform, new_session, measured, monkeypatch
):
    tables = []

    def keep(entries):
        tables.append(build_table(entries))
        return tables[-1]

    monkeypatch.setattr(secret_packet, "build_table", keep)
    with pytest.raises(ValueError, match="nonce"):
        seal(measured(new_session(verified_platform)), [entry()], b"short", None)
    assert [table.wiped for table in tables] == [True]


def test_a_refused_seal_leaves_the_keys_for_a_better_try(verified_platform, new_session, measured):
    session = new_session(verified_platform)
    verified = measured(session)
    for entries, area in (([], None), ([entry()], 32), ([entry(), entry()], None)):
        with pytest.raises(BadInput):
            seal(verified, entries, IV, area)
    assert seal(verified, [entry()], IV, None)


@pytest.mark.parametrize("kind", ["foreign_platform", "waived_platform"])
def test_real_secrets_are_refused_where_amd_vouches_for_nothing(
    request, new_session, measured, kind
):
    session = new_session(request.getfixturevalue(kind))
    verified = measured(session)
    test_entry = TestSecretEntry(UUID(int=9), Secret(b"no worth"))
    for entries in ([entry()], [test_entry, entry()], [entry(), test_entry]):
        with pytest.raises(VerificationRefused) as caught:
            seal(verified, entries, IV, None)
        assert caught.value.code == "platform-not-proven"
    packet = seal(verified, [test_entry, entry(TestSecretEntry)], IV, None)
    assert not packet.verified.session.platform.proven


def test_keys_from_elsewhere_may_carry_real_secrets(measured):
    tek, tik = Secret(b"e" * 16), Secret(b"i" * 16)
    session = adopt_session(tek, tik, approve_policy(DEFAULT_POLICY), None)
    assert seal(measured(session), [entry()], IV, None).verified.session.platform is None


# -- known answers -------------------------------------------------------------------------


def test_the_packets_of_sev_tool(vectors):
    """It encrypts the bare file, without a table; its keys are those of the vectors."""
    known = json.loads((vectors / "sev-tool.json").read_text())["secrets"]
    made = [case for case in known if "header_hex" in case]
    assert (len(known), len(made)) == (10, 8)
    iv = (vectors / "inputs" / "iv.bin").read_bytes()
    for case in made:
        tek, tik = (Secret((vectors / "inputs" / f"{k}.bin").read_bytes()) for k in ("tek", "tik"))
        table = Secret((vectors / case["secret"]).read_bytes())
        # Before API 0.17 the MAC did not cover the measurement.
        old = tuple(case["pek_api"]) < (0, 17)
        measurement = b"" if old else bytes.fromhex(case["measurement"])
        header, ciphertext = encrypt_table(tek, tik, iv, table, measurement)
        assert header.hex() == case["header_hex"]
        assert hashlib.sha256(ciphertext).hexdigest() == case["payload_sha256"]


def test_the_packets_of_sevctl(vectors):
    document = json.loads((vectors / "sevctl.json").read_text())
    reported = ReportedMeasurement.from_base64(document["launch_measure_blob_for_secrets"])
    iv = (vectors / document["iv"]).read_bytes()
    assert len(document["secrets"]) == 7
    for case in document["secrets"]:
        tek, tik = (Secret((vectors / document[name]).read_bytes()) for name in ("tek", "tik"))
        entries = [
            SecretEntry(UUID(item["guid"]), Secret((vectors / item["file"]).read_bytes()))
            for item in case["secrets"]
        ]
        table = build_table(entries)
        header, ciphertext = encrypt_table(tek, tik, iv, table, reported.measurement)
        assert len(ciphertext) == case["payload_len"]
        assert hashlib.sha256(ciphertext).hexdigest() == case["payload_sha256"]
        assert header.hex() == case["header_hex"]
