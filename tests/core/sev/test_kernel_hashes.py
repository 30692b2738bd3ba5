# SPDX-License-Identifier: Apache-2.0
"""The table of kernel, initrd and command line hashes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.sev.kernel_hashes import CMDLINE_LIMIT, KernelHashes, hash_cmdline

hashes = st.binary(min_size=32, max_size=32)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@given(hashes, hashes, hashes)
def test_what_is_built_is_parsed_again(kernel, initrd, cmdline):
    value = KernelHashes(kernel=kernel, initrd=initrd, cmdline=cmdline)
    assert KernelHashes.parse(value.build()) == value


def test_the_table_stands_as_qemu_makes_it():
    table = KernelHashes(kernel=b"k" * 32, initrd=b"i" * 32, cmdline=b"c" * 32).build()
    assert len(table) == 176
    assert table.hex() == "".join(
        (
            "06d63894224fc94cb479a793d411fd21a800",
            "d82dd09720bd944caa78e7714d36ab2a3200" + "63" * 32,
            "31f7ba442f3ad74b9af141e29169781d3200" + "69" * 32,
            "3794e74dd2ab7f42b835d5b172d2045b3200" + "6b" * 32,
            "00" * 8,
        )
    )


@given(st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_refusal(data):
    with pytest.raises(BadInput):
        KernelHashes.parse(data)


@given(st.integers(0, 175), st.integers(1, 255))
def test_a_flipped_byte_is_another_hash_or_refused(place, change):
    value = KernelHashes(kernel=b"k" * 32, initrd=b"i" * 32, cmdline=b"c" * 32)
    table = bytearray(value.build())
    table[place] ^= change
    try:
        parsed = KernelHashes.parse(bytes(table))
    except BadInput:
        return
    assert parsed != value
    assert parsed.build() == bytes(table)


@pytest.mark.parametrize("place", [0, 17, 18, 35, 68, 118, 168, 175])
def test_framing_and_padding_are_checked(place):
    table = bytearray(KernelHashes(kernel=bytes(32), initrd=bytes(32), cmdline=bytes(32)).build())
    table[place] ^= 1
    with pytest.raises(BadInput) as caught:
        KernelHashes.parse(bytes(table))
    assert caught.value.code == "kernel-hashes-broken"


@pytest.mark.parametrize("name", ["kernel", "initrd", "cmdline"])
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_hash_of_another_size_is_refused(name, size):
    parts = {"kernel": bytes(32), "initrd": bytes(32), "cmdline": bytes(32)} | {name: bytes(size)}
    with pytest.raises(BadInput) as caught:
        KernelHashes(**parts)
    assert name in caught.value.field


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (None, b"\0"),
        ("", b"\0"),
        ("quiet", b"quiet\0"),
        (" quiet \n", b" quiet \n\0"),
        ("utf8=é漢", "utf8=é漢".encode() + b"\0"),
    ],
)
def test_every_byte_of_the_command_line_counts_and_one_nul(text, data):
    assert hash_cmdline(text) == sha256(data)


@pytest.mark.parametrize("text", ["a\0b", "quiet\0", "\udc80", "x" * (CMDLINE_LIMIT + 1)])
def test_a_command_line_that_qemu_cannot_be_given_is_refused(text):
    with pytest.raises(BadInput) as caught:
        hash_cmdline(text, "--cmdline")
    assert caught.value.code == "cmdline-unusable"
    assert caught.value.field == "--cmdline"


def test_streams_are_hashed_in_order():
    value = KernelHashes.from_streams([b"ker", b"", b"nel"], iter([b"init", b"rd"]), "quiet")
    assert value == KernelHashes(
        kernel=sha256(b"kernel"), initrd=sha256(b"initrd"), cmdline=sha256(b"quiet\0")
    )


def test_no_initrd_is_an_empty_one():
    without = KernelHashes.from_streams([b"kernel"], None, None)
    assert without == KernelHashes.from_streams([b"kernel"], [], "")
    assert without.initrd == sha256(b"")
