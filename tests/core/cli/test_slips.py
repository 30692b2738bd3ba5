# SPDX-License-Identifier: Apache-2.0
"""Slips that people make, and what they are told."""

from __future__ import annotations

import base64

import pytest

from watchword.core.cli.hex_text import parse_hex, parse_nonce
from watchword.core.cli.launch_output import describe_secret
from watchword.core.cli.output import grouped
from watchword.core.cli.simulated_guest import socket_address
from watchword.core.errors import BadInput
from watchword.core.launch.sev_plan import SecretOrder, prepare_secrets
from watchword.core.secret import Secret
from watchword.core.sev.measurement import ReportedMeasurement
from watchword.core.sev.secret_table import DISK_PASSPHRASE, Route


def test_a_digest_is_read_back_in_the_groups_that_it_was_printed_in():
    digest = bytes(range(32))
    assert parse_hex(grouped(digest.hex()), "--launch-digest", 32) == digest


def test_a_nonce_is_read_in_hex_and_in_the_base64_that_qmp_takes():
    nonce = bytes(range(16))
    assert parse_nonce(nonce.hex(), "--nonce") == nonce
    assert parse_nonce(base64.b64encode(nonce).decode(), "--nonce") == nonce


def test_a_measurement_in_hex_is_told_from_the_blob_that_hosts_report():
    with pytest.raises(BadInput) as refusal:
        ReportedMeasurement.from_base64("00c72733" * 8)
    assert refusal.value.code == "measurement-in-hex"


@pytest.mark.parametrize(("data", "warned"), [(b"hunter2\n", True), (b"hunter2", False)])
def test_a_newline_after_a_passphrase_is_pointed_out(data, warned):
    order = SecretOrder("disk-passphrase", DISK_PASSPHRASE, lambda: Secret(data))
    (note,) = prepare_secrets([order], Route.GRUB).notes
    assert note["ends_with_newline"] is warned
    assert ("newline" in describe_secret(note)) is warned


def test_a_passphrase_in_the_place_of_its_file_is_not_repeated(command, tmp_path):
    from watchword.core.cli.secret_options import _read_file

    with pytest.raises(BadInput) as refusal:
        _read_file("hunter2-is-my-passphrase")
    assert "hunter2" not in str(refusal.value.as_json())
    assert "NAME=FILE" in refusal.value.remedy


def test_a_simulator_says_where_it_listens_as_an_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert socket_address("vm1.sock") == tmp_path / "vm1.sock"


@pytest.mark.parametrize(
    "words", [("digest",), ("measurement", "compute"), ("measurement", "verify")]
)
def test_every_command_refuses_a_firmware_whose_table_is_damaged(command, vectors, tmp_path, words):
    # Under plain SEV the digest is the file's hash, and the table is easily not looked at.
    image = bytearray((vectors / "firmware" / "OVMF_CODE.fd").read_bytes())
    image[-50:-48] = b"\3\0"  # the length of the table
    firmware, keys = tmp_path / "broken.fd", tmp_path / "tk.bin"
    firmware.write_bytes(image)
    keys.write_bytes(bytes(32))
    host = ("--tk", keys, "--api", "1.49", "--build", "6", "--policy", "1")
    more = {
        "digest": (),
        "compute": (*host, "--nonce", "00" * 16),
        "verify": (*host, "--reported", "A" * 64),
    }
    outcome = command(*words, "--firmware", firmware, *more[words[-1]], "--json")
    assert (outcome.status, outcome.code) == (6, "firmware-table-broken")


@pytest.fixture
def reported(command, tmp_path):
    """Gives something that is no measurement to ``--reported``; the refusal's own words."""
    (tmp_path / "tik.bin").write_bytes(bytes(16))
    host = ("--tik", tmp_path / "tik.bin", "--api", "1.49", "--build", "6", "--policy", "1")

    def give(text):
        words = ("--launch-digest", "00" * 32, "--reported", text, "--json")
        outcome = command("measurement", "verify", *host, *words)
        assert outcome.status == 6
        return outcome.json["error"]

    return give


def test_a_measurement_that_may_be_a_files_name_is_told_as_that_too(reported, tmp_path):
    error = reported(tmp_path / "answer.json")
    assert "Nor can a file of that name be read." in error["message"]
    assert "check the path" in error["remedy"]
    assert "file" not in reported("AAAA")["message"]  # which is base64 by each of its letters


def test_a_folder_in_the_place_of_a_measurement_is_called_a_folder(reported, tmp_path):
    assert reported(tmp_path)["code"] == "file-is-folder"


@pytest.mark.parametrize("words", [("platform", "verify"), ("convert", "--to", "sevctl")])
def test_a_folder_without_known_files_is_told_from_one_that_is_not_taken(command, tmp_path, words):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes").write_text("none of theirs")
    out = ("--out", tmp_path / "out") if words[0] == "convert" else ()
    outcome = command(*words, tmp_path / "in", *out, "--json")
    assert (outcome.status, outcome.code) == (6, "file-is-folder")
    assert "sev-tool, sevctl or libvirt" in outcome.json["error"]["message"]


@pytest.mark.parametrize("option", ["--batch", "--watch"])
def test_a_wrong_option_of_a_batch_names_the_help_that_lists_the_right_ones(command, option):
    outcome = command(option, "settings.toml", "--such", "--json")
    assert (outcome.status, outcome.code) == (2, "bad-arguments")
    assert outcome.json["error"]["remedy"] == f"See `watchword {option} --help`."


@pytest.mark.parametrize("head", ["13:00ff", "13:", "013:" + "0" * 64, "1:" + "A" * 64])
def test_a_head_that_was_copied_in_part_is_not_taken_for_a_file(command, head):
    outcome = command("ledger", "verify", "--head", head, "--json")
    assert (outcome.status, outcome.code) == (2, "bad-ledger-head")
