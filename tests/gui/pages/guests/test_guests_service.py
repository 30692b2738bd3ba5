# SPDX-License-Identifier: Apache-2.0
"""Guest profiles as the window has them: approvals are the owner's act, and never a side effect."""

from __future__ import annotations

import pytest

from watchword.core.errors import BadInput
from watchword.core.guest.problems import ProfileInvalid
from watchword.gui.pages.guests_service import GuestService, Verdict

from ..guest_files import changed, firmware_file, plain_document


@pytest.fixture
def vm1(guests, firmware, tmp_path):
    return guests.add(plain_document(tmp_path))


def test_a_new_profile_approves_its_files_as_they_are(vm1) -> None:
    assert vm1.profile.firmware[0].is_approved
    assert vm1.verdict is Verdict.GO
    assert vm1.pending == ()


def test_all_problems_of_a_profile_are_told_at_once(guests) -> None:
    with pytest.raises(ProfileInvalid) as refused:
        guests.add({"name": "vm1", "technology": "sev", "policy": "what", "host": "no url"})
    assert {one.path[0] for one in refused.value.problems} >= {"policy", "host", "firmware"}


def test_a_changed_file_is_found_and_editing_does_not_approve_it(guests, vm1, firmware) -> None:
    changed(firmware)
    assert guests.one("vm1").verdict is Verdict.CHANGED
    document = vm1.profile.to_document() | {"description": "mine"}
    after = guests.change(vm1.stored, document)
    assert after.profile.description == "mine"
    assert after.verdict is Verdict.CHANGED
    assert len(after.pending) == 1


def test_a_file_that_is_added_is_approved_and_one_that_is_missing_does_not_matter(
    guests, vm1, firmware, tmp_path
) -> None:
    firmware.unlink()
    other = firmware_file(tmp_path, "other.fd")
    document = vm1.profile.to_document()
    document["firmware"] = [*document["firmware"], {"path": str(other)}]
    with pytest.raises(ProfileInvalid, match="twice"):
        guests.change(vm1.stored, document)
    data = other.read_bytes()
    other.write_bytes(b"\x01" + data[1:])
    after = guests.change(vm1.stored, document)
    assert [entry.is_approved for entry in after.profile.firmware] == [True, True]


def test_a_changed_file_is_approved_by_the_hash_that_was_shown(guests, vm1, firmware) -> None:
    new = changed(firmware)
    after = guests.approve(guests.one("vm1").stored, {str(firmware): new})
    assert after.verdict is Verdict.GO
    assert [entry.sha256 for entry in after.profile.firmware] == [new]


def test_a_file_that_changes_while_its_owner_looks_is_not_approved(guests, vm1, firmware) -> None:
    shown = changed(firmware)
    firmware.write_bytes(b"\x02" + firmware.read_bytes()[1:])
    with pytest.raises(BadInput) as refused:
        guests.approve(vm1.stored, {str(firmware): shown})
    assert refused.value.code == "changed-while-approving"
    assert guests.one("vm1").verdict is Verdict.CHANGED


def test_a_copy_a_removal_and_the_list(guests, vm1) -> None:
    assert guests.duplicate("vm1", "vm2").profile.firmware == vm1.profile.firmware
    assert [guest.name for guest in guests.all()] == ["vm1", "vm2"]
    assert [guest.name for guest in guests.remove("vm1")] == ["vm2"]
    with pytest.raises(BadInput, match="vm2"):
        guests.duplicate("vm2", "vm2")


def test_what_comes_from_somebody_else_is_not_approved(guests, vm1, tmp_path) -> None:
    out = guests.export("vm1", str(tmp_path / "out.toml"), with_host=True)
    with pytest.raises(BadInput, match="exists"):
        guests.export("vm1", str(out), with_host=True)
    after = guests.take_in(str(out), "vm3", with_host=False)
    assert after.verdict is Verdict.NOT_APPROVED
    assert not after.profile.firmware[0].is_approved


def test_the_host_goes_along_only_if_it_is_asked_for(guests, firmware, tmp_path) -> None:
    guests.add(plain_document(tmp_path, host="qmp+unix:///run/vm1.sock"))
    for with_host, host in ((True, "qmp+unix:///run/vm1.sock"), (False, None)):
        out = guests.export("vm1", str(tmp_path / f"{with_host}.toml"), with_host=with_host)
        taken = guests.take_in(str(out), f"vm-{with_host}", with_host=True)
        assert taken.profile.host == host


def test_a_profile_that_can_not_be_read_is_listed_with_the_reason(guests, vm1, tmp_path) -> None:
    (tmp_path / "home" / "guests" / "bad.toml").write_text("name = 1\n")
    bad, good = guests.all()
    assert (bad.name, bad.verdict, good.verdict) == ("bad", Verdict.UNREADABLE, Verdict.GO)
    assert bad.error.code == "profile-invalid"


def test_secrets_that_the_vault_lacks_are_told(tmp_path, firmware) -> None:
    guests = GuestService(tmp_path / "guests", lambda: ["vm1/other"])
    guest = guests.add(plain_document(tmp_path, secrets={"disk-passphrase": "vm1/disk"}))
    assert "vault-entry-missing" in {finding.code for finding in guest.report.findings}
