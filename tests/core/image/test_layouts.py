# SPDX-License-Identifier: Apache-2.0
"""Partition tables and qcow2 headers: read as the tools wrote them, refused in words if altered."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.image.disk_access import ImageFormat, opened_image
from watchword.core.image.image_errors import too_short
from watchword.core.image.partition_table import TableKind, read_partition_table
from watchword.core.image.qcow2_header import Qcow2Header

from .disk_support import read_or_refused, run

MIB = 1 << 20


def table_of(data):
    def read(offset, size):
        if offset < 0 or offset + size > len(data):
            raise too_short()
        return bytes(data[offset : offset + size])

    return read_partition_table(read, len(data))


def divided(path, script, size=8 * MIB):
    with path.open("wb") as file:
        file.truncate(size)
    run("sfdisk", "-q", path, feed=script.encode())
    return path.read_bytes()


def test_a_qcow2_that_is_exchanged_after_it_was_looked_at_is_not_opened(
    tmp_path, program, monkeypatch
):
    program("qemu-nbd", "qemu-utils")
    private, image = tmp_path / "private", tmp_path / "image"
    private.write_bytes(b"private".ljust(MIB, b"."))
    run("qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
    other = tmp_path / "other"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", private, other)
    parse = Qcow2Header.parse

    def exchange(data):
        other.replace(image)
        return parse(data)

    monkeypatch.setattr(Qcow2Header, "parse", exchange)
    with opened_image(image) as opened:
        assert opened.disk.read(0, 7) == bytes(7)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory, program):
    program("sfdisk", "fdisk")
    path = tmp_path_factory.mktemp("gpt") / "disk"
    return divided(path, "label: gpt\nsize=1MiB,type=U\nsize=2MiB,type=L,name=root\n"), path


def test_a_gpt_is_read_as_sfdisk_reads_it(gpt):
    data, path = gpt
    table = table_of(data)
    said = json.loads(run("sfdisk", "--json", path).stdout)["partitiontable"]
    assert table.kind is TableKind.GPT
    assert table.disk_id.upper() == said["id"]
    for part, other in zip(table.partitions, said["partitions"], strict=True):
        assert part.offset == other["start"] * 512
        assert part.size == other["size"] * 512
        assert part.type_id.upper() == other["type"]
        assert part.unique_id.upper() == other["uuid"]
        assert part.name == other.get("name", "")
    assert [part.is_esp for part in table.partitions] == [True, False]


def test_an_mbr_is_read_as_sfdisk_reads_it(tmp_path, program):
    program("sfdisk", "fdisk")
    data = divided(tmp_path / "disk", "label: dos\nsize=1MiB,type=ef\nsize=2MiB,type=83\n")
    table = table_of(data)
    assert table.kind is TableKind.MBR
    assert [(p.offset, p.size, p.is_esp) for p in table.partitions] == [
        (MIB, MIB, True),
        (2 * MIB, 2 * MIB, False),
    ]


def test_a_damaged_copy_of_a_gpt_is_named_and_the_other_used(gpt):
    whole = table_of(gpt[0])
    for place, name in ((512 + 60, "first"), (len(gpt[0]) - 512 + 60, "second")):
        data = bytearray(gpt[0])
        data[place] ^= 1
        found = table_of(data)
        assert found.damaged_copy == name
        assert found.partitions == whole.partitions
        data[512 + 61] ^= 1
        data[len(data) - 512 + 61] ^= 1
        with pytest.raises(BadInput, match="neither copy"):
            table_of(data)


def test_an_image_that_was_cut_off_is_refused(gpt):
    with pytest.raises(BadInput) as caught:
        table_of(gpt[0][: 3 * MIB])
    assert caught.value.code == "image-bad-layout"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_altered_tables_are_read_or_refused_in_words(gpt, data):
    altered = bytearray(gpt[0][: 64 << 10])
    for _ in range(data.draw(st.integers(1, 5))):
        altered[data.draw(st.integers(0, 2048))] = data.draw(st.integers(0, 255))
    table = read_or_refused(lambda: table_of(altered), "image-bad-layout", "image-too-short")
    if table is not None:
        assert all(part.offset + part.size <= len(altered) for part in table.partitions)


@pytest.fixture
def qcow2(tmp_path, program):
    program("qemu-img", "qemu-utils")
    path = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "3M")
    return path


def test_a_qcow2_is_opened_and_keeps_what_is_written(qcow2):
    with opened_image(qcow2, writable=True) as image:
        assert image.format is ImageFormat.QCOW2
        assert image.disk.size == 3 * MIB
        image.disk.write(1000, b"some bytes")
        image.disk.flush()
        assert image.disk.read(998, 14) == b"\0\0some bytes\0\0"
    with opened_image(qcow2) as image:
        assert image.disk.read(1000, 10) == b"some bytes"
        with pytest.raises(BadInput, match="ends before"):
            image.disk.read(3 * MIB - 4, 5)
    assert run("qemu-img", "check", "-q", qcow2).returncode == 0


def test_a_qcow2_that_names_other_files_is_not_opened(tmp_path, qcow2):
    secret = tmp_path / "secret"
    secret.write_bytes(b"nobody's business" * 1000)
    overlay, outside = tmp_path / "overlay", tmp_path / "outside"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", overlay)
    options = f"data_file={tmp_path / 'data'}"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, outside, "1M")
    for path in (overlay, outside):
        with pytest.raises(BadInput) as caught, opened_image(path):
            pass
        assert caught.value.code == "image-not-alone"


def test_a_raw_image_that_looks_like_nothing_is_one_whole(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(MIB))
    with opened_image(path) as image:
        assert image.format is ImageFormat.RAW
        assert read_partition_table(image.disk.read, image.disk.size).kind is TableKind.NONE


def test_other_formats_are_named(tmp_path):
    path = tmp_path / "disk.vmdk"
    path.write_bytes(b"KDMV".ljust(512, b"\0"))
    with pytest.raises(BadInput, match="VMDK"), opened_image(path):
        pass


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120), magic=st.booleans())
def test_any_qcow2_header_is_read_or_refused_in_words(data, magic):
    start = struct.pack(">4sI", b"QFI\xfb", 3) + data if magic else data
    header = read_or_refused(lambda: Qcow2Header.parse(start), "image-bad-qcow2", "image-not-alone")
    if header is not None:
        assert header.size > 0
