# SPDX-License-Identifier: Apache-2.0
"""Which generations and builds an advisory is about."""

from __future__ import annotations

import pytest

from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.sev.firmware_version import FirmwareVersion

BUILDS = Advisory("B", "2019", "s", "x", api_major=0, api_minor=17, first_good_build=22)
CHIPS = Advisory("C", "2021", "s", "x", generations=("naples", "rome"))
TABLE = Advisories("2026-11-23", (BUILDS, CHIPS))


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((0, 17, 0), True),
        ((0, 17, 21), True),
        ((0, 17, 22), False),
        ((0, 17, 255), False),
        ((0, 18, 0), False),
        ((1, 17, 0), False),
    ],
)
def test_builds_of_the_same_api_before_the_first_good_one_are_affected(version, affected):
    assert TABLE.for_build(FirmwareVersion(*version)) == ((BUILDS,) if affected else ())


@pytest.mark.parametrize(
    ("generation", "found"),
    [("naples", (CHIPS,)), ("rome", (CHIPS,)), ("milan", ()), ("", ()), (None, ())],
)
def test_generations_are_matched_by_name(generation, found):
    assert TABLE.for_generation(generation) == found
