# SPDX-License-Identifier: Apache-2.0
"""Profiles on disk: private, whole or not at all, and never over somebody else's change."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from watchword.core.errors import BadInput, UsageError
from watchword.core.guest import store as store_module
from watchword.core.guest.document import profile_text
from watchword.core.guest.problems import ProfileInvalid
from watchword.core.guest.store import ProfileStore, profiles_folder


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path / "home" / "guests")


def renamed(profile, name):
    return profile_text(profile).replace('"vm1"', f'"{name}"').encode()


def test_the_folder_is_where_the_variable_says():
    assert profiles_folder({"WATCHWORD_HOME": "/w"}) == Path("/w/guests")
    assert profiles_folder({"WATCHWORD_HOME": ""}).parts[-2:] == ("watchword", "guests")


def test_a_profile_is_kept_for_its_owner_alone(store, make):
    path = store.add(make())
    assert path == store.folder / "vm1.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    loaded = store.load("vm1")
    assert (loaded.profile, loaded.path, loaded.data) == (make(), path, path.read_bytes())


def test_a_name_that_is_taken_is_refused(store, make):
    store.add(make())
    with pytest.raises(BadInput) as caught:
        store.add(make(description="another"))
    assert caught.value.code == "guest-exists"
    assert store.load("vm1").profile.description == ""


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\0", "-x", "x.", "a b", "ä", "x" * 65])
def test_names_that_are_no_plain_file_names_are_refused(store, name):
    with pytest.raises(UsageError) as caught:
        store.load(name)
    assert caught.value.code == "bad-guest-name"


def test_a_profile_that_is_not_there_is_answered_with_those_that_are(store, make):
    with pytest.raises(BadInput) as caught:
        store.load("vm2")
    assert caught.value.code == "no-such-guest"
    assert "none at all yet" in caught.value.remedy
    store.add(make())
    with pytest.raises(BadInput) as caught:
        store.load("vm2")
    assert "There are vm1." in caught.value.remedy


def test_names_are_those_of_profiles(store, make):
    assert store.names() == ()
    store.add(make())
    for name in (".vm1-12345678.toml", "notes.txt", "broken.toml", "a b.toml"):
        (store.folder / name).write_text("x = [")
    assert store.names() == ("broken", "vm1")
    with pytest.raises(BadInput, match="not TOML") as caught:
        store.load("broken")
    assert "broken.toml" in caught.value.remedy


def test_a_file_and_the_name_in_it_are_alike(store, make):
    store.add(make())
    (store.folder / "vm2.toml").write_bytes((store.folder / "vm1.toml").read_bytes())
    with pytest.raises(ProfileInvalid, match=r"is called vm2\.toml"):
        store.load("vm2")


def test_a_sound_text_takes_the_place_of_the_old_one(store, make):
    store.add(make())
    before = store.load("vm1")
    data = b"# with a comment\n" + before.data
    assert store.replace(before, data) == before.profile
    assert store.load("vm1").data == data


def test_an_unsound_text_leaves_the_old_one(store, make):
    store.add(make())
    before = store.load("vm1")
    for data in (b"", b"x = [", renamed(before.profile, "vm2")):
        with pytest.raises(BadInput):
            store.replace(before, data)
    assert store.load("vm1") == before


def test_a_change_of_somebody_else_is_not_overwritten(store, make):
    store.add(make())
    mine = store.load("vm1")
    store.replace(store.load("vm1"), b"# theirs\n" + mine.data)
    with pytest.raises(BadInput) as caught:
        store.replace(mine, b"# mine\n" + mine.data)
    assert caught.value.code == "guest-changed-meanwhile"
    assert store.load("vm1").data.startswith(b"# theirs")


def test_a_store_that_is_held_is_not_waited_for_without_end(store, make, monkeypatch):
    monkeypatch.setattr(store_module, "_LOCK_SECONDS", 0.05)
    store.add(make())
    with (store.folder / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadInput) as caught:
            store.remove("vm1")
        assert caught.value.code == "guests-busy"
    store.remove("vm1")


def test_what_is_broken_can_be_removed(store, make):
    store.add(make())
    (store.folder / "vm1.toml").write_text("x = [")
    store.remove("vm1")
    assert store.names() == ()
    with pytest.raises(BadInput) as caught:
        store.remove("vm1")
    assert caught.value.code == "no-such-guest"


def test_nothing_is_left_beside_the_profiles(store, make):
    store.add(make())
    assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "vm1.toml"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path, make):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(BadInput) as caught:
        ProfileStore(tmp_path / "home" / "guests").add(make())
    assert caught.value.code == "bad-folder"


def test_a_link_in_place_of_a_profile_is_not_written_through(store, make, tmp_path):
    store.add(make())
    before = store.load("vm1")
    target = tmp_path / "elsewhere"
    target.write_bytes(before.data)
    before.path.unlink()
    before.path.symlink_to(target)
    with pytest.raises(BadInput, match="symbolic link"):
        store.replace(before, b"# x\n" + before.data)
    assert target.read_bytes() == before.data
