# SPDX-License-Identifier: Apache-2.0
"""What is said of a profile before a launch: NO-GOs, weak policies, credentials, differences."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput, VerificationRefused
from watchword.core.guest.cmdline_scan import credential_words
from watchword.core.guest.lint import Severity
from watchword.core.guest.report import check_profile
from watchword.core.sev.firmware_inspection import (
    KERNEL_HASHES,
    Finding,
    FirmwareInspection,
    Weight,
)
from watchword.core.simulator import FirmwareRecipe, build_firmware


def findings(profile, **known):
    return {one.code: one for one in check_profile(profile, **known).findings}


def test_a_sound_profile_can_be_launched(make):
    report = check_profile(make(vcpus=2, ceks=["ab" * 32]))
    # A built image has no code, and its inspection says so.
    assert [(one.code, one.severity) for one in report.findings] == [
        ("reset-vector-odd", Severity.WARNING)
    ]
    assert report.error is None
    assert len(report.expected.digests) == 2


def test_a_profile_without_chips_is_told_that_any_will_do(make):
    found = findings(make(vcpus=1))
    assert found["any-chip"].severity is Severity.NOTE
    assert "any-chip" not in findings(make(vcpus=1, ceks=["ab" * 32]))


def test_real_firmware_is_judged_for_what_the_profile_needs(make, vectors):
    amdsev = vectors / "inputs" / "ovmf_AmdSev_suffix.bin"
    plain = vectors / "firmware" / "OVMF_CODE.fd"
    secret = {"secrets": {"disk-passphrase": "vm1/disk"}}
    assert "firmware-no-go" not in findings(make(firmware=str(amdsev), vcpus=2, **secret))
    texts = [
        one.text
        for one in check_profile(make(firmware=str(plain), kernel="vmlinuz", **secret)).findings
        if one.code == "firmware-no-go"
    ]
    assert any("NO-GO for secret injection" in text for text in texts)
    assert any("NO-GO for kernel hashes" in text for text in texts)


@pytest.mark.parametrize(
    ("kernel", "waivable", "severity"),
    [
        ({"kernel": "vmlinuz"}, True, Severity.REFUSED),
        ({"kernel": "vmlinuz"}, False, Severity.PROBLEM),
        ({}, True, None),
    ],
)
def test_what_code_does_with_a_wrong_kernel_matters_where_one_is_measured(
    make, monkeypatch, kernel, waivable, severity
):
    seen = Finding("falls-through", Weight.NO_GO, "It goes on.", KERNEL_HASHES, waivable)
    monkeypatch.setattr(FirmwareInspection, "findings", (seen,))
    found = [one for one in check_profile(make(**kernel)).findings if "It goes on." in one.text]
    assert [one.severity for one in found] == ([severity] if severity else [])
    code = "firmware-refused" if waivable else "firmware-no-go"
    assert all(one.error.code == code for one in found)


@pytest.mark.parametrize(
    ("missing", "needs", "word"),
    [
        ("secret_area", {"secrets": {"disk-passphrase": "d"}}, "secret injection"),
        ("hash_area", {"kernel": "vmlinuz"}, "kernel hashes"),
        ("reset_address", {"vcpus": 2}, "SEV-ES"),
    ],
)
def test_firmware_that_cannot_do_what_the_profile_needs_is_a_no_go(
    make, files, missing, needs, word
):
    files["OVMF.fd"].write_bytes(build_firmware(FirmwareRecipe(**{missing: None})))
    report = check_profile(make(**needs))
    [finding] = [one for one in report.findings if one.severity is Severity.PROBLEM]
    assert finding.code == "firmware-no-go"
    assert finding.text.startswith(f"NO-GO for {word}: firmware /")
    assert (report.expected, report.error.code) == (None, "firmware-no-go")
    assert "firmware-no-go" not in findings(make(vcpus=1, cpu="EPYC", ceks=["ab" * 32]))


def test_a_policy_that_launches_refuse_is_refused_here(make):
    report = check_profile(make(policy="0x1"))
    refused = {one.code for one in report.findings if one.severity is Severity.REFUSED}
    assert refused == {"send-anywhere", "old-api-allowed"}
    assert isinstance(report.error, VerificationRefused)
    assert report.expected is not None


def test_changed_files_come_before_a_weak_policy(make, files):
    profile = make(policy="0x1")
    files["OVMF.fd"].write_bytes(build_firmware(FirmwareRecipe(seed="other")))
    report = check_profile(profile)
    assert isinstance(report.error, BadInput)
    assert report.error.code == "approved-file-changed"
    assert report.findings[0].code == "approved-file-changed"
    # What was not approved is not looked into.
    assert "reset-vector-odd" not in {one.code for one in report.findings}


def test_claims_are_told_beside_what_the_files_are(make, files):
    claim = {"path": str(files["vmlinuz"]), "sha256": "ab" * 32}
    report = check_profile(make(kernel=[claim], approved=False))
    texts = [one.text for one in report.findings if one.code == "not-approved"]
    assert any("The profile says SHA-256 abab" in text and "The file has" in text for text in texts)
    assert report.error.code == "not-approved"


def test_a_missing_kernel_is_a_warning(make, files):
    profile = make(kernel="vmlinuz")
    files["vmlinuz"].unlink()
    report = check_profile(profile)
    assert findings(profile)["file-missing"].severity is Severity.WARNING
    assert (report.error, len(report.expected.digests)) == (None, 1)


def test_a_missing_firmware_is_a_problem_where_it_is_needed(make, files):
    profile = make(vcpus=1)
    files["OVMF.fd"].unlink()
    report = check_profile(profile)
    assert report.error.code == "file-missing"
    assert report.expected is None


def test_too_many_launches_are_a_problem(make):
    assert findings(make(vcpus="1-8192"))["too-many-launches"].severity is Severity.PROBLEM


def test_references_to_entries_that_the_vault_lacks_are_told(make):
    profile = make(secrets={"disk-passphrase": "vm1/disk", "kata-bundle": "vm1/kata"})
    found = check_profile(profile, vault_entries=["vm1/kata"]).findings
    [missing] = [one for one in found if one.code == "vault-entry-missing"]
    assert "vm1/disk" in missing.text
    assert "vault-entry-missing" not in findings(profile)


def test_a_route_that_does_not_fit_is_told(make):
    assert "route-and-kernel" in findings(make(kernel="vmlinuz", route="grub"))
    assert "kernel-not-measured" in findings(make(route="kernel"))
    assert "vcpus-not-measured" not in findings(make(vcpus=2))


def test_the_command_line_is_scanned_without_being_repeated(make):
    profile = make(kernel="vmlinuz", cmdline=["quiet ", "root=/dev/vda password=hunter2 token=x"])
    found = findings(profile)
    assert "password=, token=" in found["credential-in-cmdline"].text
    assert "hunter2" not in str(check_profile(profile).findings)
    assert "blank-at-cmdline-end" in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("password=a", ("password=",)),
        ("root=/dev/vda1 my.passwd=b quiet", ("my.passwd=",)),
        ("DB_PASSWORD=x apikey=y API-KEY=z", ("DB_PASSWORD=", "apikey=", "API-KEY=")),
        ("systemd.set_credential=foo:bar", ("systemd.set_credential=",)),
        ("key=abc luks.key=AbC", ("key=", "luks.key=")),
        ('secret="a b"', ("secret=",)),
        ("url=https://user:word@host/x", ("https://",)),
        ("rd.luks.key=/keys/disk rd.vconsole.keymap=de", ()),
        ("console=ttyS0 root=UUID=1234 monkey=1 token= tokens=3", ()),
        ("passwordless=1 no-key", ()),
        ("", ()),
    ],
)
def test_credential_words_are_found_and_nothing_else(line, words):
    assert credential_words(line) == words


def test_a_long_line_is_scanned_in_no_time():
    assert credential_words("a" * 131072) == ()
    assert credential_words("key" * 40000) == ()
    assert len(credential_words(" ".join(f"k{n}.key=v" for n in range(9000)))) == 20
