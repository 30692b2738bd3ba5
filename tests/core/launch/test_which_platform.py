# SPDX-License-Identifier: Apache-2.0
"""Which platforms a launch goes to: pinned, accepted or denied ones."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import (
    BadInput,
    VerificationRefused,
)
from watchword.core.launch.deny_list import DenyList, read_deny_list

from .support import (
    ENTRY,
    SECRET,
    Stage,
    add_secret,
    cek_of,
    make_profile,
    open_vault,
    prepared,
)


def test_a_platform_that_is_seen_for_the_first_time_waits_for_a_persons_consent(amd_like, keys):
    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(amd_like, stage)
            with amd_like.desk(stage) as desk:
                run = desk.open(launch_id)
                with pytest.raises(VerificationRefused) as error:
                    await run.run()
                assert error.value.code == "platform-not-accepted"
                assert error.value.details["cek_sha256"] == cek_of(keys)
                assert run.launch.facts["platform"].record["accepted"] is False
            assert stage.packets == ()
            with amd_like.desk(stage) as desk:
                await desk.open(launch_id, accept_platform=cek_of(keys)).run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


def test_consent_to_another_platform_is_none(amd_like, keys):
    async def scenario():
        async with Stage(keys) as stage:
            with amd_like.desk(stage) as desk:
                run = desk.new(amd_like.order(accept_platform="ab" * 32))
                with pytest.raises(VerificationRefused) as error:
                    await run.run(until="session")
                assert error.value.code == "platform-not-accepted"

    asyncio.run(scenario())


def test_a_pinned_platform_needs_no_further_consent(amd_like, keys):
    profile = make_profile(amd_like.firmware, ceks=[cek_of(keys)])

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(amd_like, stage, profile=profile, require_pinned=True)
            with amd_like.desk(stage) as desk:
                await desk.open(launch_id).run()
            assert stage.holds(SECRET)

    asyncio.run(scenario())


@pytest.mark.parametrize("waiver", [None, "lab machine"])
def test_where_nobody_looks_only_pinned_platforms_are_launched_on(amd_like, keys, waiver):
    pins = {} if waiver is None else {"ceks": ["ab" * 32]}
    profile = make_profile(amd_like.firmware, **pins)
    if waiver is not None:
        with open_vault(amd_like.home) as vault:
            vault.remove(ENTRY)
            add_secret(vault)

    async def scenario():
        async with Stage(keys) as stage:
            order = amd_like.order(profile=profile, require_pinned=True, platform_waiver=waiver)
            with amd_like.desk(stage) as desk:
                run = desk.new(order)
                with pytest.raises(VerificationRefused) as error:
                    await run.run(until="session")
                assert error.value.code == "platform-not-pinned"
                assert run.material is None

    asyncio.run(scenario())


def test_a_denied_platform_gets_nothing_not_even_in_the_midst_of_a_launch(office, keys):
    denied = DenyList(ceks={cek_of(keys): "glitched in May"})

    async def scenario():
        async with Stage(keys) as stage:
            launch_id = await prepared(office, stage)
            with office.desk(stage, deny_list=denied) as desk:
                with pytest.raises(VerificationRefused) as error:
                    await desk.open(launch_id).run()
                assert error.value.code == "platform-denied"
                assert "glitched in May" in error.value.message
            assert stage.packets == ()
            return launch_id

    assert office.ledger_kinds(asyncio.run(scenario()))[1:] == ["platform-refused", "evidence-made"]


def test_the_deny_list_is_read_from_the_owners_folder(tmp_path):
    assert read_deny_list(tmp_path) == DenyList()
    lines = ["# mine", "", "ab" * 32 + "  glitched", "CD" * 64]
    (tmp_path / "deny-list.txt").write_text("\n".join(lines))
    found = read_deny_list(tmp_path)
    assert dict(found.ceks) == {"ab" * 32: "glitched"}
    assert dict(found.chips) == {"cd" * 64: ""}


@pytest.mark.parametrize("line", [b"abc", b"ab" * 33, b"zz" * 32, b"\xff", b"ab" * 32 + b"x"])
def test_a_deny_list_that_cannot_be_read_names_the_line(tmp_path, line):
    (tmp_path / "deny-list.txt").write_bytes(b"# one\n" + line)
    with pytest.raises(BadInput) as error:
        read_deny_list(tmp_path)
    assert error.value.code == "bad-deny-list"
    assert error.value.details["line"] == 2
