# SPDX-License-Identifier: Apache-2.0
"""The MAC that the whole protocol uses, against the standard library and RFC 4231."""

from __future__ import annotations

import hashlib
import hmac

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
