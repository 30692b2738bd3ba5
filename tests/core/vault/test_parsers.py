# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a value or a VaultError; what was built is parsed to the same value."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from watchword.core.errors import UsageError, VaultError
from watchword.core.vault.entries import EntryInfo, EntryKind, check_entry_name, parse_kind
from watchword.core.vault.header import (
    CredentialSlot,
    Header,
    KeyringSlot,
    PassphraseSlot,
    RecoverySlot,
    SessionSlot,
    TokenSlot,
)
from watchword.core.vault.index import Index
from watchword.core.vault.key_stretching import Argon2id, Scrypt
from watchword.core.vault.keyring_access import Anchor
from watchword.core.vault.layout import VaultLayout
from watchword.core.vault.sealed_entries import SealedEntry

LABELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,20}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9][a-z]{0,6}(/[a-z0-9]{1,6}){0,2}", fullmatch=True)
BOXES = st.binary(min_size=60, max_size=60)
IDS = st.binary(min_size=16, max_size=16)
KDFS = st.sampled_from([Scrypt(), Scrypt(14, 4, 2), Argon2id(), Argon2id(1, 1, 19456)])
SLOTS = st.one_of(
    st.builds(KeyringSlot, LABELS),
    st.builds(PassphraseSlot, KDFS, st.binary(min_size=32, max_size=32), BOXES),
    st.builds(CredentialSlot, LABELS, BOXES),
    st.builds(TokenSlot, LABELS, LABELS, BOXES),
    st.just(SessionSlot()),
)
HEADERS = st.builds(
    Header, IDS, IDS, SLOTS, st.none() | st.builds(RecoverySlot, st.just("2026-11-23"), BOXES)
)
ENTRIES = st.builds(
    SealedEntry,
    st.builds(EntryInfo, NAMES, st.sampled_from(EntryKind), st.just("2026-11-23T14:00:00Z")),
    IDS,
    st.integers(1, 2**53 - 1),
    st.integers(29, 65564),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


def fault_of(parse, data):
    """The code of the VaultError, or None."""
    try:
        parse(data)
    except VaultError as error:
        return error.code
    return None


@given(HEADERS)
def test_a_header_is_parsed_to_what_was_built(header):
    assert Header.parse(header.build()) == header


@settings(max_examples=30)
@given(
    st.integers(1, 2**53 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(ENTRIES, max_size=6, unique_by=lambda entry: entry.info.name),
)
def test_an_index_is_parsed_to_what_was_built(generation, digest, entries):
    index = Index(generation, digest, tuple(entries))
    assert Index.parse(index.build()) == index


@given(st.binary(max_size=64), st.binary(max_size=64), st.binary(max_size=64))
def test_a_layout_is_parsed_to_what_was_built(header, index, entries):
    layout = VaultLayout(header, index, entries)
    assert VaultLayout.parse(layout.build()) == layout


@given(
    st.integers(0, 2**53 - 1),
    st.none()
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128),
)
def test_an_anchor_is_parsed_to_what_was_built(generation, head):
    anchor = Anchor(generation, head)
    assert Anchor.parse(anchor.build()) == anchor


@pytest.mark.parametrize("parse", [Header.parse, Index.parse, VaultLayout.parse])
@settings(max_examples=60)
@given(data=st.binary() | JSON)
@example(data=b"[" * 10000)
@example(data=b'{"generation":1,"entries":[1]}')
@example(data=b'{"generation":true,"entries":[]}')
@example(data=b'{"generation":1,"generation":1,"entries":[]}')
def test_any_bytes_are_a_value_or_damage(parse, data):
    fault = fault_of(parse, data)
    assert fault in (None, "vault-damaged", "vault-parameters", "vault-too-new")


@settings(max_examples=60)
@given(st.text() | JSON.map(bytes.decode))
@example('{"generation":1.5,"ledger_head":null}')
@example('{"generation":-1,"ledger_head":null}')
@example('{"generation":1,"ledger_head":"a\\nb"}')
def test_any_text_is_an_anchor_or_a_broken_keyring(text):
    assert fault_of(Anchor.parse, text) in (None, "keyring-broken")


@pytest.mark.parametrize(
    "changed",
    [
        {"vault": "00"},
        {"key": "0" * 33},
        {"vault": "A" * 32},
        {"open_with": {"way": "keyring"}},
        {"open_with": {"way": "none"}},
        {"open_with": {"way": "keyring", "keyring": "a\x1b[1m"}},
        {"open_with": {"way": "keyring", "keyring": "a", "more": 1}},
        {"open_with": []},
        {"recovery": {"made": "today", "box": "00" * 60}},
        {"more": 1},
    ],
)
def test_a_header_with_anything_else_in_it_is_damaged(changed):
    good = {"vault": "0" * 32, "key": "0" * 32, "recovery": None}
    good["open_with"] = {"way": "keyring", "keyring": "KWallet"}

    def encoded(document):
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    Header.parse(encoded(good))
    with pytest.raises(VaultError) as caught:
        Header.parse(encoded(good | changed))
    assert caught.value.code == "vault-damaged"


def test_a_header_that_is_written_otherwise_is_damaged():
    header = Header(bytes(16), bytes(16), KeyringSlot("KWallet"))
    with pytest.raises(VaultError):
        Header.parse(header.build().replace(b":", b": "))


@pytest.mark.parametrize(
    "kdf",
    [
        Scrypt(13),
        Scrypt(25),
        Scrypt(20, 8, 1),
        Scrypt(19, 8, 5),
        Scrypt(17, 0, 1),
        Scrypt(17, 8, 0),
        Scrypt(17, 8, 17),
        Scrypt(2**39),
        Argon2id(0),
        Argon2id(3, 0),
        Argon2id(3, 65),
        Argon2id(3, 4, 1024),
        Argon2id(1, 4, 2 * 1024 * 1024),
        Argon2id(64, 4, 512 * 1024),
    ],
)
def test_parameters_out_of_bounds_are_refused_before_any_work(kdf):
    header = Header(bytes(16), bytes(16), PassphraseSlot(kdf, bytes(32), bytes(60)))
    with pytest.raises(VaultError) as caught:
        Header.parse(header.build())
    assert caught.value.code == "vault-parameters"


@pytest.mark.parametrize("name", ["a", "web1/disk", "launch/7f-3/tek", "A.b_c@d+e-f/1", "a" * 128])
def test_a_name_may_have_parts(name):
    assert check_entry_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a b", "ä", "a\n", "a\x00", "a" * 129]
)
def test_other_names_are_refused(name):
    with pytest.raises(UsageError) as caught:
        check_entry_name(name)
    assert caught.value.code == "bad-entry-name"


def test_an_unknown_kind_is_refused():
    assert parse_kind("test-secret") is EntryKind.TEST_SECRET
    with pytest.raises(UsageError) as caught:
        parse_kind("secret")
    assert caught.value.code == "bad-entry-kind"
