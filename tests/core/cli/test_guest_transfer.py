# SPDX-License-Identifier: Apache-2.0
"""``guest export`` and ``guest import``: nothing secret leaves, and nothing counts by itself."""

from __future__ import annotations

import tomllib

import pytest

from .guest_support import HASH, PLAIN, hash_of

HOST = "qmp+unix:///run/vm1.sock"


@pytest.fixture
def exported(guests):
    """A profile with a host and a secret, exported to a file."""
    guests.add(
        *("--host", HOST, "--secret", "disk-passphrase=vm1/disk", "--kernel-sha256", HASH),
    )
    path = guests.home / "vm1-exported.toml"
    assert guests("export", "vm1", "--out", path).status == 0
    return path


def test_what_is_exported_reads_back_the_same(guests, exported):
    assert tomllib.loads(exported.read_text()) == tomllib.loads(guests.path().read_text())
    assert exported.stat().st_mode & 0o777 == 0o600
    printed = guests("export", "vm1")
    assert printed.out == exported.read_text()
    assert guests("export", "vm1", "--json").json["toml"] == exported.read_text()


def test_the_host_can_be_left_out(guests, exported):
    printed = guests("export", "vm1", "--redact-host").out
    assert "host" not in tomllib.loads(printed)
    assert guests.profile()["host"] == HOST


def test_an_export_overwrites_nothing(guests, exported):
    before = exported.read_bytes()
    again = guests("export", "vm1", "--out", exported, "--json")
    assert (again.status, again.code) == (6, "file-exists")
    assert exported.read_bytes() == before


def test_an_import_shows_what_it_would_approve_and_approves_nothing(guests, exported):
    made = guests("import", exported, "--name", "vm2")
    assert made.status == 0
    assert hash_of(guests.firmware) in made.out
    assert "NOT APPROVED YET" in made.out
    assert "Nothing in it is approved yet." in made.out
    assert "vm1/disk" in made.out
    profile = guests.profile("vm2")
    assert all("approved" not in entry for key in ("firmware", "kernel") for entry in profile[key])
    checked = guests("check", "vm2", "--json")
    assert (checked.status, checked.code) == (6, "not-approved")
    assert len(checked.error["details"]["not_approved"]) == 2


def test_what_was_imported_counts_once_it_was_approved(guests, exported):
    guests("import", exported, "--name", "vm2")
    assert guests("edit", "vm2", "--approve", "all").status == 0
    assert guests("check", "vm2").status == 0
    made = guests("import", exported, "--name", "vm3", "--accept", "--json")
    assert made.json["approved"] is True
    assert guests("check", "vm3").status == 0


def test_accepting_a_claim_does_not_make_a_different_file_right(guests, exported):
    guests.firmware.write_bytes(guests.firmware.read_bytes() + bytes(4096))
    guests("import", exported, "--name", "vm2", "--accept")
    assert guests("check", "vm2", "--json").code == "approved-file-changed"


def test_the_host_is_taken_only_when_asked_for(guests, exported):
    made = guests("import", exported, "--name", "vm2", "--json")
    assert made.json["host_left_out"] == HOST
    assert "host" not in guests.profile("vm2")
    assert "--accept-host" in guests("import", exported, "--name", "vm3").out
    guests("import", exported, "--name", "vm4", "--accept-host")
    assert guests.profile("vm4")["host"] == HOST


def test_a_crafted_host_is_refused_even_when_asked_for(guests, exported):
    text = exported.read_text().replace(HOST, "qmp+tcp://-oProxyCommand=x:1")
    exported.write_text(text)
    made = guests("import", exported, "--name", "vm2", "--accept-host", "--json")
    assert (made.status, made.code) == (2, "bad-host-url")
    assert not guests.path("vm2").exists()
    assert guests("import", exported, "--name", "vm2").status == 0


def test_references_are_kept_and_named(guests, exported):
    made = guests("import", exported, "--name", "vm2", "--json")
    assert made.json["vault_entries"] == ["vm1/disk"]
    assert guests.profile("vm2")["secrets"] == {"disk-passphrase": "vm1/disk"}


def test_a_name_that_is_taken_is_not_overwritten(guests, exported):
    before = guests.path().read_bytes()
    made = guests("import", exported, "--json")
    assert (made.status, made.code) == (6, "guest-exists")
    assert guests.path().read_bytes() == before


def test_a_name_in_the_file_cannot_lead_out_of_the_folder(guests, exported):
    exported.write_text(exported.read_text().replace('"vm1"', '"../vm1"'))
    made = guests("import", exported, "--json")
    assert (made.status, made.code) == (6, "profile-invalid")
    assert guests("import", exported, "--name", "../x", "--json").status == 6


def test_a_profile_with_a_secret_in_it_is_refused_and_not_repeated(guests, exported):
    value = "Zm9vYmFyYmF6cXV4QUJDREVGMDEyMzQ1Njc4"
    exported.write_text(exported.read_text().replace("vm1/disk", value))
    made = guests("import", exported, "--name", "vm2")
    assert made.status == 6
    assert "secrets.disk-passphrase" in made.err
    assert value not in made.out + made.err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN X-----", b"a = [" * 9000])
def test_what_is_no_profile_is_refused_in_words(guests, content):
    path = guests.home / "x.toml"
    path.write_bytes(content)
    made = guests("import", path, "--json")
    assert made.status == 6
    assert not (guests.home / "guests").exists()


def test_warnings_of_an_imported_profile_are_printed(guests, exported):
    exported.write_text(exported.read_text().replace("nodbg,", ""))
    made = guests("import", exported, "--name", "vm2")
    assert "the host can decrypt the guest's memory" in made.err
    assert guests("check", "vm2", "--json").status == 6
    assert PLAIN not in guests("list").out.splitlines()[1]


def test_what_a_watch_may_do_is_never_imported(guests, exported):
    exported.write_text(exported.read_text() + "\n[watch]\ninstances_at_most = 9000\n")
    made = guests("import", exported, "--name", "vm2", "--accept", "--json")
    assert made.json["watch_left_out"] is True
    assert "watch" not in guests.profile("vm2")
    assert "left out" in guests("import", exported, "--name", "vm3").out
