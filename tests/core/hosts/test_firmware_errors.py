# SPDX-License-Identifier: Apache-2.0
"""The table of the secure processor's error numbers."""

from __future__ import annotations

import pytest

from watchword.core.hosts.firmware_errors import (
    FIRMWARE_ERRORS,
    FirmwareCommand,
    firmware_error_meaning,
    likely_cause,
)


def test_every_number_of_the_specification_has_a_meaning_of_its_own():
    assert sorted(FIRMWARE_ERRORS) == list(range(1, 25))
    assert len(set(FIRMWARE_ERRORS.values())) == 24


@pytest.mark.parametrize("number", [-1, 0, 25, 2**31])
def test_other_numbers_are_explained_too(number):
    assert firmware_error_meaning(number)


def test_the_same_number_has_another_cause_in_another_command():
    assert "PDH" in likely_cause(FirmwareCommand.LAUNCH_START, 11)
    assert "packet" in likely_cause(FirmwareCommand.LAUNCH_SECRET, 11)
    assert likely_cause(FirmwareCommand.LAUNCH_START, 24) == ""
