# SPDX-License-Identifier: Apache-2.0
"""The table of secrets: layout, padding, limits, names, and the NUL that GRUB wants."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput, UsageError
from watchword.core.secret import Secret
from watchword.core.sev.secret_table import (
    DISK_PASSPHRASE,
    KNOWN_SECRETS,
    KVM_LIMIT,
    TABLE_GUID,
    Route,
    SecretEntry,
    TestSecretEntry,
    build_table,
    check_entries,
    needs_trailing_nul,
    parse_secret_name,
    parse_table,
    table_size,
    with_trailing_nul,
)

from .conftest import outcome

HEADER = bytes.fromhex("42f5741edd71664d963eef4287ff173b")
PASSPHRASE = bytes.fromhex("e5696873f084734992ec06879ce3da0b")
GUIDS = st.uuids().filter(lambda guid: guid not in (UUID(int=0), TABLE_GUID))


def entry(data=b"secret", guid=DISK_PASSPHRASE):
    return SecretEntry(guid, Secret(data))


def clear(secret):
    with secret.reveal() as view:
        return bytes(view)


def plain(entries):
    return [(x.guid, clear(x.data)) for x in entries]


def test_a_table_byte_by_byte():
    table = clear(build_table([entry(b"abc")]))
    length = struct.pack("<I", 20 + 20 + 3)
    assert table == HEADER + length + PASSPHRASE + struct.pack("<I", 23) + b"abc" + bytes(5)


@settings(max_examples=40)
@given(st.lists(st.tuples(GUIDS, st.binary(max_size=70)), max_size=10))
def test_a_table_survives_build_and_parse(secrets):
    entries = [entry(data, guid) for guid, data in secrets]
    table = build_table(entries)
    data = clear(table)
    assert len(data) == table_size(entries)
    assert len(data) % 16 == 0
    used = struct.unpack_from("<I", data, 16)[0]
    assert len(data) - used < 16
    assert not any(data[used:])
    assert plain(parse_table(data)) == secrets


@settings(max_examples=20)
@given(st.lists(st.tuples(GUIDS, st.binary(min_size=1, max_size=30)), min_size=1, max_size=3))
def test_a_header_that_counts_the_padding_is_read_too(secrets):
    data = bytearray(clear(build_table([entry(data, guid) for guid, data in secrets])))
    struct.pack_into("<I", data, 16, len(data))
    assert plain(parse_table(bytes(data))) == secrets


TOTALS = st.integers(0, 200).map(lambda total: struct.pack("<I", total))
TABLES = st.builds(
    lambda total, rest: HEADER + total + rest,
    TOTALS,
    st.binary(max_size=100)
    | st.builds(
        lambda a, b, c: a + b + c, st.binary(min_size=16, max_size=16), TOTALS, st.binary()
    ),
)


@given(st.binary(max_size=100) | TABLES)
def test_any_bytes_are_a_table_or_bad_input(data):
    found = outcome(parse_table, data)
    if isinstance(found, BadInput):
        assert found.code == "bad-secret-table"
        return
    again = clear(build_table(found))
    used = struct.unpack_from("<I", again, 16)[0]
    # What differs is zeros, and whether the header counts them.
    assert again[20:used] == data[20:used]
    assert data[:16] == HEADER


@pytest.mark.parametrize("length", [0, 19, 27, 0xFFFFFFFF])
def test_an_entry_that_is_too_short_or_too_long_is_corrupt(length):
    data = bytearray(clear(build_table([entry(b"sixsix")])))
    struct.pack_into("<I", data, 36, length)
    with pytest.raises(BadInput):
        parse_table(bytes(data))


# -- limits -----------------------------------------------------------------------------------


def refused(entries, area=None):
    with pytest.raises(BadInput) as caught:
        check_entries(entries, area)
    assert caught.value.code == "bad-secrets"
    return caught.value.message


def test_there_must_be_a_secret_and_none_may_be_empty():
    assert "none" in refused([])
    assert "empty" in refused([entry(), entry(b"", UUID(int=5))])


def test_a_guid_twice_is_refused():
    assert "twice" in refused([entry(b"a"), entry(b"b")])


@pytest.mark.parametrize("guid", [UUID(int=0), TABLE_GUID])
def test_guids_that_a_guest_would_skip_are_refused(guid):
    assert "GUID" in refused([entry(guid=guid)])


def test_at_most_64_secrets():
    entries = [entry(b"x", UUID(int=number + 1)) for number in range(65)]
    check_entries(entries[:64], None)
    assert "65" in refused(entries)


@pytest.mark.parametrize(("area", "most"), [(None, 16344), (3072, 3032), (KVM_LIMIT * 2, 16344)])
def test_a_table_fills_its_area_and_no_more(area, most):
    check_entries([entry(bytes(most))], area)
    assert "has room for" in refused([entry(bytes(most + 1))], area)


@pytest.mark.parametrize("area", [0, 1, 47])
def test_an_area_without_room_takes_nothing(area):
    assert f"room for {area}" in refused([entry(b"x")], area)
    assert "firmware" in refused([entry(b"x")], area)


def test_a_wiped_secret_is_not_sealed():
    wiped = entry()
    wiped.data.wipe()
    assert "empty" in refused([wiped])


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*KNOWN_SECRETS, " Disk-Passphrase ", "LUKS-KEY"])
def test_known_names_have_their_guids(name):
    assert parse_secret_name(name) == KNOWN_SECRETS[name.strip().lower()]


@given(GUIDS)
def test_a_guid_names_itself_in_either_case(guid):
    assert parse_secret_name(str(guid)) == guid
    assert parse_secret_name(str(guid).upper()) == guid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "disk",
        str(UUID(int=0)),
        str(TABLE_GUID),
        "736869e584f0497392ec06879ce3da0b",
        "{736869e5-84f0-4973-92ec-06879ce3da0b}",
        "urn:uuid:736869e5-84f0-4973-92ec-06879ce3da0b",
        "736869e5-84f0-4973-92ec-06879ce3da0",
        "736869e5-84f0-4973-92ec-06879ce3da0_",
        "+36869e5-84f0-4973-92ec-06879ce3da0b",
        "0x6869e5-84f0-4973-92ec-06879ce3da0b",
        "\u0667368\u06669e5-84f0-4973-92ec-06879ce3da0b",
        "x" * 100_000,
    ],
)
def test_other_texts_name_no_secret(text):
    with pytest.raises(UsageError) as caught:
        parse_secret_name(text)
    assert caught.value.code == "bad-secret-name"
    assert len(str(caught.value)) < 300


@given(st.text() | st.text("0123456789abcdef-", min_size=30, max_size=40))
def test_any_text_is_a_guid_or_a_usage_error(text):
    found, name = outcome(parse_secret_name, text), text.strip().lower()
    assert isinstance(found, UsageError) or str(found) == name or name in KNOWN_SECRETS


# -- the NUL --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guid", "data", "route", "needed"),
    [
        (DISK_PASSPHRASE, b"pass", Route.GRUB, True),
        (DISK_PASSPHRASE, b"pass\0", Route.GRUB, False),
        (DISK_PASSPHRASE, b"pass", Route.KERNEL, False),
        (UUID(int=7), b"pass", Route.GRUB, False),
        (DISK_PASSPHRASE, b"", Route.GRUB, False),
    ],
)
def test_only_grubs_disk_passphrase_needs_a_nul(guid, data, route, needed):
    assert needs_trailing_nul(guid, Secret(data), route) is needed


def test_adding_the_nul_wipes_the_given_secret():
    given_secret = Secret(b"pass")
    assert clear(with_trailing_nul(given_secret)) == b"pass\0"
    assert given_secret.wiped


def test_a_test_secret_is_another_type():
    assert not isinstance(entry(), TestSecretEntry)
    assert issubclass(TestSecretEntry, SecretEntry)
