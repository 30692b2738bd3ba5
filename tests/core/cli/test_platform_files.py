# SPDX-License-Identifier: Apache-2.0
"""``platform verify`` with files that are none, and with the recipes of damaged chains."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest

from ..sev.test_chain_vectors import CASES, edited
from .support import ROLES


@pytest.fixture
def refused(command, tmp_path):
    """The outcome for one bad file: exit 6, one sentence, the field, a remedy."""

    def run(path):
        shown = command("platform", "verify", path, "--json")
        assert shown.status == 6
        assert shown.error["title"].startswith("Can't use ")
        assert shown.error["details"]["field"]
        in_text = command("platform", "verify", path)
        assert (in_text.status, in_text.out) == (6, "")
        assert len(in_text.err.splitlines()) == 3
        return shown

    return run


CONTENTS = {
    "empty": (b"", "file-empty"),
    "one byte": (b"\1", "not-certificates"),
    "zeros": (bytes(2084), "not-certificates"),
    "noise": (bytes(range(256)) * 9, "not-certificates"),
    "a PEM": (
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "pem-not-expected",
    ),
    "a PEM after words": (b"subject=x\n-----BEGIN PUBLIC KEY-----\n", "pem-not-expected"),
    "base64 with junk": (b"AQAA!AAA", "base64-junk"),
    "base64 cut": (b"AQAAA", "base64-cut"),
    "base64 of something else": (b"aGVsbG8gd29ybGQ=\n", "not-certificates"),
    "JSON of something else": (b'{"hello": 1}', "not-certificates"),
    "JSON cut": (b'{"pdh": "AQ', "bad-json"),
    "JSON too deep": (b'{"return":' * 99 + b"1" + b"}" * 99, "json-too-deep"),
    "JSON with a number for the PDH": (b'{"pdh": 7}', "not-certificates"),
    "a table of something else": (b"cbitpos : 47\n", "not-certificates"),
    "over 1 MiB": (bytes(1 << 20) + b"\1", "file-too-large"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_without_certificates_is_refused(refused, tmp_path, name):
    content, code = CONTENTS[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    assert refused(path).code == code


def test_a_byte_too_few_or_too_many_is_refused(refused, naples, tmp_path):
    path = tmp_path / "file"
    whole = naples["pdh"].read_bytes()
    for content in (whole[:-1], whole + b"\0", whole + b"\n", b"\n" + whole):
        path.write_bytes(content)
        assert refused(path).code == "not-certificates"


def test_a_file_of_3_gb_is_refused_unread(refused, tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 3 << 30)
    assert refused(path).code == "file-too-large"


def test_what_is_no_file_is_refused_without_waiting(refused, folder):
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        assert refused(folder).code == "file-is-folder"
        for path in (folder / "pipe", "/dev/zero", folder / "socket"):
            assert refused(path).code == "file-not-regular"


def test_a_missing_file_is_named(refused, tmp_path):
    for path in (tmp_path / "missing", tmp_path / "x" / "y", "", "n" * 300):
        assert refused(path).code == "file-missing"
    (tmp_path / "loop").symlink_to("loop")
    assert refused(tmp_path / "loop").code == "file-missing"


@contextlib.contextmanager
def as_somebody_else():
    """Run as a user without rights where the tests run as root, to whom every file is readable."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_file_is_said_to_be_that(refused, folder):
    path = folder / "file"
    path.write_bytes(b"x")
    path.chmod(0)
    with as_somebody_else():
        assert refused(path).code == "file-unreadable"


def test_two_platforms_at_once_are_refused(command, naples, fake):
    shown = command("platform", "verify", *naples.values(), *fake.values(), "--json")
    assert (shown.status, shown.code) == (6, "ambiguous-chain")


# -- recipes of damaged chains -----------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_damaged_and_forged_chains(vectors, command, tmp_path, case):
    paths = {}
    for role, content in edited(case).items():
        paths[role] = tmp_path / f"{role}.cert"
        paths[role].write_bytes(content)
    words = ("platform", "verify", *(paths[role] for role in ROLES), "--json")
    shown = command(*words)
    expected = case["expected"]
    # Files are told apart by content: two that swapped names are no forgery.
    if expected in ("valid", "malleable", "valid-unless-oca-pinned") or "swap-" in case["name"]:
        assert (shown.status, shown.json["root"]) == (0, "amd")
    elif expected == "invalid-file":
        assert shown.status == 6
    else:
        assert shown.status in (3, 6)
        assert shown.error
    if expected == "valid-unless-oca-pinned":
        own = vectors / "chains" / "naples" / "oca.cert"
        assert command(*words, "--oca", own).status == 3
    if "if-root-trusted" in expected:
        trusting = command(*words, "--trust-root", paths["ark"])
        assert (trusting.status == 0) is (expected == "valid-if-root-trusted")
