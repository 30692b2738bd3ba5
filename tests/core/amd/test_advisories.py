# SPDX-License-Identifier: Apache-2.0
"""The table of published weaknesses that ships: dated, sourced, and about what it should be."""

from __future__ import annotations

from datetime import date

from watchword.core.amd.advisories import published_advisories
from watchword.core.amd.roots import amd_roots
from watchword.core.sev.firmware_version import FirmwareVersion


def test_the_table_and_its_entries_are_dated_and_sourced():
    table = published_advisories()
    as_of = date.fromisoformat(table.as_of)
    assert table.entries
    for entry in table.entries:
        assert date.fromisoformat(entry.published) <= as_of
        assert entry.name
        assert entry.summary
        assert entry.source


def test_every_entry_is_about_builds_or_known_generations():
    known = {keys.generation for keys in amd_roots()}
    for entry in published_advisories().entries:
        about_builds = None not in (entry.api_major, entry.api_minor, entry.first_good_build)
        assert about_builds or entry.generations
        assert set(entry.generations) <= known


def test_generations_whose_endorsement_keys_leak_are_marked():
    table = published_advisories()
    marked = {keys.generation for keys in amd_roots() if table.for_generation(keys.generation)}
    assert marked == {"naples", "rome", "milan"}


def test_the_invalid_curve_builds_are_marked():
    table = published_advisories()
    assert table.for_build(FirmwareVersion(0, 17, 11))
    assert not table.for_build(FirmwareVersion(0, 17, 22))
    assert not table.for_build(FirmwareVersion(1, 55, 21))
