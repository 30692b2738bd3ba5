# SPDX-License-Identifier: Apache-2.0
"""Files against what was approved: differences are loud, and only the owner approves."""

from __future__ import annotations

import hashlib
import os

import pytest

from watchword.core.errors import BadInput, UsageError, VerificationRefused
from watchword.core.guest.approvals import FileState, examine_files, refuse_changed
from watchword.core.guest.approving import (
    accept_claims,
    approve,
    chosen_components,
    withdraw_approvals,
)
from watchword.core.guest.problems import ProfileInvalid
from watchword.core.sev.certificates import SevCertificate
from watchword.core.sev.chain import ChainReport, Root
from watchword.core.simulator import PlatformKeys, save_platform

from .support import LATER, NOW


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def states(profile):
    return {f"{file.component}{file.index}": file.state.value for file in examine_files(profile)}


def test_approving_writes_hash_size_and_time(make, files):
    profile = make(kernel="vmlinuz", initrd="initrd")
    for component, name in (("firmware", "OVMF.fd"), ("kernel", "vmlinuz"), ("initrd", "initrd")):
        [entry] = getattr(profile, component)
        assert (entry.sha256, entry.size) == (hash_of(files[name]), files[name].stat().st_size)
        assert entry.approved == NOW
    assert set(states(profile).values()) == {"same"}


def test_a_changed_file_is_a_difference_with_both_hashes(make, files):
    profile = make(kernel="vmlinuz")
    before = hash_of(files["vmlinuz"])
    files["vmlinuz"].write_bytes(b"another kernel")
    assert states(profile) == {"firmware0": "same", "kernel0": "changed"}
    with pytest.raises(BadInput) as caught:
        profile.to_expected()
    error = caught.value
    assert (error.code, int(error.exit_status)) == ("approved-file-changed", 6)
    assert before in error.message
    assert hash_of(files["vmlinuz"]) in error.message
    assert "--approve kernel" in error.remedy
    [difference] = error.details["differences"]
    assert (difference["approved_sha256"], difference["found_sha256"]) == (
        before,
        hash_of(files["vmlinuz"]),
    )


def test_all_changed_files_are_told_at_once(make, files):
    profile = make(kernel="vmlinuz", initrd="initrd")
    for name in files:
        files[name].write_bytes(files[name].read_bytes() + bytes(4096))
    with pytest.raises(BadInput) as caught:
        refuse_changed("vm1", examine_files(profile))
    assert len(caught.value.details["differences"]) == 3
    assert "So have 2 more." in caught.value.message
    assert "--approve firmware kernel initrd" in caught.value.remedy


def test_a_firmware_that_was_cut_short_is_a_change_with_its_hash(make, files):
    profile = make()
    files["OVMF.fd"].write_bytes(files["OVMF.fd"].read_bytes()[:-100])
    [file] = examine_files(profile)
    assert (file.state, file.found.sha256) == (FileState.CHANGED, hash_of(files["OVMF.fd"]))
    assert file.found.problem.code == "firmware-size"


def test_approving_again_shows_old_and_new(make, files):
    profile = make(kernel="vmlinuz")
    before = hash_of(files["vmlinuz"])
    files["vmlinuz"].write_bytes(b"another kernel")
    changed, [approval] = approve(profile, ("kernel",), LATER)
    assert (approval.old_sha256, approval.new_sha256) == (before, hash_of(files["vmlinuz"]))
    assert (approval.component, approval.size, approval.changed) == ("kernel", 14, True)
    assert changed.kernel[0].approved == LATER
    assert changed.firmware == profile.firmware
    assert set(states(changed).values()) == {"same"}


def test_an_approval_that_holds_keeps_its_time(make):
    profile = make(kernel="vmlinuz")
    again, approvals = approve(profile, chosen_components(["all"]), LATER)
    assert (again, approvals) == (profile, ())


def test_only_what_is_named_is_approved(make, files):
    profile = make(kernel="vmlinuz")
    files["vmlinuz"].write_bytes(b"another kernel")
    assert approve(profile, ("firmware", "initrd"), LATER) == (profile, ())


def test_old_hashes_can_be_kept_beside_the_new(make, files):
    profile = make(kernel="vmlinuz")
    before = hash_of(files["vmlinuz"])
    files["vmlinuz"].write_bytes(b"another kernel")
    changed, _ = approve(profile, ("kernel",), LATER, keep_old=True)
    assert [(entry.path is None, entry.sha256) for entry in changed.kernel] == [
        (False, hash_of(files["vmlinuz"])),
        (True, before),
    ]
    assert len(changed.to_expected().digests) == 2


def test_an_old_firmware_hash_is_not_kept_where_it_would_be_of_no_use(make, files):
    profile = make(kernel="vmlinuz")
    files["OVMF.fd"].write_bytes(files["OVMF.fd"].read_bytes().replace(b"\xf4", b"\xf3"))
    with pytest.raises(ProfileInvalid, match="can't be worked out from the firmware's hash"):
        approve(profile, ("firmware",), LATER, keep_old=True)
    plain = make()
    files["OVMF.fd"].write_bytes(files["OVMF.fd"].read_bytes().replace(b"\xf3", b"\xf4"))
    assert len(approve(plain, ("firmware",), LATER, keep_old=True)[0].firmware) == 2


def test_files_that_cannot_be_read_are_all_named(make, files, tmp_path):
    profile = make(kernel="vmlinuz", approved=False)
    files["vmlinuz"].unlink()
    files["OVMF.fd"].write_bytes(b"no firmware")
    with pytest.raises(BadInput) as caught:
        approve(profile, chosen_components(["all"]), NOW)
    assert len(caught.value.details["problems"]) == 2
    assert "no multiple of 4096" in caught.value.message
    assert "no such file" in caught.value.message
    with pytest.raises(BadInput) as caught:
        approve(profile, ("kernel",), NOW)
    assert caught.value.code == "file-missing"


def test_a_pipe_is_not_waited_for(make, files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    profile = make(kernel=str(tmp_path / "pipe"), approved=False)
    [_, file] = examine_files(profile)
    assert file.found.problem.code == "file-not-regular"


def test_a_missing_kernel_counts_by_its_approved_hash(make, files):
    profile = make(kernel="vmlinuz")
    expected = profile.to_expected()
    files["vmlinuz"].unlink()
    without = profile.to_expected()
    assert [one.digest.value for one in without.digests] == [
        one.digest.value for one in expected.digests
    ]
    [note] = without.notes
    assert "its approved hash still counts" in note


def test_a_missing_firmware_counts_by_its_hash_only_under_plain_sev(make, files):
    plain, direct = make(), make(kernel="vmlinuz")
    files["OVMF.fd"].unlink()
    assert plain.to_expected().secret_area is None
    with pytest.raises(BadInput) as caught:
        direct.to_expected()
    assert caught.value.code == "file-missing"


def test_nothing_counts_before_the_owner_has_looked_at_it(make):
    profile = make(kernel="vmlinuz", approved=False)
    assert set(states(profile).values()) == {"not-approved"}
    with pytest.raises(BadInput) as caught:
        profile.to_expected()
    assert (caught.value.code, len(caught.value.details["not_approved"])) == ("not-approved", 2)


def test_a_claim_is_not_an_approval(make, files):
    approved = make(kernel=[{"sha256": "ab" * 32, "approved": NOW}])
    claimed = withdraw_approvals(approved)
    assert not any(entry.is_approved for entry in (*claimed.firmware, *claimed.kernel))
    with pytest.raises(BadInput, match="Not approved yet"):
        claimed.to_expected()
    assert accept_claims(claimed, NOW) == approved
    assert set(states(accept_claims(claimed, NOW)).values()) == {"same", "by-hash"}


def test_approving_a_claim_takes_what_the_file_is_and_shows_what_was_claimed(make, files):
    profile = withdraw_approvals(make(kernel="vmlinuz"))
    claimed = profile.kernel[0].sha256
    files["vmlinuz"].write_bytes(b"another kernel")
    approved, approvals = approve(profile, ("kernel",), LATER)
    assert [(one.old_sha256, one.changed) for one in approvals] == [(claimed, True)]
    assert approved.kernel[0].sha256 == hash_of(files["vmlinuz"])


def test_components_are_named_not_files():
    assert chosen_components(["kernel", "firmware"]) == ("firmware", "kernel")
    with pytest.raises(UsageError) as caught:
        chosen_components(["/srv/OVMF.fd"])
    assert caught.value.code == "no-such-component"


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    path = tmp_path_factory.mktemp("platform")
    save_platform(PlatformKeys.generate(2048), path)
    return path


def test_an_owner_ca_is_pinned_by_looking_at_its_file(make, platform):
    oca = platform / "oca.cert"
    fingerprint = SevCertificate.parse(oca.read_bytes(), "oca").fingerprint()
    named = make(oca=str(oca), approved=False)
    with pytest.raises(BadInput) as caught:
        named.require_oca_pin()
    assert caught.value.code == "not-approved"
    pinned, approvals = approve(named, ("oca",), NOW)
    assert pinned.require_oca_pin() == fingerprint
    assert [one.new_sha256 for one in approvals] == [fingerprint]
    assert approve(pinned, ("oca",), LATER) == (pinned, ())


def test_an_owner_ca_that_nobody_has_looked_at_stops_a_launch(make, platform):
    profile = make(oca=str(platform / "oca.cert"), approved=False)
    with pytest.raises(BadInput, match="owner CA"):
        approve(profile, ("firmware",), NOW)[0].to_expected()


def report(cek):
    return ChainReport((), Root.AMD, "Milan", None, cek, None, None, ())


def test_only_chips_that_are_named_will_do(make):
    profile = make(ceks=["ab" * 32, {"sha256": "CD" * 32, "note": "rack 2"}])
    profile.check_cek(report("cd" * 32))
    make().check_cek(report(None))
    for other in ("ef" * 32, None):
        with pytest.raises(VerificationRefused) as caught:
            profile.check_cek(report(other))
        assert caught.value.code == "cek-not-allowed"
