# SPDX-License-Identifier: Apache-2.0
"""The published JSON schema of manifests."""

from __future__ import annotations

import json

from watchword.core.batch.manifest import (
    LaunchDefaults,
    LaunchEntry,
    Manifest,
    manifest_schema,
    schema_text,
)
from watchword.core.guest.document import profile_schema
from watchword.resources import read_bytes

REGENERATE = (
    "run: python -c 'from watchword.core.batch.manifest import schema_text;"
    ' print(schema_text(), end="")\' > resources/fleet-manifest.schema.json'
)


def test_the_published_schema_is_the_one_of_this_code():
    assert read_bytes("fleet-manifest.schema.json").decode() == schema_text(), REGENERATE


def test_the_schema_knows_every_key_and_no_other():
    schema = manifest_schema()
    parts = {"LaunchDefaults": LaunchDefaults, "LaunchEntry": LaunchEntry}
    tables = [(schema, Manifest), *((schema["$defs"][name], parts[name]) for name in parts)]
    for table, model in tables:
        assert set(table["properties"]) == set(model.model_fields)
        assert table["additionalProperties"] is False
        assert all(part["description"] for part in table["properties"].values())
    assert schema["required"] == ["launch"]
    assert '"null"' not in json.dumps(schema)


def test_a_profile_in_a_manifest_is_one_that_may_leave_out_its_name():
    inline, alone = manifest_schema()["$defs"]["GuestProfile"], profile_schema()
    assert set(inline["properties"]) == set(alone["properties"])
    assert set(alone["required"]) - set(inline["required"]) == {"name"}
