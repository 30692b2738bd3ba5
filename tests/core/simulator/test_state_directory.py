# SPDX-License-Identifier: Apache-2.0
"""A simulated platform is the same one the next day."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.simulator import PlatformKeys, load_platform, open_platform, save_platform
from watchword.core.simulator.state_directory import KEYS_FILE


def test_what_was_saved_is_loaded(keys: PlatformKeys, tmp_path: Path):
    save_platform(keys, tmp_path / "state")
    loaded = load_platform(tmp_path / "state")
    assert loaded.full_chain == keys.full_chain
    assert loaded.chip_id == keys.chip_id
    assert loaded.api == keys.api
    peer = keys.pek_key.public_key()
    assert loaded.pdh_key.public_key() == keys.pdh_key.public_key()
    assert loaded.sibling().root.ark == keys.root.ark
    assert peer == loaded.pek_key.public_key()


def test_only_the_owner_reads_the_keys_and_everybody_the_certificates(
    keys: PlatformKeys, tmp_path: Path
):
    folder = tmp_path / "state"
    save_platform(keys, folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / KEYS_FILE).stat().st_mode) == 0o600
    names = {path.name for path in folder.iterdir()}
    certificates = {f"{name}.cert" for name in ("ark", "ask", "cek", "oca", "pek", "pdh")}
    assert names == certificates | {"full_chain.cert", KEYS_FILE}
    assert (folder / "ark.cert").read_bytes() == keys.root.ark
    assert (folder / "full_chain.cert").read_bytes() == keys.full_chain
    assert b"PRIVATE" not in b"".join((folder / name).read_bytes() for name in certificates)


def test_a_new_directory_gets_a_platform_and_an_old_one_keeps_its_own(tmp_path: Path):
    first = open_platform(tmp_path, 2048)
    assert open_platform(tmp_path, 2048).full_chain == first.full_chain


def test_saving_again_replaces_the_old_platform(keys: PlatformKeys, tmp_path: Path):
    save_platform(keys, tmp_path)
    rotated = keys.with_new_pdh()
    save_platform(rotated, tmp_path)
    assert load_platform(tmp_path).pdh == rotated.pdh
    assert (tmp_path / "pdh.cert").read_bytes() == rotated.pdh


def test_an_empty_directory_has_no_platform(tmp_path: Path):
    with pytest.raises(BadInput) as refused:
        load_platform(tmp_path)
    assert refused.value.code == "simulator-state-missing"


def test_a_directory_that_can_not_be_made_is_named(keys: PlatformKeys, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput) as refused:
        save_platform(keys, tmp_path / "file" / "state")
    assert refused.value.code == "simulator-state-unwritable"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"schema": 2}',
        b'{"schema": 1, "keys": {}, "certificates": {}, "api": [1, 55], "chip_id": ""}',
        b"[" * 100_000,
        b"x" * 1_000_000,
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / KEYS_FILE).write_bytes(content)
    with pytest.raises(BadInput) as refused:
        load_platform(tmp_path)
    assert refused.value.code == "simulator-state-damaged"


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("keys", "pdh", 7),
        ("keys", "pdh", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("certificates", "pdh", "AAAA"),
        ("certificates", "ark", "AAAA"),
        ("certificates", "ark", None),
    ],
)
def test_a_damaged_part_is_noticed(
    keys: PlatformKeys, tmp_path: Path, part: str, name: str, value: object
):
    save_platform(keys, tmp_path)
    content = json.loads((tmp_path / KEYS_FILE).read_bytes())
    content[part][name] = value
    (tmp_path / KEYS_FILE).write_text(json.dumps(content))
    with pytest.raises(BadInput, match="is not what the simulator wrote"):
        load_platform(tmp_path)


def test_keys_and_certificates_that_do_not_belong_together_are_noticed(
    keys: PlatformKeys, tmp_path: Path
):
    save_platform(keys, tmp_path)
    content = json.loads((tmp_path / KEYS_FILE).read_bytes())
    content["keys"]["pdh"] = content["keys"]["pek"]
    (tmp_path / KEYS_FILE).write_text(json.dumps(content))
    with pytest.raises(BadInput):
        load_platform(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_for_a_state_file_are_refused_in_words(tmp_path: Path, content: bytes):
    (tmp_path / KEYS_FILE).write_bytes(content)
    with pytest.raises(BadInput):
        load_platform(tmp_path)
