# SPDX-License-Identifier: Apache-2.0
"""What can be searched for, how it is said, and what is no answer."""

from __future__ import annotations

import pytest

from watchword.core.amd.advisories import published_advisories
from watchword.core.errors import UsageError
from watchword.core.ledger.criteria import BuildRange, Criteria, LaunchFacts, find_advisory
from watchword.core.sev.advisories import Advisories, Advisory
from watchword.core.sev.firmware_version import FirmwareVersion

VERSIONS = [(0, 17, 11), (0, 17, 22), (0, 24, 3), (1, 49, 3), (1, 49, 9), (1, 55, 3), (1, 55, 24)]


def versions(text):
    build = BuildRange.parse(text)
    return [version for version in VERSIONS if build.holds(FirmwareVersion(*version))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.49.3", [(1, 49, 3)]),
        ("1.49", [(1, 49, 3), (1, 49, 9)]),
        ("3", [(0, 24, 3), (1, 49, 3), (1, 55, 3)]),
        ("<=1.49.3", VERSIONS[:4]),
        ("<= 1.49.3", VERSIONS[:4]),
        ("<1.49.3", VERSIONS[:3]),
        ("<=1.49", VERSIONS[:5]),
        ("<1.49", VERSIONS[:3]),
        ("<0.17.11", []),
        ("255.255.255", []),
    ],
)
def test_builds_are_named_as_people_name_them(text, expected):
    assert versions(text) == expected
    assert str(BuildRange.parse(text)) == text.replace(" ", "")


@pytest.mark.parametrize(
    "text", ["", "x", "1.", ".1", "1.49.3.1", "256", "1.256", "<=3", ">1.49", "0x31", "1,49", "-3"]
)
def test_what_is_no_build_is_refused(text):
    with pytest.raises(UsageError) as caught:
        BuildRange.parse(text)
    assert caught.value.code == "bad-build"
    assert "1.49.3" in caught.value.remedy


def test_every_published_advisory_is_found_by_its_name():
    table = published_advisories()
    for advisory in table.entries:
        assert find_advisory(f" {advisory.name.upper()} ", table) is advisory


def test_an_advisory_is_found_by_a_part_of_its_name_if_no_other_has_it():
    table = published_advisories()
    assert find_advisory("root seed", table).name == "Milan root seed extraction in software"
    with pytest.raises(UsageError, match="More than one advisory"):
        find_advisory("extraction", table)


def test_a_whole_name_wins_over_a_part_of_another():
    entries = [Advisory(name, "", "", "", ("rome",)) for name in ("CVE-1", "CVE-12")]
    assert find_advisory("cve-1", Advisories("2026-01-01", tuple(entries))) is entries[0]


@pytest.mark.parametrize("text", ["", " ", "CVE-1999-0001"])
def test_an_unknown_advisory_is_refused_with_the_list_of_known_ones(text):
    with pytest.raises(UsageError) as caught:
        find_advisory(text, published_advisories())
    assert caught.value.code == "unknown-advisory"
    for advisory in published_advisories().entries:
        assert advisory.name in caught.value.remedy


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({}, "nothing-to-search"),
        ({"cek": "c0"}, "bad-fingerprint"),
        ({"cek": "zz" * 32}, "bad-fingerprint"),
        ({"firmware": "OVMF.fd"}, "bad-fingerprint"),
        ({"generation": "zen 3"}, "unknown-generation"),
        ({"build": "new"}, "bad-build"),
        ({"advisory": "none"}, "unknown-advisory"),
    ],
    ids=str,
)
def test_words_that_say_nothing_are_refused(words, code):
    with pytest.raises(UsageError) as caught:
        Criteria.parse(**words)
    assert caught.value.code == code


def test_words_are_read_as_they_are_pasted():
    criteria = Criteria.parse(cek="C0C0C0C0 " * 8, generation=" Milan", build="1.49")
    assert criteria.as_json() == {
        "cek": "c0" * 32,
        "generation": "milan",
        "firmware": None,
        "build": "1.49",
        "advisory": None,
        "entry": None,
    }


FACTS = LaunchFacts({"c0" * 32}, {"milan"}, {"f1" * 32}, {FirmwareVersion(1, 49, 3)})


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"cek": "c0" * 32}, True),
        ({"cek": "c1" * 32}, False),
        ({"generation": "milan"}, True),
        ({"generation": "rome"}, False),
        ({"firmware": "f1" * 32}, True),
        ({"firmware": "f2" * 32}, False),
        ({"build": "<1.55.24"}, True),
        ({"build": "1.49.4"}, False),
        ({"advisory": "root seed"}, True),
        ({"advisory": "Naples endorsement"}, False),
        ({"advisory": "CVE-2019-9836"}, False),
        ({"generation": "milan", "build": "<1.55.24"}, True),
        ({"generation": "milan", "build": "1.55"}, False),
    ],
    ids=str,
)
def test_a_launch_must_fit_all_that_is_named(words, answer):
    criteria = Criteria.parse(**words)
    assert criteria.judge(FACTS) is answer
    assert criteria.judge(LaunchFacts()) is None


def test_what_is_not_recorded_decides_nothing_unless_something_else_does():
    known_cek = LaunchFacts(ceks={"c0" * 32})
    assert Criteria.parse(cek="c1" * 32, generation="milan").judge(known_cek) is False
    assert Criteria.parse(cek="c0" * 32, generation="milan").judge(known_cek) is None


def test_an_advisory_about_both_concerns_whoever_has_either():
    both = Advisory("b", "", "", "", ("rome",), 1, 49, 5)
    criteria = Criteria(advisory=both)
    rome = LaunchFacts(generations={"rome"})
    old = LaunchFacts(versions={FirmwareVersion(1, 49, 4)})
    neither = LaunchFacts(generations={"milan"}, versions={FirmwareVersion(1, 49, 5)})
    half_known = LaunchFacts(generations={"milan"})
    answers = [criteria.judge(facts) for facts in (rome, old, neither, half_known)]
    assert answers == [True, True, False, None]
