# SPDX-License-Identifier: Apache-2.0
"""``watchword ledger``: listing, checking, heads and export, in text and JSON."""

from __future__ import annotations

import json
import subprocess

import pytest

from watchword.core.cli import vault_options
from watchword.core.cli.ledger_command import _EXPORT_CHECK
from watchword.core.records.database import FILE_NAME, Records
from watchword.core.vault.header import OpenWith
from watchword.core.vault.keyring_access import KeyringAccess
from watchword.core.vault.keyring_way import KeyringWay
from watchword.core.vault.vault import Vault

from .ledger_support import CEK, FACTS, SECRET, append, changed, fill, forge


class MemoryBackend(dict):
    """A keyring for unit tests."""

    def get_password(self, service, user):
        return self.get((service, user))

    def set_password(self, service, user, password):
        self[service, user] = password

    def delete_password(self, service, user):
        self.pop((service, user), None)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    return tmp_path / "home"


@pytest.fixture
def ledger(home):
    fill(home)


def test_without_records_there_is_nothing_yet_and_nothing_is_made(command, home):
    listed = command("ledger", "list")
    assert (listed.status, listed.err) == (0, "")
    assert "nothing was recorded" in listed.out
    assert command("ledger", "list", "--json").json == {"ok": True, "entries": [], "more": False}
    assert command("ledger", "verify").status == 0
    assert command("ledger", "verify", "--json").json["head"] is None
    assert command("ledger", "affected", "--cek", CEK).status == 0
    for words in (("head",), ("export", "--out", home / "x")):
        outcome = command("ledger", *words, "--json")
        assert (outcome.status, outcome.code) == (6, "ledger-empty")
    assert not home.exists()


def test_records_that_are_gone_do_not_hold_against_a_known_head(command, home):
    outcome = command("ledger", "verify", "--head", "3:" + "5d" * 32, "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-cut")
    assert not home.exists()


def test_records_without_a_ledger_are_as_good_as_none(command, home):
    Records.open(home).close()
    assert "no such entry" in command("ledger", "list").out
    assert "nothing was recorded" in command("ledger", "verify").out
    assert command("ledger", "head", "--json").code == "ledger-empty"
    assert command("ledger", "export", "--out", home / "x", "--json").code == "ledger-empty"
    assert not (home / "x").exists()


def test_entries_are_listed_as_they_came(command, ledger):
    lines = command("ledger", "list").out.splitlines()
    assert [line.split()[2] for line in lines] == [
        "ledger-begun",
        "launch-prepared",
        "packet-sealed",
        "launch-running",
        "launch-refused",
        "packet-sealed",
    ]
    assert ["SIMULATED" in line for line in lines] == [False] * 5 + [True]
    assert "launch bad  guest vm1" in lines[4]
    assert lines[4].endswith("The VM runs under another policy")
    entries = command("ledger", "list", "--json").json["entries"]
    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert set(entries[1]) == {
        "sequence", "time", "kind", "launch", "simulated", "body", "previous", "hash",
    }  # fmt: skip
    assert entries[1]["body"] == FACTS


def test_the_list_is_narrowed_by_launch_kind_and_number(command, ledger):
    def sequences(*words):
        outcome = command("ledger", "list", *words, "--json").json
        return [entry["sequence"] for entry in outcome["entries"]], outcome["more"]

    assert sequences("--launch", "run") == ([2, 3, 4], False)
    assert sequences("--kind", "packet-sealed") == ([3, 6], False)
    assert sequences("--kind", "packet-sealed", "--kind", "launch-refused") == ([3, 5, 6], False)
    assert sequences("--launch", "run", "--kind", "packet-sealed") == ([3], False)
    assert sequences("--limit", "2") == ([5, 6], True)
    assert sequences("--limit", "6") == (list(range(1, 7)), False)
    assert sequences("--launch", "unknown") == ([], False)
    assert "older ones" in command("ledger", "list", "--limit", "2").out
    assert "no such entry" in command("ledger", "list", "--launch", "unknown").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--kind", "bogus"), "bad-arguments"),
        (("--limit", "-1"), "bad-arguments"),
        (("--launch", "a b"), "bad-launch-id"),
    ],
)
def test_a_list_of_what_can_not_be_is_refused(command, ledger, words, code):
    outcome = command("ledger", "list", *words, "--json")
    assert (outcome.status, outcome.code) == (2, code)


def test_what_a_host_wrote_does_not_steer_the_terminal(command, home):
    given = FACTS | {"guest": "\x1b[2J\u202e", "host": "a\nb", "secrets": [SECRET]}
    append(home, ("packet-sealed", "a", given))
    for words in (("list",), ("affected", "--cek", CEK)):
        out = command("ledger", *words).out
        assert "\\x1b[2J\\u202e" in out
        assert "a\\nb" in out
        assert "\x1b" not in out


def test_a_whole_ledger_verifies(command, ledger):
    outcome = command("ledger", "verify", "--json").json
    assert outcome == {
        "ok": True,
        "ledger_id": outcome["ledger_id"],
        "entries": 6,
        "simulated": 1,
        "head": outcome["head"],
        "first_time": outcome["first_time"],
        "last_time": outcome["last_time"],
        "known_heads": 0,
        "rollback": None,
    }
    shown = command("ledger", "verify")
    assert (shown.status, shown.err) == (0, "")
    assert "entries 1 to 6, 1 of them SIMULATED" in shown.out
    assert "{sequence}:{hash}".format(**outcome["head"]) in shown.out
    assert "only a head from earlier can show" in shown.out


def test_a_broken_chain_is_exit_3_and_names_the_entry(command, home, ledger):
    forge(home, changed(3))
    outcome = command("ledger", "verify", "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-broken")
    assert outcome.error["details"]["sequence"] == 3
    assert command("ledger", "list").status == 3
    assert command("ledger", "export", "--out", "nowhere").status == 3


def test_the_head_is_one_line_that_verify_takes_back(command, home, ledger):
    printed = command("ledger", "head")
    assert printed.status == 0
    head = printed.out.strip()
    assert head.startswith("6:")
    append(home, ("launch-abandoned", "bad", {}))
    shown = command("ledger", "verify", "--head", head)
    assert shown.status == 0
    assert "1 compared" in shown.out
    assert "only a head" not in shown.out


def test_a_head_in_a_file_shows_later_that_the_end_is_missing(command, home, ledger, tmp_path):
    path = tmp_path / "kept" / "head.json"
    written = command("ledger", "head", "--out", path, "--json").json
    assert written["path"] == str(path)
    assert written["text"] == "{sequence}:{hash}".format(**written)
    assert command("ledger", "verify", "--head", path).status == 0
    forge(home, "delete from ledger where sequence > 4")
    assert command("ledger", "verify").status == 0
    outcome = command("ledger", "verify", "--head", path, "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-cut")
    assert outcome.error["details"]["known"]["sequence"] == 6
    assert outcome.error["details"]["length"] == 4


def test_a_ledger_in_place_of_another_is_exit_3(command, home, ledger, tmp_path, monkeypatch):
    command("ledger", "head", "--out", tmp_path / "head.json")
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "other"))
    append(tmp_path / "other", *[("launch-prepared", "a", {})] * 9)
    outcome = command("ledger", "verify", "--head", tmp_path / "head.json", "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-rewritten")


@pytest.mark.parametrize("word", ["head", "export"])
def test_a_file_that_exists_is_not_written_over(command, ledger, tmp_path, word):
    path = tmp_path / "kept"
    path.write_text("older")
    outcome = command("ledger", word, "--out", path, "--json")
    assert (outcome.status, outcome.code) == (6, "file-exists")
    assert path.read_text() == "older"


def test_a_file_that_is_no_head_is_named(command, ledger, tmp_path):
    (tmp_path / "x").write_text("{}")
    outcome = command("ledger", "verify", "--head", tmp_path / "x", "--json")
    assert (outcome.status, outcome.code) == (6, "bad-ledger-head")
    assert outcome.error["details"]["field"] == "--head"
    assert command("ledger", "verify", "--head", "7:short", "--json").code == "file-missing"


# The export, checked as its help says


def shell_check(path):
    """What the lines of the help print about an exported file."""
    script = _EXPORT_CHECK[_EXPORT_CHECK.index("  before=") :].replace("FILE", '"$1"')
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_an_export_can_be_checked_with_a_shell_and_sha256sum(command, home, ledger, tmp_path):
    odd = {"text": 'back\\slash, "quotes", \n\t\x01 %s $HOME `id` ü \N{GRINNING FACE}', "n": []}
    append(home, ("launch-abandoned", "bad", odd | {"previous": "0" * 64, "record": {}}))
    path = tmp_path / "ledger.jsonl"
    outcome = command("ledger", "export", "--out", path, "--json").json
    assert (outcome["entries"], outcome["path"]) == (7, str(path))
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["record"]["sequence"] for line in lines] == list(range(1, 8))
    assert json.loads(lines[-1])["hash"] == outcome["head"]["hash"]
    assert json.loads(lines[-1])["record"]["body"]["text"] == odd["text"]
    assert shell_check(path) == ""


def test_the_check_with_a_shell_finds_what_was_changed(command, ledger, tmp_path):
    path = tmp_path / "ledger.jsonl"
    command("ledger", "export", "--out", path)
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole).replace("vm1", "vm2", 1))
    assert shell_check(path).startswith('altered: {"hash":')
    path.write_text("".join(whole[:2] + whole[3:]))
    assert shell_check(path).startswith('does not follow: {"hash":')
    path.write_text("".join([whole[0], whole[2], whole[1], *whole[3:]]))
    assert shell_check(path).count("does not follow") == 3


# The keyring's note


@pytest.fixture
def vault(monkeypatch, home):
    """A vault in a keyring in memory; gives a way to note a head there."""
    backend = MemoryBackend()

    def access():
        return KeyringAccess(5.0, lambda wanted: (wanted or "Memory", backend))

    monkeypatch.setattr(vault_options, "KeyringAccess", access)
    keyring = access()
    way = KeyringWay(keyring)
    Vault.create(home / "vault", way).close()

    def note(head):
        with Vault.open(home / "vault", {OpenWith.KEYRING: way}) as opened:
            assert opened.write_anchor(ledger_head=head)

    yield note
    keyring.close()


def test_an_older_copy_is_noticed_by_the_keyring(command, vault, home, ledger):
    shown = command("ledger", "verify", "--anchor")
    assert shown.status == 0
    assert "Rollback not detectable" in shown.out
    vault(command("ledger", "head").out.strip())
    assert command("ledger", "verify", "--anchor", "--json").json["rollback"] == "checked"
    forge(home, "delete from ledger where sequence = 6")
    assert command("ledger", "verify").status == 0
    outcome = command("ledger", "verify", "--anchor", "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-rolled-back")


def test_records_that_are_gone_are_noticed_by_the_keyring(command, vault, home, ledger):
    vault(command("ledger", "head").out.strip())
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    outcome = command("ledger", "verify", "--anchor", "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-rolled-back")
    assert not (home / FILE_NAME).exists()


def test_an_older_copy_is_accepted_with_a_reason_and_loudly(command, vault, home, ledger):
    vault(command("ledger", "head").out.strip())
    forge(home, "delete from ledger where sequence = 6")
    for reason in ("", "  "):
        refused = command("ledger", "accept-older", "--reason", reason, "--json")
        assert refused.status == 2
    outcome = command("ledger", "accept-older", "--reason", "the disk died")
    assert outcome.status == 0
    assert "must not be completed again" in outcome.out
    shown = command("ledger", "verify", "--anchor", "--json").json
    assert (shown["rollback"], shown["entries"]) == ("checked", 6)
    entry = command("ledger", "list", "--kind", "rollback-accepted", "--json").json["entries"][0]
    assert entry["body"]["reason"] == "the disk died"
    assert entry["body"]["anchored"]["sequence"] == 6
    assert entry["body"]["found"]["sequence"] == 5
    again = command("ledger", "accept-older", "--reason", "once more", "--json")
    assert (again.status, again.code) == (2, "no-older-copy")


def test_records_that_are_gone_are_accepted_with_a_reason(command, vault, home, ledger):
    vault(command("ledger", "head").out.strip())
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    outcome = command("ledger", "accept-older", "--reason", "the disk died", "--json").json
    assert outcome["found"] is None
    assert command("ledger", "verify", "--anchor", "--json").json["rollback"] == "checked"


def test_a_note_that_is_no_head_is_replaced_with_a_reason(command, vault, home, ledger):
    vault("something else")
    shown = command("ledger", "verify", "--anchor", "--json")
    assert (shown.status, shown.code) == (5, "ledger-anchor-damaged")
    command("ledger", "accept-older", "--reason", "the keyring was edited")
    assert command("ledger", "verify", "--anchor", "--json").json["rollback"] == "checked"


def test_without_a_note_there_is_nothing_to_accept(command, vault, home, ledger):
    outcome = command("ledger", "accept-older", "--reason", "the disk died", "--json")
    assert (outcome.status, outcome.code) == (2, "no-older-copy")
    for path in home.glob(f"{FILE_NAME}*"):
        path.unlink()
    outcome = command("ledger", "accept-older", "--reason", "the disk died", "--json")
    assert (outcome.status, outcome.code) == (2, "no-older-copy")
    assert not (home / FILE_NAME).exists()


def test_a_ledger_that_is_damaged_is_not_accepted(command, vault, home, ledger):
    vault(command("ledger", "head").out.strip())
    forge(home, "delete from ledger where sequence in (3, 6)")
    outcome = command("ledger", "accept-older", "--reason", "the disk died", "--json")
    assert (outcome.status, outcome.code) == (3, "ledger-broken")


def test_looking_at_the_note_does_not_change_it(command, vault, home, ledger):
    vault(command("ledger", "head").out.strip())
    append(home, ("launch-abandoned", "bad", {}))
    for _ in range(2):
        assert command("ledger", "verify", "--anchor").status == 0


def test_without_a_vault_there_is_no_note_to_compare_with(command, ledger):
    outcome = command("ledger", "verify", "--anchor", "--json")
    assert (outcome.status, outcome.code) == (5, "vault-missing")
