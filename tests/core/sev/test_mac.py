# SPDX-License-Identifier: Apache-2.0
"""The MAC that the whole protocol uses, against the standard library and RFC 4231."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.secret import Secret
from watchword.core.sev.mac import hmac_sha256


@settings(max_examples=40)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=50), max_size=5))
def test_parts_are_authenticated_one_after_the_other(key, parts):
    expected = hmac.new(key, b"".join(parts), hashlib.sha256).digest()
    assert hmac_sha256(key, *parts) == expected


def test_the_key_may_be_lent_by_a_secret():
    with Secret(b"Jefe").reveal() as key:
        tag = hmac_sha256(key, b"what do ya want ", b"for nothing?")
    # RFC 4231, test case 2.
    assert tag.hex() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@pytest.mark.parametrize("part", [slice(None), slice(2, 9), slice(0, 0)])
def test_a_view_counts_for_the_bytes_that_it_shows(part):
    data = bytearray(b"0123456789abcdef")
    expected = hmac.new(bytes(data[part]), b"text", hashlib.sha256).digest()
    assert hmac_sha256(memoryview(data)[part], b"text") == expected


def test_a_view_with_gaps_is_refused_and_not_taken_for_another_key():
    with pytest.raises(BufferError):
        hmac_sha256(memoryview(bytearray(b"0123456789abcdef"))[::2], b"text")


def test_a_secrets_key_is_not_copied_into_bytes_that_nobody_wipes(monkeypatch):
    keys, digest = [], hmac.digest
    monkeypatch.setattr(
        hmac, "digest", lambda key, *rest: (keys.append(key), digest(key, *rest))[1]
    )
    secret = Secret(b"Jefe")
    with secret.reveal() as key:
        hmac_sha256(key, b"what do ya want for nothing?")
        assert keys[0] is key
