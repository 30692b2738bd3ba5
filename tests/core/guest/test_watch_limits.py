# SPDX-License-Identifier: Apache-2.0
"""The table [watch] of a profile: how it is read, written, and what is said of it."""

from __future__ import annotations

import pytest

from watchword.core.guest.document import profile_text, read_profile
from watchword.core.guest.lint import weak_spots
from watchword.core.guest.watch_limits import MOST_INSTANCES, FirstFirmware

from .support import PLAIN, problems

CEKS = f'ceks = ["{"ab" * 32}"]\n'


def limits(text):
    return read_profile((PLAIN + "[watch]\n" + text).encode(), "vm1.toml").watch


def test_a_profile_is_not_watched_unless_it_says_so():
    assert read_profile(PLAIN.encode(), "vm1.toml").watch is None
    assert "watch" not in profile_text(read_profile(PLAIN.encode(), "vm1.toml"))


def test_limits_have_their_defaults():
    found = limits("instances_at_most = 5\n")
    assert (found.instances_at_most, found.starts_per_hour) == (5, 60)
    assert found.first_firmware is FirstFirmware.ALLOW


@pytest.mark.parametrize("choice", [*FirstFirmware])
def test_what_is_written_reads_back_the_same(choice):
    text = f'instances_at_most = 5\nstarts_per_hour = 7\nfirst_firmware = "{choice.value}"\n'
    profile = read_profile((PLAIN + "[watch]\n" + text).encode(), "vm1.toml")
    again = read_profile(profile_text(profile).encode(), "vm1.toml")
    assert (again, again.watch.first_firmware) == (profile, choice)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", ("watch.instances_at_most", 5), "It is missing"),
        ("instances_at_most = 0", ("watch.instances_at_most", 6), "from 1 to"),
        ("instances_at_most = -1", ("watch.instances_at_most", 6), "whole number"),
        ("instances_at_most = true", ("watch.instances_at_most", 6), "whole number"),
        (f"instances_at_most = {MOST_INSTANCES + 1}", ("watch.instances_at_most", 6), "from"),
        ("instances_at_most = 1\nstarts_per_hour = 0", ("watch.starts_per_hour", 7), "from 1"),
        ('instances_at_most = 1\nfirst_firmware = "yes"', ("watch.first_firmware", 7), "allow"),
        ("instances_at_most = 1\nfirst_firmware = []", ("watch.first_firmware", 7), "allow"),
        ("instances = 1", ("watch.instances", 6), "instances_at_most"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, place, words):
    assert words in problems(f"{PLAIN}[watch]\n{text}\n")[place]


def test_a_watched_guest_without_chips_is_warned_of():
    profile = read_profile((PLAIN + "[watch]\ninstances_at_most = 1\n").encode(), "vm1.toml")
    assert "watched-without-chips" in [finding.code for finding in weak_spots(profile)]
    pinned = read_profile((PLAIN + CEKS + "[watch]\ninstances_at_most = 1\n").encode(), "vm1.toml")
    assert "watched-without-chips" not in [finding.code for finding in weak_spots(pinned)]
