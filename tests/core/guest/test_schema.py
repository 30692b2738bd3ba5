# SPDX-License-Identifier: Apache-2.0
"""The published JSON schema, and that only guest commands pay for what checks profiles."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from watchword.core.errors import UsageError
from watchword.core.guest.document import profile_schema, schema_text
from watchword.core.guest.fields import ENTRY_NAME, NAME
from watchword.core.guest.profile import GuestProfile
from watchword.core.vault.entries import check_entry_name
from watchword.resources import read_bytes

REGENERATE = (
    "run: python -c 'from watchword.core.guest.document import schema_text;"
    ' print(schema_text(), end="")\' > resources/guest-profile.schema.json'
)


def test_the_published_schema_is_the_one_of_this_code():
    assert read_bytes("guest-profile.schema.json").decode() == schema_text(), REGENERATE


def test_the_schema_knows_every_key_and_no_other():
    schema = profile_schema()
    assert set(schema["properties"]) == set(GuestProfile.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "technology", "policy", "firmware"]
    assert all(part["description"] for part in schema["properties"].values())
    assert '"null"' not in json.dumps(schema)


@pytest.mark.parametrize(
    "name", ["vm1", "vm1/disk", "a.b_c@d+e-f", "x" * 128, "x" * 129, "", "/a", "a/", "a//b", "-a"]
)
def test_references_are_names_that_vault_entries_may_have(name):
    try:
        allowed = check_entry_name(name) == name
    except UsageError:
        allowed = False
    assert (ENTRY_NAME.fullmatch(name) is not None) == allowed


def test_names_have_1_to_64_characters():
    assert NAME.fullmatch("a")
    assert NAME.fullmatch("x" * 64)
    assert not NAME.fullmatch("x" * 65)


def test_other_commands_do_not_load_pydantic():
    code = (
        "import sys\nfrom watchword.core.cli.main import build_parser\n"
        "for words in ([], ['digest'], ['attest'], ['rehearse']):\n    build_parser(words)\n"
        "print([name for name in ('pydantic', 'tomli_w') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert shown.stdout.strip() == "[]"
