# SPDX-License-Identifier: Apache-2.0
"""Volumes and modules found in firmware images, whole, damaged and made to use up memory."""

from __future__ import annotations

import lzma
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.sev import firmware_volumes
from watchword.core.sev.firmware_volumes import find_volumes, read_contents

from . import firmware_maker as make

CODE = b"MZ" + bytes(range(200))


def contents(*parts, **options):
    """What is read in a volume with one file of these sections."""
    return read_contents(make.volume(make.file(make.OTHER, make.sections(*parts)), **options))


def seen(found):
    return [(module.guid, module.name, bytes(module.code)) for module in found.modules]


ONE = [(make.OTHER, "Driver", CODE)]


# -- what is found -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [make.PE32, make.TE])
@pytest.mark.parametrize("extended", [False, True])
def test_a_module_is_read_with_its_name_and_code(kind, extended):
    found = contents(make.section(kind, CODE), make.named("Driver"), extended=extended)
    assert (seen(found), found.problems) == (ONE, ())


def test_large_files_and_sections_have_their_size_elsewhere():
    body = make.sections(make.section(make.PE32, CODE, large=True), make.named("Driver"))
    found = read_contents(make.volume(make.file(make.OTHER, body, large=True)))
    assert (seen(found), found.problems) == (ONE, ())


def driver():
    return make.module(make.OTHER, CODE, "Driver")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: inner,
        make.packed,
        lambda inner: make.guided(make.CRC32, inner, attributes=2),
        lambda inner: make.section(make.COMPRESSED, bytes(5) + inner),
        lambda inner: make.packed(make.sections(make.packed(inner))),
    ],
)
def test_volumes_in_volumes_are_gone_into(wrap):
    found = contents(wrap(make.section(make.VOLUME_IMAGE, make.volume(driver()))))
    assert (seen(found), found.problems) == (ONE, ())


def test_padding_files_hold_no_modules():
    padding = make.file(make.OTHER, make.sections(make.section(make.PE32, CODE)), kind=0xF0)
    assert seen(read_contents(make.volume(padding, driver()))) == ONE


def test_volumes_stand_side_by_side():
    data = make.volume(file_system=make.VARIABLES, size=8192) + make.volume(driver()) + bytes(4096)
    volumes = list(find_volumes(data))
    assert [(v.offset, v.size) for v in volumes] == [(0, 8192), (8192, 4096)]
    assert [(v.holds_files, v.holds_variables) for v in volumes] == [(False, True), (True, False)]


def test_modules_are_found_by_their_guid():
    found = read_contents(make.volume(driver()))
    assert found.module(make.OTHER).name == "Driver"
    assert found.module(make.GRUB) is None


# -- what is damaged ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (40, b"-"),
        (32, b"\xff" * 8),
        (48, b"\xff\xff"),
        (48, b"\2\0"),
        (52, b"\xff\xff"),
        (16, b"?"),
    ],
)
def test_a_header_that_does_not_add_up_is_no_volume(offset, value):
    data = bytearray(make.volume(driver()))
    data[offset : offset + len(value)] = value
    assert list(find_volumes(bytes(data))) == []


@pytest.mark.parametrize("size", [0, 23, 4096])
def test_a_file_of_impossible_size_ends_its_volume(size):
    broken = bytearray(make.file(make.OTHER, bytes(100)))
    broken[20:23] = size.to_bytes(3, "little")
    found = read_contents(make.volume(driver(), bytes(broken), driver()))
    assert seen(found) == ONE
    assert found.problems == ("A volume can't be read from some file on.",)


def test_what_can_not_be_unpacked_is_told():
    unknown = make.guided(make.OTHER, b"?" * 40)
    damaged = make.guided(make.LZMA, b"\xff" * 40)
    old = make.section(make.COMPRESSED, bytes(4) + b"\1" + bytes(40))
    offset = bytearray(make.guided(make.LZMA, b""))
    offset[20:22] = b"\xff\xff"
    found = contents(unknown, damaged, old, bytes(offset), make.section(make.GUIDED, b"short"))
    assert len(found.problems) == 4
    assert str(make.OTHER) in found.problems[0]


def test_a_packed_section_that_is_cut_short_is_used_as_far_as_it_goes():
    whole = make.packed(make.sections(make.section(make.VOLUME_IMAGE, make.volume(driver()))))
    noise = random.Random(1).randbytes(4000)
    more = make.packed(make.section(make.PE32, CODE) + noise)
    found = contents(whole, make.section(make.GUIDED, more[4:-2000]))
    assert seen(found)[0] == ONE[0]
    assert found.problems == ("A packed section is cut short.",)


def test_without_lzma_packed_code_is_told_to_be_unseen(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    found = contents(make.packed(b"clear"))
    assert "no lzma" in found.problems[0]


# -- what is made to use up time or memory -----------------------------------------------


def test_packed_sections_have_one_budget_for_all(monkeypatch):
    monkeypatch.setattr(firmware_volumes, "UNPACKED_LIMIT", 1 << 20)
    small, large = make.packed(bytes(600 << 10)), make.packed(bytes(2 << 20))
    assert contents(small).problems == ()
    assert contents(large).problems == ("Packed code has more than 1 MiB.",)
    assert contents(small, small).problems == ("Packed code has more than 1 MiB.",)


def test_a_bomb_is_not_unpacked_further_than_the_budget(monkeypatch):
    real, made = lzma.LZMADecompressor, []

    class Machine:
        def __init__(self, **options):
            self.machine, self.given = real(**options), []
            made.append(self)

        def decompress(self, data, max_length):
            self.given.append(self.machine.decompress(data, max_length))
            return self.given[-1]

    bomb = make.packed(bytes(8 << 20))
    monkeypatch.setattr(firmware_volumes, "UNPACKED_LIMIT", 1 << 16)
    monkeypatch.setattr(lzma, "LZMADecompressor", Machine)
    assert contents(bomb).problems
    assert [len(data) for data in made[0].given] == [(1 << 16) + 1]


def test_a_dictionary_of_gibibytes_is_refused():
    bomb = bytearray(make.packed(bytes(100)))
    bomb[25:29] = b"\xff\xff\xff\xff"
    assert contents(bytes(bomb)).problems == (
        "A packed section is damaged, or made to use up memory.",
    )


def test_nesting_has_an_end():
    inner = make.section(make.VOLUME_IMAGE, make.volume(driver()))
    for _ in range(12):
        inner = make.section(make.VOLUME_IMAGE, make.volume(make.file(make.OTHER, inner)))
    found = contents(inner)
    assert found.problems == ("Volumes are nested too deeply to be looked into.",)
    inner = make.sections(make.section(make.PE32, CODE))
    for _ in range(12):
        inner = make.guided(make.CRC32, inner, attributes=2)
    assert contents(inner).problems == ("Sections are nested too deeply to be looked into.",)


def test_files_without_end_are_not_followed(monkeypatch):
    monkeypatch.setattr(firmware_volumes, "_STEPS_MAX", 50)
    found = read_contents(make.volume(*[make.file(make.OTHER, b"")] * 100))
    assert found.problems[0] == "Only 50 files and sections are looked at."


def test_marks_without_end_are_not_followed():
    assert list(find_volumes(b"_FVH" * 100_000)) == []


@given(st.binary(max_size=300))
def test_any_bytes_give_contents(data):
    assert read_contents(data).modules == ()
    read_contents(make.volume(data))
    read_contents(make.volume(make.file(make.OTHER, data)))


@given(st.data())
def test_a_mutated_image_gives_contents(data):
    mutated = bytearray(make.image(make.old_loader(), make.grub(make.PROMPTING)))
    for _ in range(data.draw(st.integers(1, 6))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    read_contents(bytes(mutated))
