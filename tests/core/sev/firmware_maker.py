# SPDX-License-Identifier: Apache-2.0
"""Makes firmware images by hand: volumes, files, sections and tables, apart from the core."""

from __future__ import annotations

import lzma
import struct
from uuid import UUID

FFS2 = UUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3")
VARIABLES = UUID("fff12b8d-7696-4c8b-a985-2747075b4f50")
LZMA = UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf")
CRC32 = UUID("fc1bcdb0-7d31-49aa-936a-a4600d9dd083")
LOADER = UUID("806040ca-dad9-4978-a3b4-2d2ab0c8a48f")
GRUB = UUID("b5ae312c-bc8a-43b1-9c62-ebb826dd5d07")
OTHER = UUID("11111111-2222-3333-4444-555555555555")
KERNEL_HASH = UUID("4de79437-abd2-427f-b835-d5b172d2045b").bytes_le

FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
RESET = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
SECRET = UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294")
HASHES = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
METADATA = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
JUMP = bytes.fromhex("9090e95bff909090") + b"\x90" * 8

PE32, TE, NAME, VOLUME_IMAGE, GUIDED, COMPRESSED = 0x10, 0x12, 0x15, 0x17, 0x02, 0x01

# What GCC makes of edk2's CpuDeadLoop before and since edk2-stable202408, with -Os and -O2.
LOOPS_BEFORE = (
    "488b44240848 85c07504f390ebf2",
    "488b44240848 85c074f6",
    "f390488b44240848 85c074f4",
    "488b45f848 85c074f7",
)
LOOPS_SINCE = (
    "488b542408488b05000000004839c27504f390ebeb",
    "f390488b542408488b05a8ffffff4839c274ed",
)


def padded(data, step):
    return data + bytes(-len(data) % step)


def section(kind, body, large=False):
    if large:
        return b"\xff\xff\xff" + bytes([kind]) + struct.pack("<I", len(body) + 8) + body
    return (len(body) + 4).to_bytes(3, "little") + bytes([kind]) + body


def sections(*parts):
    """Sections one after the other, each at a multiple of four."""
    return b"".join(padded(part, 4) for part in parts)


def named(name):
    return section(NAME, (name + "\0").encode("utf-16-le"))


def guided(guid, body, attributes=1):
    return section(GUIDED, guid.bytes_le + struct.pack("<HH", 24, attributes) + body)


def packed(clear, dictionary=1 << 20):
    """A section as edk2's LZMA tool packs it."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "preset": 0}]
    data = bytearray(lzma.compress(clear, lzma.FORMAT_ALONE, filters=filters))
    data[5:13] = struct.pack("<Q", len(clear))  # Python writes "unknown", edk2 the size
    return guided(LZMA, bytes(data))


def file(guid, body, kind=0x07, large=False):
    if large:
        head = guid.bytes_le + bytes([0, 0, kind, 1]) + bytes(3) + b"\xf8"
        return head + struct.pack("<Q", len(body) + 32) + body
    head = guid.bytes_le + bytes([0, 0, kind, 0]) + (len(body) + 24).to_bytes(3, "little") + b"\xf8"
    return head + body


def module(guid, code, name="Module"):
    return file(guid, sections(section(PE32, code), named(name)))


def volume(*files, file_system=FFS2, size=None, extended=False):
    """A volume with a right checksum; the rest of its ``size`` is free."""
    length, extension = 72, b""
    if extended:
        extension = bytes(16) + struct.pack("<I", 20)
    body = b""
    for one in files:
        body += padded(one, 8)
    content = padded(extension, 8) + body
    total = size or -(-(length + len(content)) // 4096) * 4096
    where = length if extended else 0
    head = struct.pack(
        "<16x16sQ4sIHHHBB", file_system.bytes_le, total, b"_FVH", 0, length, 0, where, 0, 2
    )
    head = bytearray(head.ljust(length, b"\0"))
    head[50:52] = struct.pack("<H", -sum(struct.unpack("<36H", head)) & 0xFFFF)
    return (bytes(head) + content).ljust(total, b"\xff")


def entry(guid, *numbers):
    data = b"".join(struct.pack("<I", number) for number in numbers)
    return data + struct.pack("<H16s", len(data) + 18, guid.bytes_le)


AMDSEV = (
    entry(HASHES, 0x810C00, 0x400),
    entry(SECRET, 0x810000, 0xC00),
    entry(RESET, 0x80B004),
)


def tail(*entries, size=4096, last=JUMP):
    """The end of an image: a table, and where the processor starts."""
    body = b"".join(entries)
    table = body + struct.pack("<H16s", len(body) + 18, FOOTER.bytes_le)
    return (table + bytes(16) + last).rjust(size, b"\0")


def image(*modules, entries=AMDSEV, variables=True, last=JUMP):
    """An image as edk2's AmdSev package lays it out: variables, packed code, start code."""
    code = packed(section(VOLUME_IMAGE, volume(*modules)))
    parts = [volume(file(OTHER, sections(code), kind=0x0B)), tail(*entries, last=last)]
    if variables:
        parts.insert(0, volume(file_system=VARIABLES, size=8192))
    return b"".join(parts)


def loader(*parts):
    """A kernel loader with the check of hashes, and what is given in its code."""
    return module(LOADER, bytes(64).join((b"MZ", KERNEL_HASH, *parts)), "QemuKernelLoaderFsDxe")


def old_loader():
    return loader(bytes.fromhex(LOOPS_BEFORE[0]))


def new_loader():
    return loader(bytes.fromhex(LOOPS_SINCE[0]))


def grub(script):
    code = b"MZ" + bytes(100) + b"SOURCE|-u UUID\0cryptomount\0" + script.encode() + bytes(100)
    return module(GRUB, code, "Grub")


PROMPTING = "sevsecret\r\nif [ $? -ne 0 ]; then\r\n    cryptomount -a\r\nfi\r\n"
SILENT = "sevsecret\ncryptomount -s # nothing else\nif [ $? -ne 0 ]; then\n  halt\nfi\n"
