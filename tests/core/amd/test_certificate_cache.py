# SPDX-License-Identifier: Apache-2.0
"""The certificate cache: what comes out of it was verified just now, or was never there."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

import pytest

from watchword.core.amd.certificate_cache import CertificateCache, cache_folder
from watchword.core.amd.signed_certificates import judge_cek
from watchword.core.errors import BadInput

from .conftest import CHIP, OTHER_CHIP, roots_of


@pytest.fixture
def cache(tmp_path, roots):
    return CertificateCache(tmp_path / "cache", roots)


@pytest.fixture(scope="module")
def one_kept(tmp_path_factory, roots, cek):
    """The folder of a cache with one CEK in it, to be copied: keeping waits for the disk."""
    folder = tmp_path_factory.mktemp("kept") / "cache"
    CertificateCache(folder, roots).keep(judge_cek(cek, roots), CHIP)
    return folder


@pytest.fixture
def filled(cache, one_kept):
    """A cache with one CEK in it."""
    shutil.copytree(one_kept, cache.folder)
    return cache


def files(cache):
    return sorted(path for path in cache.folder.rglob("*") if not path.is_dir())


def content(cache):
    return next((cache.folder / "certificates").iterdir())


def chip_entry(cache, chip=CHIP):
    return cache.folder / "index" / f"chip-{chip.hex()}"


def test_an_empty_cache_has_nothing_and_makes_no_folder(cache, host_cek):
    assert cache.by_chip(CHIP) is None
    assert cache.by_key(host_cek) is None
    assert not cache.folder.exists()


def test_what_was_kept_is_found_by_chip_and_by_key(filled, cek, host_cek):
    assert filled.by_chip(CHIP).data == cek
    assert filled.by_key(host_cek).data == cek
    assert filled.by_key(cek).generation == "made-up"


def test_another_chip_and_another_key_are_not_found(filled, other_cek):
    assert filled.by_chip(OTHER_CHIP) is None
    assert filled.by_key(other_cek) is None
    assert len(files(filled)) == 3


def test_files_are_named_by_content_and_for_their_owner_alone(filled, cek):
    assert content(filled).name == f"{hashlib.sha256(cek).hexdigest()}.cert"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(filled)} == {0o600}
    assert stat.S_IMODE(filled.folder.stat().st_mode) == 0o700


def test_keeping_again_changes_nothing(filled, roots, cek):
    filled.keep(judge_cek(cek, roots), CHIP)
    assert len(files(filled)) == 3
    assert filled.by_chip(CHIP).data == cek


# Version, usage, key, signature usage and algorithm, signature, unused and second slot.
@pytest.mark.parametrize(
    "place", [0, 5, 8, 0x10, 0x50, 0x413, 0x414, 0x418, 0x41C, 0x51B, 0x51C, 0x61C, 0x823]
)
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_noticed_and_the_entry_removed(filled, place, bit):
    damaged = bytearray(content(filled).read_bytes())
    damaged[place] ^= 1 << bit
    content(filled).write_bytes(damaged)
    assert filled.by_chip(CHIP) is None
    assert not chip_entry(filled).exists()
    assert list((filled.folder / "certificates").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 0x414, 2083, 2085, 1 << 20])
def test_another_size_is_noticed_and_the_entry_removed(filled, cek, size):
    content(filled).write_bytes(cek.ljust(size, b"\0")[:size])
    assert filled.by_chip(CHIP) is None
    assert list((filled.folder / "certificates").iterdir()) == []


def test_two_files_that_change_places_are_noticed(filled, roots, other_cek):
    filled.keep(judge_cek(other_cek, roots), OTHER_CHIP)
    swap(*(filled.folder / "certificates").iterdir())
    assert filled.by_chip(CHIP) is None
    assert filled.by_chip(OTHER_CHIP) is None
    assert list((filled.folder / "certificates").iterdir()) == []


@pytest.mark.parametrize("kind", ["chip", "key"])
def test_two_index_entries_that_change_places_are_noticed(
    filled, roots, cek, host_cek, other_cek, kind
):
    filled.keep(judge_cek(other_cek, roots), OTHER_CHIP)
    swap(*(filled.folder / "index").glob(f"{kind}-*"))
    if kind == "chip":
        assert filled.by_chip(CHIP) is None
        assert filled.by_chip(OTHER_CHIP) is None
    else:
        assert filled.by_key(host_cek) is None
        assert filled.by_key(other_cek) is None
    # The certificates themselves are sound, and the other index still leads to them.
    found = filled.by_key(host_cek) if kind == "chip" else filled.by_chip(CHIP)
    assert found.data == cek


def swap(one, other):
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def test_a_key_entry_that_leads_to_another_key_is_removed(filled, roots, host_cek, other_cek):
    filled.keep(judge_cek(other_cek, roots), OTHER_CHIP)
    entry = next(path for path in (filled.folder / "index").iterdir() if is_key_of(path, host_cek))
    entry.write_text(f"{entry.name} {hashlib.sha256(other_cek).hexdigest()}\n")
    assert filled.by_key(host_cek) is None
    assert not entry.exists()
    assert filled.by_key(other_cek).data == other_cek


def is_key_of(path, cek):
    return path.name == f"key-{hashlib.sha256(cek[:0x414]).hexdigest()}"


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"\xff" * 70, b"../../../etc/passwd\n", b"x" * 1000, "{name} {upper}"]
)
def test_a_damaged_index_entry_is_removed(filled, line):
    entry = chip_entry(filled)
    if isinstance(line, str):
        line = line.format(name=entry.name, upper=content(filled).stem.upper()).encode()
    entry.write_bytes(line)
    assert filled.by_chip(CHIP) is None
    assert not entry.exists()


def test_an_index_entry_without_a_file_is_removed(filled):
    content(filled).unlink()
    assert filled.by_chip(CHIP) is None
    assert not chip_entry(filled).exists()


def test_under_other_roots_nothing_of_it_counts(filled, forger):
    assert CertificateCache(filled.folder, roots_of(forger)).by_chip(CHIP) is None
    assert list((filled.folder / "certificates").iterdir()) == []


@pytest.mark.parametrize("odd", ["folder", "fifo", "link"])
def test_what_is_no_file_is_never_used(filled, odd, tmp_path):
    path = content(filled)
    path.unlink()
    if odd == "folder":
        path.mkdir()
    elif odd == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert filled.by_chip(CHIP) is None
    assert not chip_entry(filled).exists()


def test_a_folder_that_can_not_be_made_is_our_error(tmp_path, roots, cek):
    (tmp_path / "file").touch()
    cache = CertificateCache(tmp_path / "file" / "cache", roots)
    with pytest.raises(BadInput) as failure:
        cache.keep(judge_cek(cek, roots), CHIP)
    assert failure.value.field == "the certificate cache"
    assert cache.by_chip(CHIP) is None


def test_the_folder_is_in_watchwords_home_or_the_users_cache(tmp_path):
    home = str(tmp_path)
    assert cache_folder({"WATCHWORD_HOME": home}) == tmp_path / "cache"
    assert cache_folder() == Path(os.environ["WATCHWORD_HOME"]) / "cache"
    for nothing_said in ({}, {"WATCHWORD_HOME": ""}):
        assert cache_folder(nothing_said).name == "watchword"
        assert cache_folder(nothing_said).is_absolute()
