# SPDX-License-Identifier: Apache-2.0
"""Each attack really lies where it says it does, and sees no byte of a secret in doing so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from watchword.core.errors import UsageError
from watchword.core.simulator import (
    ATTACKS,
    Attack,
    FirmwareVersion,
    PlatformKeys,
    QmpServer,
    SimulatedHost,
    attack_named,
    build_firmware,
)
from watchword.core.simulator.kernel_table import kernel_table
from watchword.core.simulator.launch_macs import measurement_mac
from watchword.core.simulator.other_owner import OwnerSession, make_session, seal

POLICY = 0x1100002B
SECRET = b"never to be seen: correct horse battery staple".ljust(48, b"\0")
ROME = ("e6002122fb58419399d15fee7b131351", "c6cbcf145b3146f498e40ecb4ad4fded")

REFUSED = {
    *("forged-chain", "swapped-pdh", "foreign-cek", "unsigned-cek", "wrong-firmware"),
    *("wrong-kernel", "replayed-measurement", "cloned-launch", "policy-downgrade", "low-api"),
    "known-bad-build",
}
MISBEHAVING = {
    *("silence", "slow-drip", "disconnect-mid-command", "flood", "huge-reply", "deep-json"),
    *("garbage-json", "wrong-types", "second-client", "state-lies", "error-with-markup"),
}
DOUBTFUL = {"corrupt-packet-reply", "says-injected-but-not", "answers-late"}


@dataclass
class Meeting:
    """An owner who trusts what he is shown, and a host under attack."""

    host: SimulatedHost
    owner: OwnerSession
    server: QmpServer
    client: object

    async def ask(self, command: str, **arguments: object) -> object:
        reply = await self.client.ask(command, **arguments)
        return reply["return"] if "return" in reply else reply["error"]["desc"]

    async def measurement(self) -> bytes:
        return base64.b64decode((await self.ask("query-sev-launch-measure"))["data"])

    async def inject(self) -> object:
        reported = await self.measurement()
        header, data = (b64(part) for part in seal(self.owner.keys, reported[:32], SECRET))
        return await self.ask("sev-inject-launch-secret", packet_header=header, secret=data)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def meet(keys: PlatformKeys, firmware: bytes, make_order, client_type):
    """Play one attack against a naive owner; afterwards nothing may be left."""

    def play(
        attack: Attack | str, talk: Callable[[Meeting], Awaitable[None]], **changes: object
    ) -> None:
        async def run() -> None:
            lie = attack_named(attack) if isinstance(attack, str) else attack
            async with SimulatedHost(keys, lie) as host:
                policy = int(changes.get("policy", POLICY))
                owner = make_session(host.processor.keys.pdh_key.public_key(), policy)
                server = await host.start_vm(make_order(owner, firmware, **changes))
                client = await client_type.connect(server.address)
                if lie.name != "second-client":
                    await client.line()
                    await client.ask("qmp_capabilities")
                try:
                    await talk(Meeting(host, owner, server, client))
                finally:
                    await client.close()
                seen = host.view.data
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert host.processor.guest_count == 0
            assert_unseen(seen)

        asyncio.run(run())

    return play


def assert_unseen(seen: bytes) -> None:
    """No part of the secret in the clear, in hex or in base64."""
    for start in range(len(SECRET.rstrip(b"\0")) - 8):
        piece = SECRET[start : start + 8]
        assert piece not in seen
        assert piece.hex().encode() not in seen
    for shift in range(3):
        assert base64.b64encode(SECRET[shift : shift + 24]) not in seen


def right_measurement(
    owner: OwnerSession,
    content: bytes,
    nonce: bytes,
    version: FirmwareVersion | None = None,
    policy: int = POLICY,
) -> bytes:
    digest = hashlib.sha256(content).digest()
    version = version or FirmwareVersion()
    return measurement_mac(owner.keys.tik, version, policy, digest, nonce)


def ec_key(certificate: bytes) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(certificate[at : at + 72], "little") for at in (0x14, 0x5C))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()


def signed_by(certificate: bytes, slot: int, signer: bytes) -> bool:
    r, s = (int.from_bytes(certificate[at : at + 72], "little") for at in (slot + 8, slot + 80))
    try:
        ec_key(signer).verify(
            encode_dss_signature(r, s), certificate[:0x414], ec.ECDSA(hashes.SHA256())
        )
    except InvalidSignature:
        return False
    return True


def shown(capabilities: dict) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """PDH, PEK, OCA, CEK and chip id that the host shows."""
    chain = base64.b64decode(capabilities["cert-chain"])
    parts = [chain[at : at + 2084] for at in (0, 2084, 4168)]
    return (
        base64.b64decode(capabilities["pdh"]),
        *parts,
        base64.b64decode(capabilities["cpu0-id"]),
    )


class TestList:
    def test_every_attack_of_the_plan_is_there_once(self):
        names = [attack.name for attack in ATTACKS]
        assert set(names) == REFUSED | MISBEHAVING | DOUBTFUL
        assert len(names) == len(set(names))

    def test_every_attack_is_described_in_one_sentence(self):
        for attack in ATTACKS:
            text = attack.description
            assert text[0].isupper(), attack.name
            assert text.endswith("."), attack.name
            assert ". " not in text, attack.name
            assert len(text) < 200, attack.name

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(UsageError) as refused:
            attack_named("mind-reading")
        assert refused.value.code == "unknown-attack"
        assert "forged-chain" in refused.value.remedy

    def test_each_host_gets_an_attack_of_its_own(self):
        assert attack_named("silence") is not attack_named("silence")


def test_an_honest_host_does_what_it_says(meet, firmware):
    async def talk(meeting: Meeting) -> None:
        reported = await meeting.measurement()
        assert reported[:32] == right_measurement(meeting.owner, firmware, reported[32:])
        assert await meeting.inject() == {}
        assert meeting.server.machine.memory.holds(SECRET)
        genuine = meeting.host.genuine
        assert meeting.host.key_service_cek(genuine.chip_id) == genuine.cek
        assert meeting.host.key_service_cek(bytes(64)) is None
        assert meeting.host.exported_chain == genuine.full_chain

    meet(Attack(), talk)


class TestPlatform:
    def test_forged_chain_is_whole_but_for_the_root(self, meet, keys):
        async def talk(meeting: Meeting) -> None:
            pdh, pek, oca, cek, chip_id = shown(await meeting.ask("query-sev-capabilities"))
            forged = meeting.host.processor.keys
            assert (forged.root.ark[4:20].hex(), forged.root.ask[4:20].hex()) == ROME
            assert forged.root.ark != keys.root.ark
            assert signed_by(pdh, 0x414, pek)
            assert signed_by(pek, 0x414, oca)
            assert signed_by(pek, 0x61C, cek)
            assert meeting.host.key_service_cek(chip_id)[:0x414] != cek[:0x414]
            assert meeting.host.exported_chain.endswith(forged.root.ark)
            assert await meeting.inject() == {}  # the VM runs on it happily

        meet("forged-chain", talk)

    def test_swapped_pdh_is_not_signed_by_the_pek(self, meet, keys):
        async def talk(meeting: Meeting) -> None:
            pdh, pek, oca, cek, chip_id = shown(await meeting.ask("query-sev-capabilities"))
            assert (pek, oca, cek) == (keys.pek, keys.oca, keys.cek_unsigned)
            assert not signed_by(pdh, 0x414, pek)
            assert meeting.host.key_service_cek(chip_id) == keys.cek
            assert await meeting.inject() == {}

        meet("swapped-pdh", talk)

    def test_foreign_cek_is_genuine_and_did_not_sign_the_pek(self, meet, keys):
        async def talk(meeting: Meeting) -> None:
            _, pek, _, cek, chip_id = shown(await meeting.ask("query-sev-capabilities"))
            assert chip_id != keys.chip_id
            assert meeting.host.key_service_cek(chip_id)[:0x414] == cek[:0x414]
            assert not signed_by(pek, 0x61C, cek)
            assert meeting.host.key_service_cek(keys.chip_id) == keys.cek

        meet("foreign-cek", talk)

    def test_unsigned_cek_is_not_the_one_that_amd_knows(self, meet, keys):
        async def talk(meeting: Meeting) -> None:
            pdh, pek, _, cek, chip_id = shown(await meeting.ask("query-sev-capabilities"))
            assert signed_by(pek, 0x61C, cek)
            assert signed_by(pdh, 0x414, pek)
            assert meeting.host.key_service_cek(chip_id)[:0x414] != cek[:0x414]
            exported = meeting.host.exported_chain[3 * 2084 : 4 * 2084]
            assert exported[0x414:0x41C] == bytes.fromhex("0010000000000000")

        meet("unsigned-cek", talk)

    @pytest.mark.parametrize(
        ("name", "version"),
        [("low-api", FirmwareVersion(0, 16, 1)), ("known-bad-build", FirmwareVersion(0, 17, 11))],
    )
    def test_an_old_firmware_measures_right_where_the_policy_lets_it(
        self, meet, firmware, name, version
    ):
        async def talk(meeting: Meeting) -> None:
            said = await meeting.ask("query-sev")
            assert (said["api-major"], said["api-minor"], said["build-id"]) == (
                version.api_major,
                version.api_minor,
                version.build,
            )
            reported = await meeting.measurement()
            right = right_measurement(meeting.owner, firmware, reported[32:], version, 0x2B)
            assert reported[:32] == right

        meet(name, talk, policy=0x2B)

    @pytest.mark.parametrize("name", ["low-api", "known-bad-build"])
    def test_where_the_policy_forbids_it_only_a_foreign_session_starts(self, meet, name):
        async def talk(meeting: Meeting) -> None:
            assert meeting.server.machine.order.session != meeting.owner.session_file
            assert isinstance(await meeting.inject(), str)

        meet(name, talk, policy=0x3100002B)


class TestLaunch:
    def test_wrong_firmware_has_the_same_size_and_footer(self, meet, firmware):
        async def talk(meeting: Meeting) -> None:
            loaded = meeting.server.machine.order.firmware
            assert len(loaded) == len(firmware)
            assert loaded[-200:] == firmware[-200:]
            reported = await meeting.measurement()
            assert reported[:32] != right_measurement(meeting.owner, firmware, reported[32:])
            assert reported[:32] == right_measurement(meeting.owner, loaded, reported[32:])

        meet("wrong-firmware", talk)

    @pytest.mark.parametrize("kernel", [b"the owner's kernel", None])
    def test_wrong_kernel_is_measured(self, meet, firmware, kernel):
        async def talk(meeting: Meeting) -> None:
            booted = meeting.server.machine.order.kernel
            assert booted not in (None, kernel)
            reported = await meeting.measurement()
            content = firmware + kernel_table(booted, b"", "")
            assert reported[:32] == right_measurement(meeting.owner, content, reported[32:])

        meet("wrong-kernel", talk, kernel=kernel)

    def test_replayed_measurement_is_of_another_session(self, meet, firmware):
        async def talk(meeting: Meeting) -> None:
            reported = await meeting.measurement()
            assert reported != base64.b64decode(meeting.server.machine.measurement)
            assert reported[:32] != right_measurement(meeting.owner, firmware, reported[32:])
            assert "fw_error=11" in await meeting.inject()

        meet("replayed-measurement", talk)

    def test_cloned_launch_can_not_use_the_packet(self, meet, firmware):
        attack = attack_named("cloned-launch")

        async def talk(meeting: Meeting) -> None:
            reported = await meeting.measurement()
            assert reported[:32] == right_measurement(meeting.owner, firmware, reported[32:])
            words = "SEV: failed to inject secret ret=-5 fw_error=11 'Bad measurement'"
            assert await meeting.inject() == words
            assert attack.clone.handle != meeting.server.machine.handle
            assert not attack.clone.memory.holds(SECRET[:8])
            assert not meeting.server.machine.memory.holds(SECRET[:8])

        meet(attack, talk)

    def test_policy_downgrade_names_the_policy_that_was_ordered(self, meet, firmware):
        async def talk(meeting: Meeting) -> None:
            assert (await meeting.ask("query-sev"))["policy"] == POLICY
            assert meeting.server.machine.order.policy == 0
            reported = await meeting.measurement()
            for policy in (0, POLICY):
                right = right_measurement(meeting.owner, firmware, reported[32:], policy=policy)
                assert reported[:32] != right
            assert "fw_error=11" in await meeting.inject()

        meet("policy-downgrade", talk)

    def test_state_lies_about_a_running_machine(self, meet):
        async def talk(meeting: Meeting) -> None:
            assert (await meeting.ask("query-sev"))["state"] == "launch-secret"
            assert await meeting.ask("query-status") == {"status": "running", "running": True}
            assert await meeting.inject() == "SEV: Not in correct state. (LSECRET) 3"

        meet("state-lies", talk)

    def test_says_injected_but_not(self, meet):
        async def talk(meeting: Meeting) -> None:
            assert await meeting.inject() == {}
            assert meeting.host.processor.packets == ()
            assert not meeting.server.machine.memory.holds(SECRET[:8])

        meet("says-injected-but-not", talk)

    def test_wrong_types_keep_the_names(self, meet):
        async def talk(meeting: Meeting) -> None:
            assert await meeting.ask("query-sev") == {
                "enabled": "yes",
                "api-major": "1",
                "api-minor": "55",
                "build-id": "24",
                "state": 13,
                "sev-type": 3,
                "policy": str(POLICY),
                "handle": "1",
            }
            assert await meeting.ask("query-cpus-fast") == {"not": "a list"}
            assert await meeting.ask("cont") == []

        meet("wrong-types", talk)

    def test_error_with_markup(self, meet):
        async def talk(meeting: Meeting) -> None:
            for command in ("query-sev", "query-sev-capabilities", "query-sev-launch-measure"):
                text = await meeting.ask(command)
                assert "<script>" in text
                assert "\x1b[2J" in text
                assert "\u202e" in text
            assert "running" in await meeting.ask("query-status")

        meet("error-with-markup", talk)


class TestConversation:
    def test_silence_greets_and_answers_nothing(self, keys, firmware, make_order, client_type):
        async def run() -> None:
            async with SimulatedHost(keys, attack_named("silence")) as host:
                server = await host.open_monitor()
                client = await client_type.connect(server.address)
                assert "QMP" in await client.line()
                await client.send(b'{"execute": "qmp_capabilities"}')
                waiting = asyncio.create_task(client.raw_line())
                await host.view.until_seen(b"qmp_capabilities")
                await host.stop()
                assert await waiting == b""
                await client.close()

        asyncio.run(run())

    def test_slow_drip_moves_on_byte_by_byte(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            assert await meeting.client._reader.read(100) == b"{"

        meet("slow-drip", talk)

    def test_disconnect_mid_command_cuts_an_answer_in_half(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            half = await meeting.client.raw_line()
            assert half.startswith(b'{"return": {')
            assert not half.endswith(b"\n")
            assert await meeting.client.at_end()

        meet("disconnect-mid-command", talk)

    def test_flood_never_ends_until_the_client_leaves(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            for _ in range(5000):
                assert (await meeting.client.line())["event"] == "RTC_CHANGE"

        meet("flood", talk)

    def test_huge_reply_is_one_line(self, meet):
        attack = attack_named("huge-reply")
        assert attack.size == 64 * 1024 * 1024

        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            seen = 0
            while seen < 4 * 1024 * 1024:
                data = await meeting.client._reader.read(1 << 20)
                assert b"\n" not in data
                seen += len(data)

        meet(attack, talk)

    def test_deep_json_is_a_tower(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            data = b""
            while not data.endswith(b"\n"):
                data += await meeting.client._reader.read(1 << 20)
            assert data.count(b"[") == data.count(b"]") == 100_000

        meet("deep-json", talk)

    def test_garbage_json_is_a_line_of_nothing(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "query-sev"}')
            with pytest.raises(ValueError, match="codec"):
                json.loads(await meeting.client.raw_line())

        meet("garbage-json", talk)

    def test_second_client_never_greets(self, meet):
        async def talk(meeting: Meeting) -> None:
            await meeting.client.send(b'{"execute": "qmp_capabilities"}')
            waiting = asyncio.create_task(meeting.client.raw_line())
            await meeting.host.view.until_seen(b"qmp_capabilities")
            assert not waiting.done()
            await meeting.host.stop()
            assert await waiting == b""

        meet("second-client", talk)

    def test_corrupt_packet_reply_comes_after_a_real_injection(self, meet):
        async def talk(meeting: Meeting) -> None:
            with pytest.raises(ValueError, match="Expecting value"):
                await meeting.inject()
            assert meeting.server.machine.memory.holds(SECRET)

        meet("corrupt-packet-reply", talk)

    def test_answers_late_injects_at_once(self, meet):
        attack = attack_named("answers-late")

        async def talk(meeting: Meeting) -> None:
            injecting = asyncio.create_task(meeting.inject())
            await attack.holding.wait()
            assert meeting.server.machine.memory.holds(SECRET)
            assert not injecting.done()
            await meeting.host.stop()
            with pytest.raises(ValueError, match="Expecting value"):
                await injecting

        meet(attack, talk)

    def test_answers_late_answers_in_the_end(self, meet, monkeypatch):
        attack = attack_named("answers-late")
        monkeypatch.setattr(type(attack), "delay_seconds", 0)

        async def talk(meeting: Meeting) -> None:
            assert await meeting.inject() == {}

        meet(attack, talk)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_can_be_stopped_at_any_time(attack, keys, firmware, make_order, client_type):
    """A client that asks and never reads; then the host ends."""

    async def run() -> None:
        async with SimulatedHost(keys, attack()) as host:
            owner = make_session(host.processor.keys.pdh_key.public_key(), POLICY)
            server = await host.start_vm(make_order(owner, firmware))
            client = await client_type.connect(server.address)
            await client.send(b'{"execute": "qmp_capabilities"}{"execute": "query-sev"}')
            await host.view.until_seen(b"query-sev")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["second-client", "answers-late", "slow-drip", "flood"])
def test_a_client_that_leaves_makes_room_for_the_next(keys, order, client_type, name):
    async def run() -> None:
        async with asyncio.timeout(60), SimulatedHost(keys, attack_named(name)) as host:
            server = await host.start_vm(order)
            for turn in range(2):
                client = await client_type.connect(server.address)
                await client.send(
                    b'{"execute": "qmp_capabilities"}'
                    b'{"execute": "sev-inject-launch-secret", "id": "turn-%d", '
                    b'"arguments": {"packet-header": "", "secret": ""}}' % turn
                )
                await host.view.until_seen(b"turn-%d" % turn)
                await client.close()

    asyncio.run(run())


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_attack_needs_a_sev_guest(attack, keys, client_type):
    async def run() -> None:
        async with SimulatedHost(keys, attack()) as host:
            await host.open_monitor()

    asyncio.run(run())


def test_wrong_kernel_on_a_firmware_without_hash_area_does_not_start(keys, make_order, session):
    from watchword.core.simulator import FirmwareRecipe, StartFailure

    bare = build_firmware(FirmwareRecipe(hash_area=None))

    async def run() -> None:
        async with SimulatedHost(keys, attack_named("wrong-kernel")) as host:
            with pytest.raises(StartFailure, match="no hashes table"):
                await host.start_vm(make_order(session, bare))

    asyncio.run(run())
