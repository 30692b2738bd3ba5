# SPDX-License-Identifier: Apache-2.0
"""A platform that does not verify is waived with a typed reason, for one launch and no other."""

from __future__ import annotations

import pytest

from watchword.core.launch.engine import StepState
from watchword.core.launch.record import LaunchState

from ...core.launch.support import state_of
from .support import begin

REASON = "a bench machine without an AMD root"


@pytest.fixture
def refused(office, make_wizard, host):
    """A launch on a machine whose root is nobody's."""
    office.roots = ()
    person = make_wizard()
    begin(person, host.url)
    person.rest_on("platform")
    assert state_of(office, person.launch.id) is LaunchState.REFUSED
    return person


def test_without_a_reason_that_says_something_nothing_is_waived(qtbot, refused):
    panel = refused.wizard.platform.waiver
    assert panel.isVisible()
    assert not panel.opened
    refused.click(panel.button)
    assert not panel.start.isEnabled()
    qtbot.keyClicks(panel.reason, "ok")
    assert not panel.start.isEnabled()


def test_a_waiver_begins_another_launch_and_is_gone_after_it(qtbot, office, refused):
    first = refused.launch.id
    panel = refused.wizard.platform.waiver
    refused.click(panel.button)
    qtbot.keyClicks(panel.reason, REASON)
    refused.click(panel.start)
    refused.rest_on("session")
    assert refused.launch.id != first
    assert refused.launch.status("platform").state is StepState.WAIVED
    assert refused.launch.waivers == {"platform": REASON}
    assert refused.wizard.choices.wanted().platform_waiver == ""
    assert state_of(office, first) is LaunchState.REFUSED
