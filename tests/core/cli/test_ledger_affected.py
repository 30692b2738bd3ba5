# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger affected``: what is found, how it is said, and in a damaged ledger too."""

from __future__ import annotations

import hashlib

import pytest

from .ledger_support import CEK, FIRMWARE, SECRET, changed, fill, forge


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def ledger(home):
    fill(home)


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "OVMF.fd"
    path.write_bytes(FIRMWARE)
    return path


def test_affected_launches_are_listed_with_their_secrets(command, ledger):
    answer = command("ledger", "affected", "--generation", "milan", "--json").json
    assert [launch["launch"] for launch in answer["given"]] == ["run"]
    assert answer["given"][0]["secrets"] == [SECRET]
    assert [launch["launch"] for launch in answer["refused"]] == ["bad"]
    assert [launch["launch"] for launch in answer["undecided"]] == ["toy"]
    assert answer["without_secret"] == []
    assert answer["searched"]["generation"] == "milan"
    shown = command("ledger", "affected", "--generation", "milan")
    assert (shown.status, shown.err) == (0, "")
    assert "launch run, guest vm1" in shown.out
    assert "from vault entry vm1/disk, 45 bytes" in shown.out
    assert "SIMULATED launch toy" in shown.out
    assert "replace them" in shown.out


@pytest.mark.parametrize(
    "words",
    [
        ("--cek", CEK.upper()),
        ("--build", "1.49.3"),
        ("--build", "<=1.49.3"),
        ("--build", "3"),
        ("--firmware", hashlib.sha256(FIRMWARE).hexdigest()),
        ("--generation", "milan", "--build", "<1.55.24"),
        ("--advisory", "root seed"),
    ],
    ids=" ".join,
)
def test_each_criterion_finds_the_launch(command, ledger, words):
    answer = command("ledger", "affected", *words, "--json").json
    assert "run" in [launch["launch"] for launch in answer["given"]]


def test_a_firmware_is_found_by_its_file(command, ledger, firmware):
    answer = command("ledger", "affected", "--firmware", firmware, "--json").json
    assert [launch["launch"] for launch in answer["given"]] == ["run", "toy"]
    firmware.write_bytes(b"another")
    shown = command("ledger", "affected", "--firmware", firmware)
    assert "No launch in the ledger" in shown.out


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ((), 2, "nothing-to-search"),
        (("--cek", "c0"), 2, "bad-fingerprint"),
        (("--generation", "zen"), 2, "unknown-generation"),
        (("--build", "1.49.3.1"), 2, "bad-build"),
        (("--advisory", "none"), 2, "unknown-advisory"),
        (("--firmware", "no-such-file"), 6, "file-missing"),
    ],
)
def test_a_search_for_nothing_in_particular_is_refused(command, ledger, words, status, code):
    outcome = command("ledger", "affected", *words, "--json")
    assert (outcome.status, outcome.code) == (status, code)


def test_a_damaged_ledger_is_searched_and_exit_3(command, home, ledger):
    forge(home, changed(5))
    outcome = command("ledger", "affected", "--cek", CEK, "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-broken")
    assert [launch["launch"] for launch in outcome.json["given"]] == ["run", "toy"]
    shown = command("ledger", "affected", "--cek", CEK)
    assert shown.status == 3
    assert "launch run" in shown.out
    assert "there may be more" in shown.out
    assert "Entry 5" in shown.err
