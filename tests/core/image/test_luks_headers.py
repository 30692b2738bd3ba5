# SPDX-License-Identifier: Apache-2.0
"""LUKS headers: read as cryptsetup reads them, and refused in words however they are altered."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.image.image_errors import too_short
from watchword.core.image.luks_header import KeySlot, read_luks

from .disk_support import make_luks, read_or_refused, run

SIZE = {1: 4 << 20, 2: 17 << 20}


def reader(data):
    def read(offset, size):
        if offset < 0 or size < 0 or offset + size > len(data):
            raise too_short()
        return bytes(data[offset : offset + size])

    return read


def parse(data, size=None):
    return read_luks(reader(data), size or len(data))


@pytest.fixture(scope="module", params=[1, 2], ids=["luks1", "luks2"])
def version(request, program):
    program("cryptsetup", "cryptsetup-bin")
    return request.param


@pytest.fixture(scope="module")
def luks(version, tmp_path_factory):
    path = tmp_path_factory.mktemp("luks") / f"luks{version}"
    make_luks(path, version, size=SIZE[version])
    return path


@pytest.fixture(scope="module")
def header(luks):
    """The bytes of both copies of the header, of a volume of SIZE bytes."""
    return luks.read_bytes()[: 32 << 10]


def test_a_header_is_read_as_cryptsetup_reads_it(luks, version):
    found = parse(luks.read_bytes())
    dump = run("cryptsetup", "luksDump", luks).stdout.decode()
    assert re.search(rf"UUID:\s+{found.uuid}\n", dump)
    assert found.version == version
    assert found.cipher in dump.replace("Cipher name:   \taes\nCipher mode:   \t", "aes-")
    assert [slot.iterations for slot in found.slots] == [1000, 150000]
    assert [slot.is_fast for slot in found.slots] == [True, False]
    assert [int(n) for n in re.findall(r"Iterations: +\t*([0-9]+)", dump)][:2] == [1000, 150000]
    payload = re.search(r"Payload offset:\s+([0-9]+)", dump)
    offset = int(payload[1]) * 512 if payload else int(re.search(r"offset: ([0-9]+)", dump)[1])
    assert found.payload_offset == offset
    assert found.damaged_copy == ""


def test_a_changed_slot_changes_the_digest_and_a_label_does_not(luks, version, tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(luks.read_bytes())
    before = parse(copy.read_bytes())
    if version == 2:
        run("cryptsetup", "config", "--label", "other", copy)
        assert parse(copy.read_bytes()).digest == before.digest
    run("cryptsetup", "luksKillSlot", "-q", copy, "1")
    after = parse(copy.read_bytes())
    assert after.digest == before.without(1).digest != before.digest


def test_argon2_slots_show_what_they_cost(program, tmp_path):
    program("cryptsetup", "cryptsetup-bin")
    path = tmp_path / "luks"
    with path.open("wb") as file:
        file.truncate(17 << 20)
    stretching = ("--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "65536")
    run("cryptsetup", "luksFormat", "-q", "--type", "luks2", *stretching, path, feed=b"words")
    (slot,) = parse(path.read_bytes()).slots
    assert (slot.kdf, slot.iterations, slot.memory_kib) == ("argon2id", 4, 65536)
    assert not slot.is_fast


@settings(max_examples=150, deadline=None)
@given(
    places=st.lists(
        st.tuples(st.integers(0, (32 << 10) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_altered_headers_are_read_or_refused_in_words(header, version, places):
    data = bytearray(header)
    for place, value in places:
        data[place] = value
    found = read_or_refused(lambda: parse(data, SIZE[version]), "image-bad-luks", "image-too-short")
    if found is not None:
        assert all(slot.offset + slot.size <= SIZE[version] for slot in found.slots)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 32 << 10))
def test_headers_that_are_cut_off_are_refused_in_words(header, length):
    with pytest.raises(BadInput) as caught:
        parse(header[:length])
    assert caught.value.code in ("image-bad-luks", "image-too-short")


def with_document(header, change):
    """A LUKS2 header with another document in both copies, and right checksums."""
    data = bytearray(header)
    size = int.from_bytes(data[8:16], "big")
    document = json.loads(data[4096:size].rstrip(b"\0"))
    change(document)
    text = json.dumps(document).encode()
    for start in (0, size):
        data[start + 4096 : start + size] = text.ljust(size - 4096, b"\0")
        data[start + 448 : start + 512] = bytes(64)
        digest = hashlib.sha256(data[start : start + size]).digest()
        data[start + 448 : start + 480] = digest
    return data


def test_a_key_slot_that_any_key_opens_is_refused(header, version):
    if version == 1:
        return  # slots have the cipher of the data, which is shown

    def forge(document):
        document["keyslots"]["0"]["area"]["encryption"] = "cipher_null-ecb"

    with pytest.raises(BadInput, match="in clear") as caught:
        parse(with_document(header, forge), SIZE[version])
    assert caught.value.code == "image-bad-luks"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_document_under_a_right_checksum_is_read_or_refused_in_words(header, version, data):
    if version == 1:
        return

    def change(document):
        place, key = document, None
        for _ in range(data.draw(st.integers(1, 5))):
            key = data.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or not place[key]:
                break
            parent, place = place, place[key]
        target = place if key in place else parent
        target[key] = data.draw(values)

    found = read_or_refused(
        lambda: parse(with_document(header, change), SIZE[version]), "image-bad-luks"
    )
    if found is not None:
        assert all(isinstance(slot, KeySlot) for slot in found.slots)
        assert re.fullmatch("[0-9a-f]{64}", found.digest)


@pytest.mark.parametrize(("damaged", "place"), [("first", 5000), ("second", (16 << 10) + 5000)])
def test_one_damaged_copy_of_a_luks2_header_is_named_and_the_other_used(
    header, version, damaged, place
):
    if version == 1:
        return
    data = bytearray(header)
    data[place] ^= 1
    found = parse(data, SIZE[2])
    assert found.damaged_copy == damaged
    assert found.digest == parse(header, SIZE[2]).digest
    data[5000] ^= damaged == "second"
    data[(16 << 10) + 5000] ^= damaged == "first"
    with pytest.raises(BadInput, match="neither copy"):
        parse(data, SIZE[2])


def test_a_header_without_encryption_says_so(header, version):
    data = bytearray(header)
    if version == 1:
        data[8:72] = b"cipher_null".ljust(32, b"\0") + b"ecb".ljust(32, b"\0")
    else:
        data = with_document(
            header, lambda d: d["segments"]["0"].update(encryption="cipher_null-ecb")
        )
    assert not parse(data, SIZE[version]).is_encrypted
    assert parse(header, SIZE[version]).is_encrypted
