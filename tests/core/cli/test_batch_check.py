# SPDX-License-Identifier: Apache-2.0
"""``watchword --batch``: its command line, and checking a manifest without starting anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .batch_support import cek_fingerprint, lines, outcomes


def test_a_sound_manifest_passes_the_check_and_nothing_is_begun(batches, batch_home):
    shown = batches(batches.manifest("a", "b"), "--check")
    assert shown.status == 0
    checked = lines(shown.out)[-1]
    assert (checked["ok"], checked["event"], checked["launches"]) == (True, "checked", 2)
    assert checked["vault_checked"] is True
    assert "2 launches are in order" in shown.err
    assert not list(batch_home.path.glob("records*"))
    assert not (batches.folder / "out").exists()


@pytest.mark.parametrize("words", [(), ("--check",), ("--phase", "complete")])
def test_everything_that_is_wrong_is_told_and_nothing_is_begun(batches, batch_home, words):
    batch_home.profile("db", secrets={"disk-passphrase": "db/disk"})
    batch_home.profile("unpinned", ceks=[])
    text = (
        batches.manifest("a")
        + '[[launch]]\nname = "b"\nguest = "db"\nwhen = "now"\n'
        + '[[launch]]\nname = "c"\nguest = "unpinned"\n'
    )
    shown = batches(text, *words)
    assert shown.status == 6
    error = lines(shown.out)[-1]["error"]
    assert error["code"] == "manifest-invalid"
    places = [(one["path"], one["line"]) for one in error["details"]["problems"]]
    assert places == [
        (["launch", 1, "guest"], 9),
        (["launch", 1, "when"], 10),
        (["launch", 2, "guest"], 13),
    ]
    for line in (9, 10, 13):
        assert f"line {line}, launch[" in shown.err
    assert not list(batch_home.path.glob("records*"))
    assert not (batches.folder / "out").exists()


def test_what_a_batch_does_not_allow_is_a_refusal(batches, batch_home):
    batch_home.profile("weak", policy="0x1100002e")
    text = batches.manifest("a").replace('guest = "web"', 'guest = "weak"')
    for words in ((), ("--check",)):
        shown = batches(text, *words)
        assert shown.status == 3
        assert lines(shown.out)[-1]["error"]["code"] == "manifest-refused"
    assert batches(text, "--waive-policy", "because").status == 2


def test_a_check_without_the_passphrase_says_what_it_did_not_look_at(batches, batch_home, command):
    batch_home.profile("db", secrets={"disk-passphrase": "no such entry".replace(" ", "-")})
    words = batches.words(batches.manifest("a").replace('"web"', '"db"'), "--check")
    shown = command(
        *(word for word in words if word not in ("--passphrase-file", batch_home.passphrase))
    )
    assert shown.status == 0
    assert lines(shown.out)[-1]["vault_checked"] is False
    assert "entries were not checked" in shown.err


def test_a_vault_that_does_not_open_is_told_after_what_is_wrong_with_the_manifest(
    batches, batch_home
):
    batch_home.passphrase.write_text("something else\n")
    assert batches(batches.manifest("a")).status == 5
    shown = batches(batches.manifest("a") + "bogus = 1\n")
    assert shown.status == 6
    assert "bogus" in shown.err


def test_a_manifest_that_is_not_there_is_an_error_like_all_others(command, batch_home):
    shown = command("--batch", "/nowhere/fleet.toml")
    assert shown.status == 6
    assert lines(shown.out)[-1]["error"]["code"] == "file-missing"
    assert "no such file" in shown.err


# -- the command line --------------------------------------------------------------


def test_help_shows_an_example_and_is_found(command):
    shown = command("--batch", "--help")
    assert (shown.status, shown.err) == (0, "")
    assert "example:\n  watchword --batch" in shown.out
    assert "--batch FLEET.toml" in command("--help").out


@pytest.mark.parametrize(
    "words", [("--batch",), ("--batch", "x", "bogus"), ("--batch", "x", "--phase", "half")]
)
def test_usage_errors_are_told(command, words):
    assert command(*words).status == 2


def test_a_manifest_may_be_called_like_a_command(command, batch_home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shown = command("--batch", "guest")
    assert lines(shown.out)[0]["manifest"] == "guest"
    assert command("--batch=guest").status == shown.status == 6


def test_other_commands_do_not_load_the_batch():
    code = (
        "import sys\nfrom watchword.core.cli.main import build_parser\n"
        "for words in ([], ['guest'], ['vault'], ['measurement', '--batch']):\n"
        "    build_parser(words)\n"
        "print([name for name in sys.modules if 'batch' in name])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert shown.stdout.strip() == "[]"


# -- profiles in the manifest --------------------------------------------------------


def with_inline(batches, home):
    """A manifest that says itself what goes where, as somebody else could have made it."""
    file = home.store.load("web").profile.firmware[0]
    return batches.manifest("a") + (
        '[[launch]]\nname = "b"\n[launch.profile]\ntechnology = "sev-es"\npolicy = "default"\n'
        f'vcpus = 2\ncpu = "EPYC-Milan"\nceks = "{cek_fingerprint(home.keys)}"\n'
        f'firmware = {{path = "{file.path}", sha256 = "{file.sha256}",'
        " approved = 2026-11-23T14:00:00Z}\n"
        'secrets = {disk-passphrase = "web/disk"}\n'
    )


def test_the_check_says_what_profiles_in_the_manifest_would_send_where(batches, batch_home):
    shown = batches(with_inline(batches, batch_home), "--check")
    assert shown.status == 0
    host, cek = f"qmp+unix://{batches.folder}/b.sock", cek_fingerprint(batch_home.keys)
    inline = [{"name": "b", "entries": ["web/disk"], "host": host, "ceks": [cek]}]
    assert lines(shown.out)[-1]["inline"] == inline
    (told,) = [line for line in shown.err.splitlines() if "web/disk" in line]
    assert host in told
    assert cek in told


@pytest.mark.parametrize("phase", ["prepare", "complete", "all"])
def test_profiles_in_the_manifest_are_run_with_a_word_of_the_owners_alone(
    batches, batch_home, phase
):
    text = with_inline(batches, batch_home)
    shown = batches(text, "--phase", phase)
    assert shown.status == 2
    error = lines(shown.out)[-1]["error"]
    assert (error["code"], error["details"]["launches"]) == ("inline-not-allowed", ["b"])
    assert "web/disk" in shown.err
    assert not list(batch_home.path.glob("records*"))
    assert not (batches.folder / "out").exists()


def test_profiles_in_the_manifest_are_run_where_they_are_allowed(batches, batch_home):
    text = with_inline(batches, batch_home)
    shown = batches(text, "--phase", "prepare", "--allow-inline")
    assert (shown.status, outcomes(lines(shown.out))) == (0, {"a": "prepared", "b": "prepared"})
    assert "web/disk" in shown.err
