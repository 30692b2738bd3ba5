# SPDX-License-Identifier: Apache-2.0
"""The words of the field, each in one sentence for beginners and one for experts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from . import read_bytes


@dataclass(frozen=True, slots=True)
class Term:
    """One term.

    ``short``   as it stands in a text, such as ``PDH``
    ``name``    written out
    ``plain``   a sentence for somebody who has never heard of it
    ``expert``  a sentence or two with the particulars
    """

    key: str
    short: str
    name: str
    plain: str
    expert: str


@lru_cache(maxsize=1)
def terms() -> Mapping[str, Term]:
    """All terms by key, in the order in which one would explain them."""
    found = [Term(**entry) for entry in json.loads(read_bytes("glossary.json"))["terms"]]
    return MappingProxyType({term.key: term for term in found})


def term(key: str) -> Term:
    """The term with that key; KeyError if the glossary lacks it."""
    return terms()[key]
