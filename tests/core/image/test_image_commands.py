# SPDX-License-Identifier: Apache-2.0
"""``image inspect``, ``check`` and ``rekey`` as they are typed: words, JSON, exit statuses."""

from __future__ import annotations

import json

import pytest

from watchword.core.cli.command import Parser
from watchword.core.cli.image_look_command import register as register_look
from watchword.core.cli.image_rekey_command import register as register_rekey
from watchword.core.cli.output import Console
from watchword.core.errors import BadInput, ExitStatus, UsageError
from watchword.core.secret import Secret

from .disk_support import BOOT_KEY, ENTRY, RECOVERY, RECOVERY_KEY


@pytest.fixture
def image(desk, tmp_path, monkeypatch, capsys):
    """Runs a command of the image group over the desk's vault and records."""
    monkeypatch.setenv("WATCHWORD_HOME", str(desk.home))
    secret = tmp_path / "passphrase"
    secret.write_bytes(b"the passphrase of a test vault\n")

    def call(*words):
        parser = Parser(prog="watchword image")
        group = parser.add_subparsers(required=True, parser_class=Parser)
        register_look(group)
        register_rekey(group)
        opening = () if words[0] == "inspect" else ("--passphrase-file", str(secret))
        arguments = parser.parse_args([str(word) for word in (*words, *opening)])
        console = Console(as_json=arguments.json)
        result = arguments.run(arguments, console)
        console.result(result)
        shown = capsys.readouterr()
        assert not any(
            key.decode() in shown.out + shown.err for key in (BOOT_KEY, RECOVERY_KEY, desk.value())
        )
        return result.status, json.loads(shown.out) if arguments.json else shown.out + shown.err

    return call


def test_an_image_is_inspected_given_a_new_key_and_checked(image, disk, desk):
    path, copy = disk(2, "qcow2"), disk(2, "qcow2", name="copy")
    status, words = image("inspect", path)
    assert status == ExitStatus.OK
    assert "EFI system partition" in words
    assert "slot 0  PBKDF2-sha256, 1000 iterations (for random keys only)" in words
    assert "right for a random boot key" in words
    status, words = image("rekey", path, "--entry", ENTRY, "--recovery", RECOVERY)
    assert status == ExitStatus.OK
    assert "The vault has exchanged the keys." in words
    assert "Copies of the image from before still open with the old key" in words
    status, words = image("check", path, "--entry", ENTRY, "--recovery", RECOVERY)
    assert status == ExitStatus.OK
    assert f"{ENTRY} opens slot 2" in words
    assert f"{RECOVERY} opens slot 1" in words
    status, words = image("check", copy, "--entry", ENTRY)
    assert status == ExitStatus.REFUSED
    assert "The image is an older copy." in words
    status, told = image("inspect", copy, "--json")
    assert told["history"]["standing"] == "older-copy"
    assert told["history"]["entry"] == ENTRY


def test_the_recovery_key_that_the_ledger_names_is_tried_by_itself(image, disk):
    path = disk()
    image("rekey", path, "--entry", ENTRY, "--recovery", RECOVERY)
    status, told = image("rekey", path, "--entry", ENTRY, "--json")
    assert status == ExitStatus.OK
    assert told["recovery_slot"] == 1
    assert told["added_slot"] == 0


def test_a_wrong_key_is_refused_with_status_3(image, disk, desk):
    with desk.vault() as vault:
        vault.add(ENTRY, vault.info(ENTRY).kind, Secret(b"x" * 44), replace=True)
    status, told = image("check", disk(), "--entry", ENTRY, "--json")
    assert status == ExitStatus.REFUSED
    assert told["error"]["code"] == "image-key-wrong"
    assert told["keys"] == [{"entry": ENTRY, "slot": None}]


def test_files_that_are_no_encrypted_images_are_told_apart(image, tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(1 << 20))
    status, words = image("inspect", plain)
    assert status == ExitStatus.OK
    assert "Nothing in it is encrypted: the host reads all of it." in words
    for name, code in (("plain", "image-not-encrypted"), ("missing", "file-missing")):
        with pytest.raises(BadInput) as caught:
            image("check", tmp_path / name, "--entry", ENTRY)
        assert caught.value.code == code
    with pytest.raises(BadInput) as caught:
        image("inspect", tmp_path)
    assert caught.value.code in ("file-unreadable", "file-not-regular")
    with pytest.raises(UsageError):
        image("check", plain)
