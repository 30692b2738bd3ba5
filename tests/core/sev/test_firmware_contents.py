# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a firmware's kernel loader and its GRUB, in made-up and in real images."""

from __future__ import annotations

import pytest

from watchword.core.sev.firmware_contents import (
    Grub,
    HashMismatch,
    Layout,
    observe_grub,
    observe_hash_mismatch,
    observe_layout,
)
from watchword.core.sev.firmware_volumes import read_contents

from . import firmware_maker as make


@pytest.fixture(scope="module")
def amdsev(vectors):
    """A real AmdSev build of edk2 2022.11 with edk2's own GRUB script."""
    path = vectors.parent / "rehearsal" / "artifacts" / "OVMF.amdsev.fd"
    if not path.is_file():
        pytest.skip("no ../shared/rehearsal")
    return read_contents(path.read_bytes())


def contents(*modules, **options):
    return read_contents(make.image(*modules, **options))


# -- kernel hashes -----------------------------------------------------------------------


def mismatch(*modules):
    return observe_hash_mismatch(contents(*modules)).value


@pytest.mark.parametrize("loop", make.LOOPS_BEFORE)
def test_a_loader_of_older_edk2_falls_through(loop):
    assert mismatch(make.loader(bytes.fromhex(loop))) is HashMismatch.FALLS_THROUGH


@pytest.mark.parametrize("loop", make.LOOPS_SINCE)
def test_a_loader_of_newer_edk2_halts(loop):
    assert mismatch(make.loader(bytes.fromhex(loop))) is HashMismatch.HALTS


def test_a_loader_that_asks_for_named_files_is_a_newer_one():
    old = bytes.fromhex(make.LOOPS_BEFORE[0])
    assert mismatch(make.loader(old, b"etc/boot/\0")) is HashMismatch.HALTS


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([b'%a: Hash comparison failed for "%s"\n'], HashMismatch.FALLS_THROUGH),
        (
            [b'%a: Hash comparison failed for "%s"\n', b"%a: Fetching blob failed.\n"],
            HashMismatch.HALTS,
        ),
        ([b"WATCHWORD-OVMF halted: not the measured kernel, initrd"], HashMismatch.HALTS),
    ],
)
@pytest.mark.parametrize("loop", [*make.LOOPS_BEFORE, *make.LOOPS_SINCE])
def test_where_a_build_carries_messages_they_decide(messages, expected, loop):
    assert mismatch(make.loader(bytes.fromhex(loop), *messages)) is expected


def test_a_loader_of_both_ages_or_none_is_not_guessed_at():
    loops = [bytes.fromhex(loop) for loop in (make.LOOPS_BEFORE[0], make.LOOPS_SINCE[0])]
    assert mismatch(make.loader(*loops)) is HashMismatch.UNSEEN
    assert mismatch(make.loader()) is HashMismatch.UNSEEN


def test_a_loader_without_the_kernels_guid_checks_nothing():
    stock = make.module(make.LOADER, b"MZ" + bytes.fromhex(make.LOOPS_SINCE[0]))
    assert mismatch(stock) is HashMismatch.UNCHECKED
    assert mismatch(make.module(make.OTHER, b"MZ")) is HashMismatch.UNCHECKED


def test_what_is_packed_otherwise_is_not_guessed_at():
    hidden = make.volume(make.file(make.OTHER, make.guided(make.OTHER, bytes(40))))
    assert observe_hash_mismatch(read_contents(hidden)).value is HashMismatch.UNSEEN
    assert observe_grub(read_contents(hidden)).value is Grub.UNSEEN
    assert observe_hash_mismatch(read_contents(bytes(4096))).value is HashMismatch.UNSEEN


def test_the_real_amdsev_image_falls_through(amdsev):
    observed = observe_hash_mismatch(amdsev)
    assert observed.value is HashMismatch.FALLS_THROUGH
    assert "before stable202408" in observed.text


@pytest.mark.parametrize("name", ["OVMF_CODE.fd", "OVMF_CODE_4M.fd"])
def test_real_stock_images_check_nothing_and_have_no_grub(vectors, name):
    found = read_contents((vectors / "firmware" / name).read_bytes())
    assert observe_hash_mismatch(found).value is HashMismatch.UNCHECKED
    assert observe_grub(found).value is Grub.NONE
    assert observe_layout(found).value is Layout.CODE
    assert found.problems == ()


# -- GRUB --------------------------------------------------------------------------------


def grub(script):
    return observe_grub(contents(make.grub(script))).value


@pytest.mark.parametrize(
    "script",
    [
        make.PROMPTING,
        "cryptomount -s\nif [ $? -ne 0 ]; then cryptomount -a; fi\n",
        "echo hello\ncryptomount (hd0,gpt2)\n",
        "! cryptomount -u 0123\nreboot\n",
    ],
)
def test_a_script_that_unlocks_without_the_secret_prompts(script):
    assert grub(script) is Grub.PROMPTS


@pytest.mark.parametrize(
    "script",
    [
        make.SILENT,
        "sevsecret\ncryptomount -s efisecret\nreboot\n",
        "cryptomount -s\n# cryptomount -a\necho cryptomount -a\nhalt\n",
    ],
)
def test_a_script_that_unlocks_with_the_secret_only_is_silent(script):
    assert grub(script) is Grub.SILENT


@pytest.mark.parametrize(
    "command", ["cryptomount -a --password=hunter2", "cryptomount -k (memdisk)/key -a"]
)
def test_a_key_in_the_image_opens_disks_of_the_host_too_and_is_not_repeated(command):
    observed = observe_grub(contents(make.grub(f"cryptomount -s\n{command}\nhalt\n")))
    assert observed.value is Grub.OTHER_KEY
    assert "hunter2" not in observed.text


@pytest.mark.parametrize("script", ["", "normal (memdisk)/grub.cfg\nreboot\n", "cryptomount -a"])
def test_a_grub_whose_script_is_not_found_is_not_guessed_at(script):
    assert grub(script) is Grub.UNSEEN


def test_a_grub_larger_than_any_is_not_searched():
    script = make.PROMPTING * ((4 << 20) // len(make.PROMPTING) + 1)
    body = make.sections(make.section(make.PE32, script.encode()), make.named("Grub"))
    found = read_contents(make.volume(make.file(make.GRUB, body)))
    assert len(found.module(make.GRUB).code) > 4 << 20
    assert observe_grub(found).value is Grub.UNSEEN


def test_an_image_without_grub_or_with_an_empty_one_has_none():
    assert observe_grub(contents(make.old_loader())).value is Grub.NONE
    assert observe_grub(contents(make.module(make.GRUB, b""))).value is Grub.NONE


def test_the_real_script_of_edk2_prompts(amdsev):
    observed = observe_grub(amdsev)
    assert observed.value is Grub.PROMPTS
    assert "cryptomount -a" in observed.text


# -- layout ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (make.image(), Layout.FULL),
        (make.image(variables=False), Layout.CODE),
        (make.volume(file_system=make.VARIABLES), Layout.VARIABLES),
        (make.volume(file_system=make.OTHER), Layout.UNKNOWN),
        (bytes(4096), Layout.UNKNOWN),
    ],
)
def test_the_part_of_a_firmware_that_an_image_is(data, expected):
    assert observe_layout(read_contents(data)).value is expected


def test_the_real_amdsev_image_has_everything(amdsev):
    assert observe_layout(amdsev).value is Layout.FULL
    assert len(amdsev.modules) == 87
