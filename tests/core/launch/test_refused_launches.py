# SPDX-License-Identifier: Apache-2.0
"""What is refused on the way to a running guest: each leaves a record, and no secret is out."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import (
    BadInput,
    VaultError,
    VerificationRefused,
)
from watchword.core.launch.record import LaunchState
from watchword.core.launch.whose_measurement import OtherLaunches
from watchword.core.ledger.affected import affected
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records
from watchword.core.simulator import attack_named
from watchword.core.vault.entries import EntryKind

from .support import (
    ENTRY,
    SECRET,
    Stage,
    add_secret,
    open_vault,
    outcome_of,
    prepared,
    refused,
    state_of,
)


def test_another_firmware_is_refused_recorded_and_explained_and_the_keys_wait(office, keys):
    launch_id, error = refused(office, keys, "wrong-firmware", code="measurement-mismatch")
    assert "diagnosis" in error.details
    assert office.ledger_kinds(launch_id) == ["launch-prepared", "launch-refused", "evidence-made"]
    assert state_of(office, launch_id) is LaunchState.REFUSED
    assert f"launch/{launch_id}/tik" in office.vault_entries()
    predicate = outcome_of(office, launch_id).predicate
    assert (predicate.outcome, predicate.error.code) == ("refused", "measurement-mismatch")


def test_a_refused_launch_goes_on_once_its_vm_is_started_properly(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            other = office.firmware.read_bytes()
            other = bytes([other[0] ^ 1]) + other[1:]
            launch_id = await prepared(office, stage, firmware=other)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.raises(VerificationRefused):
                    await run.run()
                await stage.start(run.material)
                await run.run()
            assert stage.holds(SECRET)
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_a_forged_chain_is_refused_before_any_key_is_made(office, keys):
    async def scenario():
        async with Stage(keys, attack_named("forged-chain")) as stage:
            order = office.order(certificate_files=(("export", stage.host.exported_chain),))
            with office.desk(stage) as desk:
                run = desk.new(order)
                with pytest.raises(VerificationRefused) as error:
                    await run.run(until="session")
                assert error.value.code == "chain-refused"
            return run.id

    launch_id = asyncio.run(scenario())
    assert office.ledger_kinds(launch_id) == ["platform-refused", "evidence-made"]
    assert not [name for name in office.vault_entries() if name.startswith("launch/")]
    assert outcome_of(office, launch_id).predicate.platform.kind == "refused"


def test_what_nobody_vouches_for_is_called_the_hosts_claim_in_the_ledger(office, keys):
    launch_id, _ = refused(office, keys, "wrong-firmware", code="measurement-mismatch")
    with Records.open(office.home) as records:
        entries = Ledger(records).entries(launch_id=launch_id)
        (body,) = (entry.body for entry in entries if entry.kind.value == "launch-refused")
        assert (body["claimed_api_major"], body["claimed_build"]) == (1, 24)
        assert not {"api_major", "api_minor", "build"} & body.keys()
        answer = affected(Ledger(records), build="1.55.24")
    assert [found.launch_id for found in answer.undecided] == [launch_id]


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("replayed-measurement", "measurement-mismatch"),
        ("policy-downgrade", "measurement-mismatch"),
        ("low-api", "firmware-too-old"),
        ("known-bad-build", "firmware-known-bad"),
    ],
)
def test_what_a_host_may_try_is_refused_and_leaves_a_record(office, keys, attack, code):
    launch_id, _ = refused(office, keys, attack, code=code)
    assert office.ledger_kinds(launch_id)[-2:] == ["launch-refused", "evidence-made"]


def test_a_packet_for_a_clone_is_refused_by_its_secure_processor_and_never_made_anew(office, keys):
    async def scenario():
        async with Stage(keys, attack_named("cloned-launch")) as stage:
            launch_id = await prepared(office, stage)
            for _ in range(2):
                with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                    await desk.open(launch_id).run()
                assert error.value.code == "packet-refused"
            assert len({packet.packet_sha256 for packet in stage.packets}) == 1
            assert len(stage.packets) == 2

    asyncio.run(scenario())


def test_a_real_secret_does_not_go_to_a_platform_that_is_not_amds(office, keys):
    with open_vault(office.home) as vault:
        vault.remove(ENTRY)
        add_secret(vault, kind=EntryKind.DISK_SECRET)

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                with pytest.raises(VerificationRefused) as error:
                    await run.run(until="session")
                assert error.value.code == "platform-not-proven"
                assert run.material is None

    asyncio.run(scenario())


def test_a_test_secret_that_was_replaced_by_a_real_one_meanwhile_is_not_sealed(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                run = desk.open(launch_id)
                await run.run(until="measurement")
                vault = desk._archive.vault
                vault.remove(ENTRY)
                add_secret(vault, kind=EntryKind.DISK_SECRET)
                with pytest.raises(VaultError) as error:
                    await run.run()
                assert error.value.code == "entry-kind-differs"
            assert stage.packets == ()

    asyncio.run(scenario())


def test_a_waived_platform_takes_test_secrets_and_the_waiver_is_in_the_ledger(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(
                office, stage, trusted_roots=(), platform_waiver="lab machine"
            )
            with office.desk(stage) as desk:
                launch = await desk.open(launch_id).run()
            assert launch.waivers == {"platform": "lab machine"}
            assert stage.holds(SECRET)
            return launch_id

    predicate = outcome_of(office, asyncio.run(scenario())).predicate
    assert predicate.waivers == {"platform": "lab machine"}
    assert predicate.platform.kind == "waived"


def test_a_refusal_stands_where_nobody_can_say_whose_measurement_it_is(office, keys, monkeypatch):
    def busy(*arguments):
        raise BadInput("records-busy", "the records", "Another process writes.", "Wait.")

    monkeypatch.setattr(OtherLaunches, "owner", busy)
    launch_id, _ = refused(office, keys, "wrong-firmware", code="measurement-mismatch")
    assert office.ledger_kinds(launch_id)[1] == "launch-refused"
