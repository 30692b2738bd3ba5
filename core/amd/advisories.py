# SPDX-License-Identifier: Apache-2.0
"""The dated table of what is publicly known against secure processors, from the resources."""

from __future__ import annotations

import json
from functools import cache

from ...resources import read_bytes
from ..sev.advisories import Advisories, Advisory


@cache
def published_advisories() -> Advisories:
    """The table that ships with this version (read once; constant data)."""
    table = json.loads(read_bytes("advisories.json"))
    entries = tuple(
        Advisory(**{**entry, "generations": tuple(entry.get("generations", ()))})
        for entry in table["advisories"]
    )
    return Advisories(table["as_of"], entries)
