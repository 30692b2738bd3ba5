# SPDX-License-Identifier: Apache-2.0
"""Profiles as TOML: every form of every value, and all problems at once with their places."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput
from watchword.core.guest.document import (
    LARGEST_PROFILE,
    profile_from_document,
    profile_text,
    read_profile,
)
from watchword.core.guest.problems import MOST_TOLD, ProfileInvalid
from watchword.core.sev.policy import DEFAULT_POLICY
from watchword.core.sev.secret_table import DISK_PASSPHRASE, Route
from watchword.core.sev.vmsa import VmsaGeneration

from .support import NOW, PLAIN, problems

HASH = "ab" * 32
FULL = f"""\
# the mail server
format = 1
name = "vm1"
description = "mail"
technology = "sev-es"
policy = "nodbg,noks,es,nosend,sev,min-api=1.49"
minimum_api = "1.49"
minimum_build = 6
oca = {{ sha256 = "{HASH}", path = "/srv/oca.cert" }}
ceks = ["{HASH}"]
vcpus = "1-4,8"
cpu = ["EPYC-Milan", "25/1/1", "0x830f10"]
cmdline = ["console=ttyS0 root=/dev/vda1", {{ sha256 = "{HASH}" }}]
vmsa = "init2"
sev_features = "0x20"
route = "kernel"
host = "qmp+unix:///run/vm1.sock"

[[firmware]]
path = "/srv/OVMF.fd"
sha256 = "{HASH}"
size = 65536
approved = 2026-11-23T15:00:00+01:00

[[kernel]]
sha256 = "{HASH}"

[initrd]
path = "/srv/initrd"

[secrets]
disk-passphrase = "vm1/disk"
"e6f5a162-d67f-4750-a67c-5d065f2a9910" = "vm1/kbc"
"""


def test_a_full_profile_is_read():
    profile = read_profile(FULL.encode(), "vm1.toml")
    assert (profile.name, profile.technology, profile.needs_es) == ("vm1", "sev-es", True)
    assert profile.policy.value == 0x3101002F
    assert (profile.minimum_api, profile.minimum_build) == ((1, 49), 6)
    assert profile.require_oca_pin() == HASH
    assert profile.vcpus == (1, 2, 3, 4, 8)
    assert [cpu.signature.value for cpu in profile.cpu] == [0xA00F11, 0xA00F11, 0x830F10]
    assert profile.cmdline[0].text == "console=ttyS0 root=/dev/vda1"
    assert profile.cmdline[1].sha256 == bytes.fromhex(HASH)
    assert (profile.vmsa, profile.sev_features) == (VmsaGeneration.INIT2, 0x20)
    assert profile.chosen_route is Route.KERNEL
    assert profile.firmware[0].approved == NOW
    assert not profile.kernel[0].is_approved
    assert profile.initrd[0].path == "/srv/initrd"
    assert profile.secret_references[0].guid == DISK_PASSPHRASE
    assert [secret.entry for secret in profile.secret_references] == ["vm1/disk", "vm1/kbc"]


def test_what_was_written_reads_back_the_same():
    profile = read_profile(FULL.encode(), "vm1.toml")
    text = profile_text(profile)
    assert read_profile(text.encode(), "again") == profile
    assert profile_text(read_profile(text.encode(), "again")) == text


def test_defaults_are_the_careful_ones():
    profile = read_profile(PLAIN.encode(), "vm1.toml")
    assert profile.minimum_api == (0, 17)
    assert (profile.vmsa, profile.sev_features, profile.host) == (None, 0, None)
    assert (profile.ceks, profile.secrets, profile.require_oca_pin()) == ((), {}, None)
    assert profile.chosen_route is Route.GRUB
    direct = read_profile((PLAIN + 'kernel = "/srv/vmlinuz"\n').encode(), "vm1.toml")
    assert direct.chosen_route is Route.KERNEL


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("4", (4,)),
        ('"4"', (4,)),
        ('"1-3"', (1, 2, 3)),
        ("[2, 4]", (2, 4)),
        ('["1-2", 8, "4-5"]', (1, 2, 4, 5, 8)),
        ('"8, 1 - 2"', (1, 2, 8)),
    ],
)
def test_numbers_of_vcpus_are_written_in_many_ways(written, meant):
    profile = read_profile((PLAIN + f"vcpus = {written}\n").encode(), "vm1.toml")
    assert profile.vcpus == meant
    assert read_profile(profile_text(profile).encode(), "again").vcpus == meant


@pytest.mark.parametrize("written", ["0x1100002f", "285212719", '"0x1100002f"', '"default"'])
def test_the_policy_is_written_in_many_ways(written):
    text = f'name="vm1"\ntechnology="sev-es"\npolicy={written}\nvcpus=1\ncpu="EPYC"\n'
    profile = read_profile((text + 'firmware="/srv/OVMF.fd"').encode(), "vm1.toml")
    assert profile.policy == DEFAULT_POLICY


def test_all_problems_come_at_once_with_place_and_line():
    found = problems(
        'nmae = "vm1"\n'
        'name = "../vm1"\n'
        'technology = "sev"\n'
        'policy = "nodbg,es,nodebug"\n'
        "minimum_api = 1.49\n"
        'vcpus = "8-1"\n'
        "cpu = [\n"
        '  "EPYC-Millan",\n'
        '  "host",\n'
        "]\n"
        'ceks = ["12"]\n'
        'host = "http://user:word@host/"\n'
        "[[firmware]]\n"
        'path = "OVMF.fd"\n'
        'sha255 = "00"\n'
        "[[firmware]]\n"
        "size = 3\n"
        "[initrd]\n"
        'path = "/srv/initrd"\n'
        "[secrets]\n"
        'disk-pass = "a b"\n'
    )
    assert set(found) == {
        ("nmae", 1),
        ("name", 2),
        ("policy", 4),
        ("minimum_api", 5),
        ("vcpus", 6),
        ("cpu.0", 8),
        ("cpu.1", 9),
        ("ceks.0", 11),
        ("host", 12),
        ("firmware.0.path", 14),
        ("firmware.0.sha255", 15),
        ("firmware.1", 16),
        ("initrd", 18),
        ("secrets.disk-pass", 21),
    }
    assert "“name”" in found["nmae", 1]
    assert "EPYC-Milan" in found["cpu.0", 8]
    assert "“sha256”" in found["firmware.0.sha255", 15]
    assert "1.5 and 1.50 are two versions" in found["minimum_api", 5]


def test_the_error_names_file_places_and_remedy():
    with pytest.raises(ProfileInvalid) as caught:
        read_profile(b'name = "vm1"\npolicy = 0x40\n', "vm1.toml")
    error = caught.value
    assert (error.code, error.field, int(error.exit_status)) == ("profile-invalid", "vm1.toml", 6)
    assert "There are 3 problems." in error.message
    assert "line 2, policy: 0x40 sets reserved bits (6)" in error.message
    assert error.details["count"] == 3
    places = [(problem["path"], problem["line"]) for problem in error.details["problems"]]
    assert places == [(["technology"], None), (["firmware"], None), (["policy"], 2)]


def test_what_is_missing_is_named_with_what_it_is_for():
    found = problems("")
    assert set(found) == {(key, None) for key in ("name", "technology", "policy", "firmware")}
    assert "whether" not in found["policy", None]
    assert found["firmware", None].startswith("It is missing: firmware images")


@pytest.mark.parametrize(
    ("more", "place", "words"),
    [
        ('technology = "sev-es"\npolicy = 0x1100002b\n', "technology", "no ES bit"),
        ('technology = "sev"\npolicy = "default"\nvcpus=1\ncpu="EPYC"\n', "technology", "ES bit"),
        ('technology = "sev-es"\npolicy = "default"\nvcpus = 2\n', "cpu", "signature"),
        ('technology = "sev-es"\npolicy = "default"\ncpu = "EPYC"\n', "vcpus", "number"),
        ('technology = "sev"\npolicy = 0x1100002b\nvmsa = "init2"\n', "vmsa", "Plain SEV"),
        ('technology = "sev"\npolicy = 0x1100002b\nsev_features = 1\n', "sev_features", "Plain"),
        ('technology = "sev"\npolicy = 0x1100002b\ncmdline = ""\n', "cmdline", "no kernel"),
        ('technology = "sev"\npolicy = 0x1100002b\ninitrd = "/i"\n', "initrd", "no kernel"),
    ],
)
def test_values_that_do_not_go_together_are_problems(more, place, words):
    found = problems('name = "vm1"\nfirmware = "/srv/OVMF.fd"\n' + more)
    assert [key for key, _ in found] == [place]
    assert words in next(iter(found.values()))


def test_defaults_that_are_written_out_contradict_nothing():
    assert problems(PLAIN + 'vmsa = "auto"\nsev_features = 0\n') == {}
    assert [key for key, _ in problems(PLAIN + 'vmsa = "auto"\nname2 = 1')] == ["name2"]


def test_no_firmware_at_all_is_a_problem():
    assert list(problems(PLAIN.replace('"/srv/OVMF.fd"', "[]"))) == [("firmware", 4)]


def test_rules_are_told_beside_unreadable_values():
    found = problems(
        'name = 3\ntechnology = "sev"\npolicy = "default"\nfirmware = "/x"\ninitrd = "/i"\n'
    )
    assert [key for key, _ in found] == ["vcpus", "cpu", "name", "technology", "initrd"]


def test_firmware_by_hash_alone_is_for_plain_sev_without_a_kernel():
    by_hash = f'name="vm1"\ntechnology="sev"\npolicy=0x1100002b\nfirmware={{sha256="{HASH}"}}\n'
    assert problems(by_hash) == {}
    with_kernel = problems(by_hash + f'kernel = {{sha256 = "{HASH}"}}\n')
    assert list(with_kernel) == [("firmware", 4)]
    assert "measured kernel" in with_kernel["firmware", 4]


def test_one_file_is_named_once():
    twice = PLAIN.replace('"/srv/OVMF.fd"', '["/srv/OVMF.fd", "/srv/OVMF.fd"]')
    assert list(problems(twice)) == [("firmware.1", 4)]


def test_two_names_of_one_secret_are_refused():
    found = problems(PLAIN + '[secrets]\ndisk-passphrase = "a"\nluks-key = "b"\n')
    assert [key for key, _ in found] == ["secrets"]
    assert "one GUID" in next(iter(found.values()))


def test_a_newer_format_is_told_and_nothing_else():
    found = problems('format = 2\nnew = 1\nname = "../x"\n')
    assert list(found) == [("format", 1)]
    assert "newer version" in found["format", 1]


@pytest.mark.parametrize(
    "value",
    [
        "Zm9vYmFyYmF6cXV4QUJDREVGMDEyMzQ1Njc4",
        "c2VjcmV0IHBhc3NwaHJhc2U=",
        "0123456789abcdef0123456789abcdef",
        "-----BEGIN PRIVATE KEY-----",
        "correct horse battery staple",
        "hunter2!",
    ],
)
def test_a_secret_in_place_of_a_reference_is_refused_and_not_repeated(value):
    with pytest.raises(ProfileInvalid) as caught:
        read_profile((PLAIN + f'[secrets]\ndisk-passphrase = "{value}"\n').encode(), "vm1.toml")
    error = caught.value
    assert [problem.path for problem in error.problems] == [("secrets", "disk-passphrase")]
    assert value not in f"{error} {error.as_json()}"


def test_a_secret_in_place_of_a_name_is_not_repeated_either():
    value = "Zm9vYmFyYmF6cXV4QUJDREVGMDEyMzQ1Njc4"
    with pytest.raises(ProfileInvalid) as caught:
        read_profile((PLAIN + f'[secrets]\n{value} = "disk"\n').encode(), "vm1.toml")
    assert value not in f"{caught.value} {caught.value.as_json()}"


@pytest.mark.parametrize("key", ["password", "secret_value", "disk_passphrase", "token"])
def test_a_key_that_sounds_like_a_secret_is_answered_with_where_secrets_go(key):
    found = problems(f'{key} = "x"\n' + PLAIN)
    assert "vault entries" in found[key, 1]


def test_a_table_in_place_of_a_reference_is_refused():
    found = problems(PLAIN + '[secrets.disk-passphrase]\nvalue = "x"\n')
    assert "holds no secrets" in found["secrets.disk-passphrase", 5]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"\xff\xfe", "profile-not-text", "Line 1"),
        (b"name = 1\nname\n", "profile-not-toml", "line 2"),
        (b"a = [" * 3, "profile-not-toml", "TOML"),
        (b"a = " + b"[" * 5000, "profile-not-toml", "nested"),
        (b".".join([b"a"] * 5000) + b" = 1", "profile-not-toml", "nested"),
        (b"policy = " + b"9" * 9000, "profile-not-toml", "can't be read"),
        (b"#" * (LARGEST_PROFILE + 1), "profile-too-large", "at most"),
    ],
)
def test_what_is_no_toml_is_said_to_be_none(data, code, words):
    with pytest.raises(BadInput) as caught:
        read_profile(data, "vm1.toml")
    assert caught.value.code == code
    assert words in caught.value.message


def test_only_so_many_problems_are_told_and_the_rest_counted():
    text = "".join(f"unknown{number} = 1\n" for number in range(MOST_TOLD + 30))
    with pytest.raises(ProfileInvalid) as caught:
        read_profile((PLAIN + text).encode(), "vm1.toml")
    assert len(caught.value.problems) == MOST_TOLD
    assert caught.value.message.endswith("And 30 more.")


def test_windows_line_ends_and_byte_order_marks_do_no_harm():
    data = b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode()
    assert read_profile(data, "vm1.toml") == read_profile(PLAIN.encode(), "vm1.toml")


def test_a_profile_in_toml_can_steer_no_terminal():
    line = "a\x1b]0;x\x07\u202e\u2066\x9b\u200b b"
    document = {
        "name": "vm1",
        "technology": "sev",
        "policy": 0x1100002B,
        "firmware": "/srv/\x1b[2J",
        "kernel": "/srv/vmlinuz",
        "cmdline": line,
    }
    profile = profile_from_document(document, "x")
    text = profile_text(profile)
    assert text.replace("\n", "").isprintable()
    assert read_profile(text.encode(), "again") == profile


def test_a_path_that_is_no_utf8_is_refused():
    with pytest.raises(ProfileInvalid) as caught:
        profile_from_document(
            {"name": "vm1", "technology": "sev", "policy": 1, "firmware": "/srv/\udcff"}, "x"
        )
    assert [problem.path for problem in caught.value.problems] == [("firmware",)]
