# SPDX-License-Identifier: Apache-2.0
"""What the desk's end has to say to a person, where everything that was asked for is done."""

from __future__ import annotations

import asyncio
import os

import pytest

from watchword.core.cli.desk_options import desk_over
from watchword.core.cli.output import Console
from watchword.core.errors import VaultError
from watchword.core.launch.desk import LaunchDesk
from watchword.core.records.database import Records
from watchword.core.simulator import PlatformKeys

from ..launch.support import Office, edit_rows, open_vault


@pytest.fixture(scope="module")
def keys():
    return PlatformKeys.generate(2048)


@pytest.fixture
def office(tmp_path, keys, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Office(tmp_path, keys)


@pytest.fixture
def at_the_desk(office, capsys):
    """Runs ``act(desk)`` as a command does; what it gives, and what was noted for people."""

    def play(act):
        with Records.open(office.home) as records, open_vault(office.home) as vault:
            surroundings = office.surroundings()
            with desk_over(records, vault, surroundings, Console(as_json=False)) as desk:
                result = act(desk)
        return result, capsys.readouterr().err

    return play


def begun(office, desk):
    run = desk.new(office.order(ask_host=False))
    asyncio.run(run.run(until="session"))
    return run.id


def test_a_ledger_whose_end_was_damaged_meanwhile_is_told_of_and_the_result_stays(
    office, at_the_desk
):
    def act(desk):
        launch_id = begun(office, desk)
        newest = "select max(sequence) from ledger"
        edit_rows(office.home, (f"update ledger set hash = '00' where sequence = ({newest})", ()))
        return launch_id

    launch_id, noted = at_the_desk(act)
    assert launch_id.startswith("vm1-")
    assert "warning" in noted
    assert "The ledger was changed" in noted


def test_a_keyring_that_does_not_take_note_is_told_of_and_the_result_stays(
    office, at_the_desk, monkeypatch
):
    def locked(desk):
        raise VaultError("keyring-locked", "The keyring is locked", "It is.", "Unlock it.")

    monkeypatch.setattr(LaunchDesk, "close", locked)
    launch_id, noted = at_the_desk(lambda desk: begun(office, desk))
    assert launch_id.startswith("vm1-")
    assert "The keyring is locked" in noted


def test_keys_of_a_launch_that_the_records_do_not_know_are_told_of(office, at_the_desk):
    launch_id, noted = at_the_desk(lambda desk: begun(office, desk))
    assert noted == ""
    for path in office.home.glob("records.sqlite3*"):
        path.unlink()
    _, noted = at_the_desk(lambda desk: desk.list())
    assert f"launch {launch_id}, which is not in the records" in noted
    assert f"watchword vault remove launch/{launch_id}/tek" in noted
