# SPDX-License-Identifier: Apache-2.0
"""The dated table of what is publicly known against secure processors, from the resources."""

from __future__ import annotations

from functools import cache

from ...resources.advisories import ADVISORIES, AS_OF
from ..sev.advisories import Advisories, Advisory


@cache
def published_advisories() -> Advisories:
    """The table that ships with this version (read once; constant data)."""
    return Advisories(AS_OF, tuple(Advisory(**entry) for entry in ADVISORIES))  # type: ignore[arg-type]
