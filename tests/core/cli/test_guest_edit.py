# SPDX-License-Identifier: Apache-2.0
"""``guest edit``: changes shown before and after, explicit approving, editors held in check."""

from __future__ import annotations

import shlex
import sys

import pytest

from .guest_support import HASH, hash_of

ES = ("--vcpus", "1-2", "--cpu", "EPYC-Milan")


@pytest.fixture
def edit(guests):
    """Adds a SEV-ES profile; ``edit("--set", …)`` changes it, to JSON."""
    guests.add("--kernel", guests.kernel, *ES, policy="default")
    return lambda *words: guests("edit", "vm1", *words, "--json")


@pytest.fixture
def editor(monkeypatch, guests):
    """``editor("…")``: Python code that edits ``text``, as $EDITOR."""

    def use(code, status=0):
        program = guests.home / "editor.py"
        program.write_text(
            "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\ntext = path.read_text()\n"
            f"{code}\npath.write_text(text)\nsys.exit({status})\n"
        )
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(program)]))

    return use


def copies(guests):
    return [path for path in (guests.home / "guests").iterdir() if path.name.startswith(".vm1-")]


def test_a_change_is_shown_before_and_after(edit, guests):
    made = edit("--set", "vcpus=1-8", "--set", 'cpu=["EPYC", "25/1/1"]', "--set", "vmsa=legacy")
    assert made.status == 0
    changes = {
        change["key"]: (change["before"], change["after"]) for change in made.json["changes"]
    }
    assert changes == {
        "vcpus": ("1-2", "1-8"),
        "cpu": (["EPYC-Milan"], ["EPYC", "25/1/1"]),
        "vmsa": (None, "legacy"),
    }
    assert guests.profile() == made.json["profile"]
    assert "vcpus: 1-8 -> 4" in guests("edit", "vm1", "--set", "vcpus=4").out


def test_the_technology_follows_the_policy(edit, guests):
    made = edit("--set", "policy=0x1100002b")
    assert [change["key"] for change in made.json["changes"]] == ["technology", "policy"]
    assert guests.profile()["technology"] == "sev"
    assert edit("--set", "technology=sev-es").code == "profile-invalid"


def test_secrets_are_set_and_unset_by_name(edit, guests):
    edit("--set", "secrets.disk-passphrase=vm1/disk", "--set", "secrets.kata-bundle=kata")
    assert guests.profile()["secrets"] == {"disk-passphrase": "vm1/disk", "kata-bundle": "kata"}
    edit("--unset", "secrets.kata-bundle")
    assert guests.profile()["secrets"] == {"disk-passphrase": "vm1/disk"}
    edit("--unset", "secrets.disk-passphrase")
    assert "secrets" not in guests.profile()
    assert edit("--unset", "secrets.disk-passphrase").code == "not-in-profile"


def test_an_unsound_change_leaves_the_old_profile(edit, guests):
    before = guests.path().read_bytes()
    made = edit("--set", "vcpus=0", "--set", "route=x", "--set", "cmdline=fine")
    assert (made.status, made.code) == (6, "profile-invalid")
    assert made.error["details"]["count"] == 2
    assert guests.path().read_bytes() == before


def test_a_changed_file_stays_a_difference_until_it_is_approved_by_name(edit, guests):
    old = hash_of(guests.kernel)
    guests.kernel.write_bytes(b"another kernel")
    assert edit("--set", "description=x", "--approve", "firmware").json["approved"] == []
    assert guests("check", "vm1").status == 6
    made = edit("--approve", "kernel")
    [approval] = made.json["approved"]
    assert (approval["old_sha256"], approval["new_sha256"]) == (old, hash_of(guests.kernel))
    assert approval["changed"] is True
    assert guests("check", "vm1").status == 0


def test_old_and_new_hashes_are_printed(edit, guests):
    old = hash_of(guests.kernel)
    guests.kernel.write_bytes(b"another kernel")
    shown = guests("edit", "vm1", "--approve", "firmware", "kernel", "--keep-old")
    assert f"old SHA-256  {old}" in shown.out
    assert f"new SHA-256  {hash_of(guests.kernel)}" in shown.out
    assert len(guests.profile()["kernel"]) == 2
    assert "approved firmware" not in shown.out
    assert guests("edit", "vm1", "--approve", "all").out == "Nothing changed.\n"


def test_sets_grow_and_shrink(edit, guests):
    other = guests.home / "vmlinuz-2"
    other.write_bytes(b"kernel two")
    made = edit(
        *("--add", f"kernel={other}", "--add", f"kernel={HASH}", "--add", "cpu=EPYC-Rome"),
        *("--add", "cmdline=a, b", "--add", "cmdline=c", "--add", f"ceks={HASH}"),
    )
    assert made.status == 0
    profile = guests.profile()
    assert [entry["sha256"] for entry in profile["kernel"]] == [
        hash_of(guests.kernel),
        hash_of(other),
        HASH,
    ]
    assert profile["cmdline"] == ["a, b", "c"]
    assert guests("check", "vm1").status == 0
    edit(
        *("--drop", f"kernel={guests.kernel}", "--drop", f"kernel={HASH[:8]}"),
        *("--drop", "cpu=EPYC-Milan", "--drop", "cmdline=c", "--drop", f"ceks={HASH}"),
    )
    profile = guests.profile()
    assert [entry["path"] for entry in profile["kernel"]] == [str(other)]
    assert (profile["cpu"], profile["cmdline"]) == (["EPYC-Rome"], ["a, b"])
    assert "ceks" not in profile


def test_a_file_that_is_named_already_is_approved_not_added(edit, guests):
    guests.kernel.write_bytes(b"another kernel")
    assert edit("--add", f"kernel={guests.kernel}").code == "already-in-profile"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "bad-change"),
        (("--set", "vcpus"), "bad-change"),
        (("--set", "firmware=/x"), "bad-change"),
        (("--set", "nmae=x"), "bad-change"),
        (("--set", "cpu=[1"), "profile-not-toml"),
        (("--set", 'cpu=["EPYC"]\nx=1'), "bad-change"),
        (("--add", "vcpus=2"), "bad-change"),
        (("--add", "kernel=/no/such/file"), "file-missing"),
        (("--drop", "kernel=/no/such/file"), "not-in-profile"),
        (("--unset", "firmware"), "profile-invalid"),
        (("--unset", "route"), "not-in-profile"),
        (("--unset", "x"), "bad-change"),
        (("--approve", "/srv/OVMF.fd"), "no-such-component"),
        (("--set", "oca=/no/such/file"), "file-missing"),
        (("--set", "host=ftp://x"), "bad-host-url"),
        (("--editor",), "bad-change"),
        (("--from", "x"), "bad-change"),
        (("--keep-old",), "bad-change"),
    ],
)
def test_changes_that_make_no_sense_are_refused(edit, guests, words, code):
    before = guests.path().read_bytes()
    assert edit(*words).code == code
    assert guests.path().read_bytes() == before


def test_comments_are_said_to_be_lost(edit, guests):
    text = guests.path().read_text()
    guests.path().write_text(f"# mine\n{text}")
    made = edit("--set", "description=x")
    assert "comments are not kept" in made.err
    assert "comments" not in edit("--set", "description=y").err


def test_an_owner_ca_is_set_from_its_certificate(edit, guests, platform):
    assert edit("--set", f"oca={platform / 'oca.cert'}").status == 0
    pinned = guests.profile()["oca"]
    assert pinned["path"] == str(platform / "oca.cert")
    assert edit("--set", f"oca={pinned['sha256']}").json["profile"]["oca"] == {
        "sha256": pinned["sha256"]
    }


def test_what_the_editor_leaves_is_stored_as_it_was_typed(edit, guests, editor):
    editor("text = '# mine\\n' + text.replace('\"1-2\"', '4')")
    made = guests("edit", "vm1", "--editor")
    assert (made.status, made.err) == (0, "")
    assert "vcpus: 1-2 -> 4" in made.out
    assert guests.path().read_text().startswith("# mine\n")
    assert copies(guests) == []


def test_an_editor_that_changes_nothing_changes_nothing(edit, guests, editor):
    before = guests.path().read_bytes()
    editor("pass")
    assert guests("edit", "vm1", "--editor").out == "Nothing changed.\n"
    assert guests.path().read_bytes() == before


def test_an_unsound_text_is_kept_and_named_and_the_old_profile_stays(edit, guests, editor):
    before = guests.path().read_bytes()
    editor("text = text.replace('EPYC-Milan', 'EPYC-Millan')")
    made = guests("edit", "vm1", "--editor")
    assert made.status == 6
    [copy] = copies(guests)
    assert str(copy) in made.err
    assert "EPYC-Millan" in copy.read_text()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert guests.path().read_bytes() == before
    assert guests("list", "--json").json["guests"][0]["name"] == "vm1"
    editor("text = text.replace('EPYC-Millan', 'EPYC-Rome')")
    assert guests("edit", "vm1", "--editor", "--from", copy).status == 0
    assert guests.profile()["cpu"] == ["EPYC-Rome"]


def test_a_change_made_meanwhile_is_not_overwritten_by_the_editor(edit, guests, editor):
    editor(
        f"other = pathlib.Path({str(guests.path())!r})\n"
        "other.write_text('# theirs\\n' + other.read_text())\ntext = '# mine\\n' + text"
    )
    made = guests("edit", "vm1", "--editor")
    assert made.status == 6
    assert guests.path().read_text().startswith("# theirs")
    assert copies(guests)[0].read_text().startswith("# mine")


def test_an_editor_that_fails_changes_nothing(edit, guests, editor, monkeypatch):
    before = guests.path().read_bytes()
    editor("text = ''", status=3)
    made = guests("edit", "vm1", "--editor")
    assert made.status == 2
    assert "status 3" in made.err
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert guests("edit", "vm1", "--editor").status == 2
    for words in ("", "'unclosed"):
        monkeypatch.setenv("EDITOR", words)
        assert "EDITOR" in guests("edit", "vm1", "--editor").err
    assert guests.path().read_bytes() == before
    assert copies(guests) == []


def test_what_a_watch_may_do_is_set_key_by_key(edit, guests):
    edit("--set", "watch.instances_at_most=5", "--set", "watch.first_firmware=ask")
    assert guests.profile()["watch"] == {"instances_at_most": 5, "first_firmware": "ask"}
    edit("--set", "watch.starts_per_hour=7", "--unset", "watch.first_firmware")
    assert guests.profile()["watch"] == {"instances_at_most": 5, "starts_per_hour": 7}
    assert "5 live at most, 7 starts an hour" in guests("show", "vm1").out
    assert edit("--unset", "watch.nothing").code == "not-in-profile"
    assert edit("--set", "watch.instances_at_most=0").code == "profile-invalid"
    assert edit("--unset", "watch").status == 0
    assert "watch" not in guests.profile()
