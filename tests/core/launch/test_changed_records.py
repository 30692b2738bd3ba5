# SPDX-License-Identifier: Apache-2.0
"""Records that somebody changed lead no secret anywhere."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
from dataclasses import replace

import pytest

from watchword.core.errors import BadInput, UsageError, VaultError, VerificationRefused
from watchword.core.launch.key_binding import key_binding
from watchword.core.simulator import PlatformKeys
from watchword.core.vault.launch_keys import read_launch_keys
from watchword.core.vault.vault import Vault

from .support import (
    Stage,
    edit_document,
    edit_rows,
    open_vault,
    passphrase_way,
    prepared,
)


def other_certificates(record, keys):
    other = PlatformKeys.generate_under(keys.root)
    for name in ("pdh", "pek", "oca", "cek"):
        record["certificates"][name] = base64.b64encode(getattr(other, name)).decode()


CHANGES = {
    "certificates": other_certificates,
    "profile": lambda record, keys: record["order"].update(
        profile='description = "not mine"\n' + record["order"]["profile"]
    ),
    "blob": lambda record, keys: record["session"].update(
        blob=base64.b64encode(bytes(128)).decode()
    ),
    "a waiver": lambda record, keys: record["order"].update(platform_waiver="lab machine"),
    "a root": lambda record, keys: record["order"].update(trusted_roots=[]),
    "consent": lambda record, keys: record.update(accepted_platform="ab" * 32),
    "digests": lambda record, keys: record.update(
        launch_digests=[base64.b64encode(bytes(32)).decode()]
    ),
    "state": lambda record, keys: record.update(state="preparing"),
    "no session": lambda record, keys: record.update(session=None, state="preparing"),
    "pins": lambda record, keys: record["order"].update(require_pinned=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_records_that_somebody_changed_lead_the_secret_nowhere(office, keys, change):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            edit_document(office.home, launch_id, lambda record: change(record, keys))
            with office.desk(stage) as desk:
                with pytest.raises(VerificationRefused) as error:
                    desk.open(launch_id)
                assert error.value.code == "launch-record-changed"
                assert not desk.is_intact(launch_id)
                with pytest.raises(VerificationRefused):
                    await desk.status(launch_id)
            assert stage.packets == ()
            # What is left to do is to give it up; nobody takes the record for ours afterwards.
            with office.desk(stage) as desk:
                desk.abandon(launch_id, "the records were changed")
                assert desk.list()[0].state == "abandoned"
                with pytest.raises(VerificationRefused):
                    desk.open(launch_id)
            return launch_id

    asyncio.run(scenario())
    assert not [name for name in office.vault_entries() if name.startswith("launch/")]


@pytest.mark.parametrize(
    "change", ["state = 'running'", "state = 'abandoned'", "host = 'qmp+unix:///x'", "guest = 'x'"]
)
def test_a_list_that_says_something_else_than_the_record_is_not_believed(office, keys, change):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            edit_rows(office.home, (f"update launches set {change}", ()))
            with office.desk(stage) as desk:
                for look in (desk.open, desk.checked):
                    with pytest.raises(VerificationRefused) as error:
                        look(launch_id)
                    assert error.value.code == "launch-record-changed"
            assert stage.packets == ()

    asyncio.run(scenario())


def test_a_launch_that_somebody_put_into_the_records_is_not_begun(office, keys):
    """Nothing of it is in the vault: it was never ordered here."""

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                desk.new(office.order()).close()
                own = desk.list()[0].id
            forged = own[:-6] + "ffffff"
            with contextlib.closing(sqlite3.connect(office.home / "records.sqlite3")) as file:
                columns = "guest, technology, simulated, state, host, waits_for, created, changed"
                (document,) = file.execute("select document from launches").fetchone()
                value = json.loads(document)
                value["record"]["id"] = forged
                file.execute(
                    f"insert into launches (id, {columns}, document)"
                    f" select ?, {columns}, ? from launches",
                    (forged, json.dumps(value).encode()),
                )
                file.commit()
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                desk.open(forged)
            assert error.value.code == "launch-record-changed"

    asyncio.run(scenario())


def test_an_older_record_does_not_begin_a_launch_anew_that_is_sealed(office, keys):
    """The seal of an older state is good; others still know what came after it."""

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="platform")
                older = document_of(office, run.id)
                await run.run(until="session")
                await stage.start(run.material)
                await run.run(until="secret")
            edit_rows(
                office.home,
                ("delete from packets", ()),
                ("update launches set document = ?", (older,)),
            )
            # Ledger and vault know that a packet was sealed.
            with office.desk(stage) as desk:
                with pytest.raises(VerificationRefused) as error:
                    desk.open(run.id)
                assert error.value.code == "launch-record-changed"
            assert not any(name.endswith("/tik") for name in office.vault_entries())

    asyncio.run(scenario())


def document_of(office, launch_id):
    with contextlib.closing(sqlite3.connect(office.home / "records.sqlite3")) as file:
        return file.execute("select document from launches where id = ?", (launch_id,)).fetchone()[
            0
        ]


def test_keys_are_bound_to_platform_policy_profile_and_blob(office, keys):
    """The second lock, behind the record's seal: the keys themselves know what they are for."""

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk, open_vault(office.home) as vault:
                run = desk.open(launch_id)
                record, material = run.record, run.material
                platform = (await run.run(until="platform")).facts["platform"].record
                policy, pdh = office.profile.policy.value, str(platform["pdh_sha256"])
                good = key_binding(record, policy, pdh, material)
                for key in read_launch_keys(vault, launch_id, good):
                    key.wipe()
                blob = replace(material, blob=replace(material.blob, nonce=bytes(16)))
                godh = replace(material, godh=replace(material.godh, api_major=1))
                profile = replace(record, order=replace(record.order, profile="x"))
                for bad in (
                    key_binding(record, policy ^ 1, pdh, material),
                    key_binding(record, policy, "00" * 32, material),
                    key_binding(record, policy, pdh, blob),
                    key_binding(record, policy, pdh, godh),
                    key_binding(profile, policy, pdh, material),
                    key_binding(replace(record, technology="x"), policy, pdh, material),
                    b"",
                ):
                    with pytest.raises(VerificationRefused) as error:
                        read_launch_keys(vault, launch_id, bad)
                    assert error.value.code == "launch-record-changed"

    asyncio.run(scenario())


def test_a_packet_that_somebody_replaced_is_not_sent(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage) as desk:
                await desk.open(launch_id).run(until="secret")
            edit_rows(office.home, ("update packets set ciphertext = zeroblob(64)", ()))
            with office.desk(stage) as desk, pytest.raises(BadInput) as error:
                await desk.open(launch_id).run()
            assert error.value.code == "bad-packet"
            edit_rows(office.home, ("delete from packets", ()))
            with office.desk(stage) as desk, pytest.raises(VerificationRefused) as error:
                desk.open(launch_id)
            assert error.value.code == "launch-record-changed"
            assert len(stage.packets) == 1

    asyncio.run(scenario())


def test_a_launch_of_another_vault_is_called_that(office, keys, tmp_path):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            (office.home / "vault" / "secrets.vault").unlink()
            Vault.create(office.home / "vault", passphrase_way()).close()
            with office.desk(stage) as desk, pytest.raises(UsageError) as error:
                desk.open(launch_id)
            assert error.value.code == "launch-of-another-vault"

    asyncio.run(scenario())


def test_an_older_vault_that_lacks_the_keys_says_so(office, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="platform")
                older = (office.home / "vault" / "secrets.vault").read_bytes()
                await run.run(until="session")
                await stage.start(run.material)
            (office.home / "vault" / "secrets.vault").write_bytes(older)
            with office.desk(stage) as desk, pytest.raises(VaultError) as error:
                await desk.open(run.id).run()
            assert error.value.code == "launch-keys-missing"
            assert stage.packets == ()

    asyncio.run(scenario())
