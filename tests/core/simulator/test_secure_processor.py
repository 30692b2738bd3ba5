# SPDX-License-Identifier: Apache-2.0
"""The secure processor accepts what it should, in the order it should, and says why not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from watchword.core.secret import Secret
from watchword.core.simulator import FirmwareStatus, FirmwareVersion, PlatformKeys, SecureProcessor
from watchword.core.simulator.firmware_status import FirmwareRefusal
from watchword.core.simulator.guest_memory import GuestMemory
from watchword.core.simulator.key_derivation import aes_ctr
from watchword.core.simulator.launch_macs import PACKET_HEADER, measurement_mac, packet_mac
from watchword.core.simulator.other_owner import OwnerSession, make_session, seal
from watchword.core.simulator.secure_processor import GuestState

POLICY = 0x2B
SECRET = b"sixteen bytes ok" * 3
ADDRESS = 0x810000


class Launch:
    """A processor with one guest, and the owner's side of it."""

    def __init__(self, keys: PlatformKeys, policy: int = POLICY, **options: object) -> None:
        self.processor = SecureProcessor(keys, **options)
        self.owner = make_session(keys.pdh_key.public_key(), policy)
        self.memory = GuestMemory(1 << 30)
        self.policy = policy
        self.handle = self.start()
        self.measurement = b""

    def start(self) -> int:
        return self.processor.launch_start(self.policy, self.owner.godh, self.owner.session)

    def measure(self, content: bytes = bytes(64)) -> None:
        self.processor.launch_update_data(self.handle, content)
        self.measurement = self.processor.launch_measure(self.handle)

    def inject(
        self, header: bytes | None = None, data: bytes | None = None, address: int = ADDRESS
    ) -> None:
        sealed = seal(self.owner.keys, self.measurement[:32], SECRET)
        self.processor.launch_secret(
            self.handle,
            sealed[0] if header is None else header,
            sealed[1] if data is None else data,
            address,
            self.memory.write,
        )


@pytest.fixture
def launch(keys: PlatformKeys) -> Launch:
    return Launch(keys)


def status_of(call, *arguments) -> FirmwareStatus:
    with pytest.raises(FirmwareRefusal) as refused:
        call(*arguments)
    return refused.value.status


def revealed(secret: Secret) -> bytes:
    with secret.reveal() as view:
        return bytes(view)


class TestLaunchStart:
    def test_the_same_session_starts_any_number_of_guests(self, launch: Launch):
        handles = {launch.handle, launch.start(), launch.start()}
        assert len(handles) == 3
        assert launch.processor.guest_count == 3

    @pytest.mark.parametrize("cut", [(0, 127), (0, 129), (2083, 128), (2085, 128), (2084, 0)])
    def test_another_size_is_too_small_a_buffer(self, launch: Launch, cut: tuple[int, int]):
        godh, session = (
            part[:size].ljust(size, b"\0")
            for part, size in zip((launch.owner.godh, launch.owner.session), cut, strict=True)
        )
        status = status_of(launch.processor.launch_start, POLICY, godh, session)
        assert status is FirmwareStatus.INVALID_LENGTH

    @pytest.mark.parametrize("policy", [0x40, 0x8000, 0x38010001, 0x00020001, -1, 1 << 32])
    def test_reserved_bits_and_newer_firmware_are_not_allowed(
        self, keys: PlatformKeys, policy: int
    ):
        owner = make_session(keys.pdh_key.public_key(), policy % 2**32)
        processor = SecureProcessor(keys, FirmwareVersion(1, 55, 24))
        status = status_of(processor.launch_start, policy, owner.godh, owner.session)
        assert status is FirmwareStatus.POLICY_FAILURE

    @pytest.mark.parametrize("policy", [0, 0x3F, 0x37010001, 0xFF000001])
    def test_older_and_the_same_firmware_are_allowed(self, keys: PlatformKeys, policy: int):
        Launch(keys, policy, version=FirmwareVersion(1, 55, 24))

    def test_sev_es_is_refused_where_it_is_not_set_up(self, keys: PlatformKeys):
        with pytest.raises(FirmwareRefusal, match="Policy is not allowed"):
            Launch(keys, 0x5, es_enabled=False)

    def test_a_damaged_owner_certificate_is_a_bad_signature(self, launch: Launch):
        damaged = bytes(2084)
        status = status_of(launch.processor.launch_start, POLICY, damaged, launch.owner.session)
        assert status is FirmwareStatus.BAD_SIGNATURE

    def test_another_policy_than_the_sessions_is_a_bad_measurement(self, launch: Launch):
        start = launch.processor.launch_start
        status = status_of(start, 0x2A, launch.owner.godh, launch.owner.session)
        assert status is FirmwareStatus.BAD_MEASUREMENT

    def test_a_session_for_the_old_pdh_fails_after_rotation(self, launch: Launch):
        launch.processor.rotate_pdh()
        assert status_of(launch.start) is FirmwareStatus.BAD_MEASUREMENT
        launch.measure()
        launch.inject()


class TestOrderOfCommands:
    def test_a_guest_goes_through_all_states(self, launch: Launch):
        processor, handle = launch.processor, launch.handle
        seen = [processor.guest_state(99), processor.guest_state(handle)]
        launch.measure()
        seen.append(processor.guest_state(handle))
        launch.inject()
        processor.launch_finish(handle)
        seen.append(processor.guest_state(handle))
        assert seen == list(GuestState)

    def test_before_measuring_nothing_else_works(self, launch: Launch):
        processor, handle = launch.processor, launch.handle
        calls = (
            (launch.inject, bytes(52), bytes(16)),
            (processor.launch_finish, handle),
            (processor.attestation, handle, bytes(16)),
        )
        for call in calls:
            assert status_of(*call) is FirmwareStatus.INVALID_GUEST_STATE

    def test_after_measuring_nothing_is_added(self, launch: Launch):
        launch.measure()
        processor, handle = launch.processor, launch.handle
        calls = (
            (processor.launch_update_data, handle, bytes(16)),
            (processor.launch_update_vmsa, handle, bytes(4096)),
            (processor.launch_measure, handle),
            (processor.attestation, handle, bytes(16)),
        )
        for call in calls:
            assert status_of(*call) is FirmwareStatus.INVALID_GUEST_STATE

    def test_a_running_guest_takes_no_secret(self, launch: Launch):
        launch.measure()
        launch.processor.launch_finish(launch.handle)
        assert status_of(launch.inject) is FirmwareStatus.INVALID_GUEST_STATE
        assert not launch.memory.holds(SECRET)

    def test_an_unknown_or_ended_guest_is_named_as_such(self, launch: Launch):
        launch.processor.decommission(launch.handle)
        launch.processor.decommission(launch.handle)
        for handle in (0, launch.handle, 77):
            status = status_of(launch.processor.launch_measure, handle)
            assert status is FirmwareStatus.INVALID_GUEST

    def test_ending_a_guest_wipes_its_keys(self, launch: Launch):
        guest = launch.processor._guests[launch.handle]
        launch.processor.decommission(launch.handle)
        assert guest.keys.tek.wiped
        assert guest.keys.tik.wiped


class TestUpdate:
    def test_save_areas_are_for_sev_es_only(self, launch: Launch, keys: PlatformKeys):
        update = launch.processor.launch_update_vmsa
        assert status_of(update, launch.handle, bytes(4096)) is FirmwareStatus.POLICY_FAILURE
        encrypted = Launch(keys, 0x5)
        encrypted.processor.launch_update_vmsa(encrypted.handle, bytes(4096))
        update = encrypted.processor.launch_update_vmsa
        assert status_of(update, encrypted.handle, bytes(16)) is FirmwareStatus.INVALID_LENGTH

    @pytest.mark.parametrize("size", [0, 1, 15, 17])
    def test_data_comes_in_blocks_of_sixteen(self, launch: Launch, size: int):
        update = launch.processor.launch_update_data
        assert status_of(update, launch.handle, bytes(size)) is FirmwareStatus.INVALID_LENGTH


class TestMeasurement:
    def test_it_is_the_owners_hmac_over_all_that_was_loaded(self, launch: Launch):
        launch.processor.launch_update_data(launch.handle, b"a" * 32)
        launch.measure(b"b" * 64)
        digest = hashlib.sha256(b"a" * 32 + b"b" * 64).digest()
        nonce = launch.measurement[32:]
        message = bytes((4, 1, 55, 24)) + struct.pack("<I", POLICY) + digest + nonce
        tik = revealed(launch.owner.keys.tik)
        assert launch.measurement[:32] == hmac.digest(tik, message, "sha256")
        assert len(nonce) == 16

    def test_nonces_are_fresh(self, keys: PlatformKeys):
        launches = [Launch(keys), Launch(keys)]
        for launch in launches:
            launch.measure()
        assert launches[0].measurement[32:] != launches[1].measurement[32:]

    def test_it_agrees_with_sev_tool_in_both_forms(self, vectors: Path):
        cases = json.loads((vectors / "sev-tool.json").read_bytes())["measurements"]
        for case in cases:
            version = FirmwareVersion(case["api_major"], case["api_minor"], case["build_id"])
            made = measurement_mac(
                Secret(bytes.fromhex(case["tik"])),
                version,
                case["policy"],
                bytes.fromhex(case["launch_digest"]),
                bytes.fromhex(case["nonce"]),
            )
            assert made.hex() == case["expected"], case["form"]
        assert {version.split(" ")[0] for version in (case["form"] for case in cases)} == {
            "pre-0.17",
            "ctx4",
        }


class TestSecret:
    def test_a_right_packet_lands_in_the_guest(self, launch: Launch):
        launch.measure()
        launch.inject()
        assert launch.memory.read(ADDRESS, len(SECRET)) == SECRET
        assert [packet.status for packet in launch.processor.packets] == [FirmwareStatus.SUCCESS]

    def test_a_refused_packet_leaves_the_guest_as_it_was(self, launch: Launch):
        launch.measure()
        header, data = seal(launch.owner.keys, bytes(32), SECRET)
        assert status_of(launch.inject, header, data) is FirmwareStatus.BAD_MEASUREMENT
        assert not launch.memory.holds(SECRET[:16])

    def test_the_packet_of_one_guest_fails_in_its_clone(self, launch: Launch):
        launch.measure(b"good" * 16)
        header, data = seal(launch.owner.keys, launch.measurement[:32], SECRET)
        clone = launch.start()
        launch.processor.launch_update_data(clone, b"evil" * 16)
        launch.processor.launch_measure(clone)
        offer = (clone, header, data, ADDRESS, launch.memory.write)
        assert status_of(launch.processor.launch_secret, *offer) is FirmwareStatus.BAD_MEASUREMENT
        launch.inject(header, data)

    def test_below_api_0_17_the_packet_of_one_guest_works_in_its_clone(self, keys: PlatformKeys):
        old = FirmwareVersion(0, 16, 1)
        launch = Launch(keys, version=old)
        launch.measure(b"good" * 16)
        data = aes_ctr(launch.owner.keys.tek, bytes(16), SECRET)
        blank = PACKET_HEADER.pack(0, bytes(16), b"")
        mac = packet_mac(launch.owner.keys.tik, old, blank, data, launch.measurement[:32])
        header = PACKET_HEADER.pack(0, bytes(16), mac)
        clone = launch.start()
        launch.processor.launch_update_data(clone, b"evil" * 16)
        launch.processor.launch_measure(clone)
        launch.processor.launch_secret(clone, header, data, ADDRESS, launch.memory.write)
        assert launch.memory.holds(SECRET)

    @pytest.mark.parametrize(
        ("header", "size", "address", "status"),
        [
            (bytes(51), 48, ADDRESS, 4),
            (bytes(53), 48, ADDRESS, 4),
            (None, 0, ADDRESS, 4),
            (None, 47, ADDRESS, 4),
            (None, 16400, ADDRESS, 4),
            (None, 48, ADDRESS + 8, 9),
            (b"\1" + bytes(51), 48, ADDRESS, 22),
            (bytes(52), 48, ADDRESS, 11),
        ],
    )
    def test_what_is_wrong_with_a_packet_is_told_by_number(
        self, launch: Launch, header: bytes | None, size: int, address: int, status: int
    ):
        launch.measure()
        call = (launch.inject, header, SECRET[:size].ljust(size, b"x"), address)
        assert status_of(*call) == status

    def test_packets_are_counted_once_each(self, launch: Launch):
        launch.measure()
        header, data = seal(launch.owner.keys, launch.measurement[:32], SECRET)
        launch.inject(header, data)
        launch.inject(header, data)
        assert launch.processor.distinct_packets(launch.handle) == 1
        launch.inject()
        assert launch.processor.distinct_packets(launch.handle) == 2
        assert len(launch.processor.packets) == 3

    def test_packets_by_sevctl_carry_the_mac_and_the_text_that_we_expect(self, vectors: Path):
        content = json.loads((vectors / "sevctl.json").read_bytes())
        tik, tek = (Secret((vectors / content[name]).read_bytes()) for name in ("tik", "tek"))
        blob = base64.b64decode(content["launch_measure_blob_for_secrets"])
        version = FirmwareVersion(1, 49, 6)
        checked = 0
        for case in content["secrets"]:
            header = bytes.fromhex(case["header_hex"])
            if case["payload_hex"] is None:
                continue
            data = bytes.fromhex(case["payload_hex"])
            assert header[20:] == packet_mac(tik, version, header, data, blob[:32])
            plain = aes_ctr(tek, header[4:20], data)
            length = struct.unpack_from("<I", plain, 16)[0]
            assert length == case["table_unpadded_len"]
            checked += 1
        assert checked

    def test_packets_by_sev_tool_carry_the_mac_that_we_expect_in_both_forms(self, vectors: Path):
        content = json.loads((vectors / "sev-tool.json").read_bytes())
        tik = Secret((vectors / "inputs/tik.bin").read_bytes())
        tek = Secret((vectors / "inputs/tek.bin").read_bytes())
        checked = set()
        for case in content["secrets"]:
            if not case.get("payload_hex"):
                continue
            header, data, measurement = (
                bytes.fromhex(case[name]) for name in ("header_hex", "payload_hex", "measurement")
            )
            version = FirmwareVersion(*case["pek_api"], 0)
            assert header[20:] == packet_mac(tik, version, header, data, measurement)
            plain = (vectors / case["secret"]).read_bytes()
            assert aes_ctr(tek, header[4:20], data) == plain
            checked.add(version.binds_secrets)
        assert checked == {True, False}


class TestReport:
    def running(self, keys: PlatformKeys) -> Launch:
        launch = Launch(keys)
        launch.measure(b"firmware" * 8)
        launch.processor.launch_finish(launch.handle)
        return launch

    def test_it_is_signed_by_the_pek_over_nonce_digest_and_policy(self, keys: PlatformKeys):
        launch = self.running(keys)
        report = launch.processor.attestation(launch.handle, b"n" * 16)
        assert len(report) == 208
        digest = hashlib.sha256(b"firmware" * 8).digest()
        assert report[:52] == b"n" * 16 + digest + struct.pack("<I", POLICY)
        check_report(report, keys.pek_key.public_key())

    def test_its_layout_is_the_one_of_the_vectors(self, vectors: Path, keys: PlatformKeys):
        pek = (vectors / "fake-platform/pek.cert").read_bytes()
        x, y = (int.from_bytes(pek[at : at + 72], "little") for at in (0x14, 0x5C))
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()
        good = (vectors / "legacy-attestation/good.bin").read_bytes()
        check_report(good, key)
        launch = self.running(keys)
        made = launch.processor.attestation(launch.handle, bytes(16))
        assert made[52:64] == good[52:64]
        with pytest.raises(InvalidSignature):
            check_report((vectors / "legacy-attestation/flip-digest.bin").read_bytes(), key)

    def test_a_nonce_of_another_size_is_refused(self, keys: PlatformKeys):
        launch = self.running(keys)
        call = (launch.processor.attestation, launch.handle, bytes(15))
        assert status_of(*call) is FirmwareStatus.INVALID_LENGTH


def check_report(report: bytes, key: ec.EllipticCurvePublicKey) -> None:
    r, s = (int.from_bytes(report[at : at + 72], "little") for at in (64, 136))
    key.verify(encode_dss_signature(r, s), report[:52], ec.ECDSA(hashes.SHA256()))


def test_every_status_has_qemus_words():
    assert [int(status) for status in FirmwareStatus] == list(range(25))
    assert FirmwareStatus(11).text == "Bad measurement"
    assert FirmwareStatus(24).text == "Part-specific integrity check failure"
    assert all(status.text for status in FirmwareStatus if status)


def test_nothing_secret_shows_in_the_text_of_things(launch: Launch):
    tek, tik = revealed(launch.owner.keys.tek), revealed(launch.owner.keys.tik)
    launch.measure()
    launch.inject()
    text = repr((launch.processor._guests, launch.processor.packets, launch.owner, launch.memory))
    for key in (tek, tik, SECRET):
        assert key.hex() not in text
        assert repr(key)[2:-1] not in text


def test_the_other_owners_helper_makes_sessions_with_given_keys(keys: PlatformKeys):
    owner: OwnerSession = make_session(keys.pdh_key.public_key(), 1, b"T" * 16 + b"I" * 16)
    assert revealed(owner.keys.tek) == b"T" * 16
    assert revealed(owner.keys.tik) == b"I" * 16
