# SPDX-License-Identifier: Apache-2.0
"""GUIDs are the bytes that the module uuid would make of them, and the same text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchword.core.sev.guid import Guid


@given(st.uuids())
def test_a_guid_is_what_the_module_uuid_makes_of_it(uuid):
    guid = Guid.from_text(str(uuid))
    assert guid == uuid.bytes_le
    assert str(guid) == str(uuid)
    assert str(Guid(uuid.bytes_le)) == str(uuid)


@given(st.uuids())
def test_a_guid_is_found_by_its_bytes(uuid):
    guid = Guid.from_text(str(uuid))
    assert {guid: "known"}[uuid.bytes_le] == "known"
    assert guid in b"before" + uuid.bytes_le + b"after"
