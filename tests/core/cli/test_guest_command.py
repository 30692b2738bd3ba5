# SPDX-License-Identifier: Apache-2.0
"""``guest add|list|show|check|remove``: from files to a profile, and what is said of it."""

from __future__ import annotations

import hashlib
import tomllib

import pytest

from watchword.core.simulator import FirmwareRecipe, build_firmware

from .guest_support import HASH, PLAIN, hash_of

ES = ("--vcpus", "1-2", "--cpu", "EPYC-Milan")


def test_adding_approves_the_files_as_they_are(guests):
    made = guests.add("--kernel", guests.kernel, "--cmdline", "quiet")
    profile = tomllib.loads(guests.path().read_text())
    assert profile["firmware"][0]["sha256"] == hash_of(guests.firmware)
    assert profile["kernel"][0]["size"] == 8
    assert profile["kernel"][0]["approved"].tzinfo is not None
    assert guests.path().stat().st_mode & 0o777 == 0o600
    assert made.json["path"] == str(guests.path())
    assert [one["new_sha256"] for one in made.json["approved"]] == [
        hash_of(guests.firmware),
        hash_of(guests.kernel),
    ]
    assert made.json["profile"] == guests.profile()


def test_everything_that_a_profile_can_say_can_be_given_as_an_option(guests, platform):
    given = {
        "--description": "mail",
        "--kernel": guests.kernel,
        "--kernel-sha256": HASH,
        "--initrd-sha256": HASH,
        "--cmdline": "quiet",
        "--cmdline-sha256": HASH,
        "--vcpus": "1-4,8",
        "--cpu": "EPYC-Milan",
        "--vmsa": "init2",
        "--sev-features": "0x20",
        "--min-api": "1.49",
        "--min-build": "6",
        "--oca": platform / "oca.cert",
        "--cek": HASH,
        "--host": "/run/vm1.sock",
        "--secret": "disk-passphrase=vm1/disk",
        "--route": "kernel",
    }
    guests.add(*(word for pair in given.items() for word in pair), policy="default")
    profile = guests.profile()
    assert profile["technology"] == "sev-es"
    assert (profile["vcpus"], profile["cpu"]) == ("1-4,8", ["EPYC-Milan"])
    assert [entry.get("path") for entry in profile["kernel"]] == [str(guests.kernel), None]
    assert profile["cmdline"] == ["quiet", {"sha256": HASH}]
    assert profile["host"] == "qmp+unix:///run/vm1.sock"
    assert profile["secrets"] == {"disk-passphrase": "vm1/disk"}
    assert profile["ceks"] == [{"sha256": HASH}]
    assert len(profile["oca"]["sha256"]) == 64
    assert (profile["minimum_api"], profile["minimum_build"]) == ("1.49", 6)
    shown = guests("show", "vm1")
    assert shown.status == 0
    for word in ("1-4,8", "vm1/disk", HASH, "API 1.49 build 6", "SEV-ES: the guest's registers"):
        assert word in shown.out


def test_paths_are_kept_whole(guests, monkeypatch):
    monkeypatch.chdir(guests.home)
    made = guests("add", "vm1", "--firmware", "OVMF.fd", "--policy", PLAIN)
    assert made.status == 0
    assert guests.profile()["firmware"][0]["path"] == str(guests.firmware)


def test_all_problems_of_the_options_come_at_once_and_nothing_is_kept(guests):
    value = "Zm9vYmFyYmF6cXV4QUJDREVGMDEyMzQ1Njc4"
    made = guests(
        *("add", "vm1", "--firmware", guests.firmware, "--cpu", "EPYCC", "--route", "x"),
        *("--secret", f"disk-passphrase={value}", "--json"),
    )
    assert (made.status, made.code) == (6, "profile-invalid")
    places = [problem["path"][0] for problem in made.error["details"]["problems"]]
    assert sorted(places) == ["cpu", "route", "secrets", "vcpus"]
    assert value not in made.out + made.err
    assert not guests.path().exists()


@pytest.mark.parametrize("text", ["hunter2", "=x", "a=b=c"])
def test_what_is_typed_for_a_secret_is_not_repeated(guests, text):
    made = guests(
        "add", "vm1", "--firmware", guests.firmware, "--policy", PLAIN, "--secret", text, "--json"
    )
    assert made.status in (2, 6)
    assert "hunter2" not in made.out + made.err


def test_a_file_that_is_no_firmware_is_not_approved(guests):
    made = guests("add", "vm1", "--firmware", guests.kernel, "--policy", PLAIN, "--json")
    assert (made.status, made.code) == (6, "firmware-size")
    assert not guests.path().exists()


def test_a_name_that_is_taken_or_no_name_is_refused(guests):
    guests.add()
    again = guests("add", "vm1", "--firmware", guests.firmware, "--policy", PLAIN, "--json")
    assert (again.status, again.code) == (6, "guest-exists")
    for name in ("../vm1", "a/b"):
        made = guests("add", name, "--firmware", guests.firmware, "--policy", PLAIN, "--json")
        assert (made.status, made.code) == (6, "profile-invalid")
        assert guests("show", name, "--json").code == "bad-guest-name"


def test_a_weak_policy_is_kept_and_warned_of(guests):
    made = guests("add", "vm1", "--firmware", guests.firmware, "--policy", "0x1")
    assert made.status == 0
    assert made.err.count("A launch takes a waiver for this.") == 2
    checked = guests("check", "vm1", "--json")
    assert (checked.status, checked.code) == (3, "policy-refused")


def test_the_list_has_sound_and_broken_profiles(guests):
    assert "no guest profiles yet" in guests("list").out
    guests.add("--description", "mail")
    guests.path("broken").write_text("x = [")
    listed = guests("list", "--json").json["guests"]
    assert [row["name"] for row in listed] == ["broken", "vm1"]
    assert listed[0]["error"]["code"] == "profile-not-toml"
    assert listed[1]["description"] == "mail"
    shown = guests("list")
    assert (shown.status, len(shown.out.splitlines())) == (0, 2)


def test_a_check_tells_every_allowed_digest(guests):
    guests.add()
    checked = guests("check", "vm1", "--json")
    assert checked.status == 0
    [digest] = checked.json["launch_digests"]
    assert digest["launch_digest"] == hash_of(guests.firmware)
    assert checked.json["files"][0]["state"] == "same"
    shown = guests("check", "vm1")
    assert "One launch digest is allowed:" in shown.out


def test_many_digests_are_counted_in_text_and_listed_in_json(guests):
    guests.add("--vcpus", "1-20", "--cpu", "EPYC", policy="default")
    assert len(guests("check", "vm1", "--json").json["launch_digests"]) == 40
    shown = guests("check", "vm1").out
    assert shown.endswith("40 launch digests are allowed.\n")


def test_a_changed_file_is_told_with_both_hashes_and_exit_6(guests):
    guests.add("--kernel", guests.kernel)
    before = hash_of(guests.kernel)
    guests.kernel.write_bytes(b"another kernel")
    checked = guests("check", "vm1", "--json")
    assert (checked.status, checked.code) == (6, "approved-file-changed")
    assert before in checked.error["message"]
    assert hash_of(guests.kernel) in checked.error["message"]
    assert checked.json["launch_digests"] == []
    shown = guests("check", "vm1")
    assert "It can't be launched as it is." in shown.out
    assert "--approve kernel" in shown.err


def test_firmware_that_cannot_take_the_secret_is_a_no_go(guests):
    guests.firmware.write_bytes(build_firmware(FirmwareRecipe(secret_area=None)))
    guests.add("--secret", "disk-passphrase=vm1/disk")
    checked = guests("check", "vm1", "--json")
    assert (checked.status, checked.code) == (6, "firmware-no-go")
    assert "NO-GO for secret injection" in checked.json["findings"][0]["text"]


def test_credentials_in_the_command_line_are_warned_of_but_not_repeated(guests):
    made = guests(
        *("add", "vm1", "--firmware", guests.firmware, "--policy", PLAIN),
        *("--kernel", guests.kernel, "--cmdline", "quiet my.password=hunter2"),
    )
    assert "my.password=" in made.err
    assert "hunter2" not in made.out + made.err
    checked = guests("check", "vm1")
    assert checked.status == 0
    assert "my.password=" in checked.out


@pytest.mark.parametrize(
    ("host", "status", "code"),
    [
        ("qmp+ssh://user@-x/run/vm1.sock", 6, "bad-host-url"),
        ("qmp+tcp://host.example:4444", 0, "host-not-encrypted"),
        ("qmp+tcp://-x:4444", 6, "bad-host-url"),
    ],
)
def test_the_host_is_read_strictly(guests, host, status, code):
    guests.add()
    text = guests.path().read_text()
    guests.path().write_text(f'host = "{host}"\n{text}')
    checked = guests("check", "vm1", "--json")
    assert checked.status == status
    assert code in [finding["code"] for finding in checked.json["findings"]]


def test_a_host_that_is_none_is_refused_before_anything_is_kept(guests):
    made = guests(
        *("add", "vm1", "--firmware", guests.firmware, "--policy", PLAIN),
        *("--host", "qmp+tcp://-oProxyCommand:1", "--json"),
    )
    assert (made.status, made.code) == (2, "bad-host-url")
    assert not guests.path().exists()


def test_removing_takes_the_profile_and_nothing_else(guests):
    guests.add()
    assert guests("remove", "vm1").status == 0
    assert guests("list", "--json").json["guests"] == []
    assert guests.firmware.exists()
    assert guests("remove", "vm1", "--json").code == "no-such-guest"


def test_a_profile_that_was_broken_by_hand_is_told_with_its_lines(guests):
    guests.add()
    guests.path().write_text(guests.path().read_text() + '\nnmae = 1\n[secrets]\nx = "y"\n')
    shown = guests("show", "vm1")
    assert shown.status == 6
    assert "nmae" in shown.err
    assert "line " in shown.err
    assert str(guests.path()) in shown.err


EVIL = "x\x1b[31m\x1b]0;title\x07\u202egnp\u2066\r\x9b2J\u200b"


def test_nothing_in_a_profile_can_steer_a_terminal(guests):
    path = guests.home / f"{EVIL}.fd"
    path.write_bytes(guests.firmware.read_bytes())
    made = guests(
        *("add", "vm1", "--firmware", path, "--policy", "0x1", "--description", EVIL),
        *("--kernel", guests.kernel, "--cmdline", f"{EVIL}password=1"),
    )
    assert made.status == 0
    path.write_bytes(path.read_bytes() + bytes(4096))
    guests.path("evil").write_bytes(
        b'"a\\u001b[2J" = 1\nname = "\\u202e"\n[secrets]\n"\\u009b" = 1\n'
    )
    said = [
        guests(*words)
        for words in (
            ("show", "vm1"),
            ("check", "vm1"),
            ("list",),
            ("show", "evil"),
            ("export", "vm1"),
            ("edit", "vm1", "--approve", "all"),
            ("edit", "vm1", "--set", f"description={EVIL}y"),
            ("edit", "vm1", "--set", f"{EVIL}=y"),
            ("edit", "vm1", "--drop", f"cpu={EVIL}"),
            ("remove", EVIL),
            ("import", EVIL),
        )
    ]
    for shown in (made, *said):
        for text in (shown.out, shown.err):
            assert all(character.isprintable() or character == "\n" for character in text)
    assert "title" in said[0].out


def test_the_digest_of_a_launch_is_that_of_the_digest_command(guests, command):
    guests.add("--kernel", guests.kernel, "--cmdline", "quiet", *ES, policy="default")
    computed = command(
        *("digest", "--firmware", guests.firmware, "--kernel", guests.kernel),
        *("--cmdline", "quiet", "--vcpus", "2", "--cpu", "EPYC-Milan", "--json"),
    )
    allowed = guests("check", "vm1", "--json").json["launch_digests"]
    assert allowed[1]["launch_digest"] == computed.json["launch_digest"]
    assert "2 vCPUs EPYC-Milan (legacy VMSA)" in allowed[1]["description"]
    assert len(hashlib.sha256().digest()) * 2 == len(allowed[1]["launch_digest"])


# -- the vault's entries ------------------------------------------------------------


def test_a_check_misses_entries_of_a_vault_that_opens_unattended(command, batch_home):
    batch_home.profile("db", secrets={"disk-passphrase": "db/disk"})
    opening = ("--passphrase-file", batch_home.passphrase)
    for name, codes in (("web", set()), ("db", {"vault-entry-missing"})):
        shown = command("guest", "check", name, "--json", *opening)
        found = {finding["code"] for finding in shown.json["findings"]}
        assert found & {"vault-entry-missing"} == codes
        assert "not looked into" not in shown.err
    assert "db/disk" in command("guest", "check", "db", *opening).out


def test_a_check_that_would_have_to_ask_says_what_it_did_not_look_at(command, batch_home):
    shown = command("guest", "check", "web", "--json")
    assert shown.status == 0
    assert "the vault was not looked into: it would have to be asked for" in shown.err
    (batch_home.path / "vault").rename(batch_home.path / "elsewhere")
    shown = command("guest", "check", "web")
    assert (shown.status, "There is no vault" in shown.err) == (0, True)
    batch_home.profile("bare", secrets={})
    assert command("guest", "check", "bare").err == ""
