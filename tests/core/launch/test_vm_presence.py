# SPDX-License-Identifier: Apache-2.0
"""Waiting for a VM: until somebody answers, for a bounded time, and whose turn it is then."""

from __future__ import annotations

import asyncio

import pytest

from watchword.core.errors import AnswerPending, HostError
from watchword.core.launch import vm_presence
from watchword.core.launch.vm_presence import wait_for_vm

UNIX, TCP = "qmp+unix:///run/vm1", "qmp+tcp://localhost:4444"
MISSING, REFUSED = "host-socket-missing", "host-refused-connection"


class Place:
    """Somewhere that a VM may appear: answers after some attempts, with errors before."""

    def __init__(self, code, attempts=10_000):
        self.code, self.left, self.closed = code, attempts, 0

    async def connect(self, url):
        if self.left > 0:
            self.left -= 1
            raise HostError(self.code, "trouble", "message", "remedy")
        return self

    async def close(self):
        self.closed += 1


def wait(place, url=UNIX, seconds=0.0, *, started_here=False):
    here = {"go_on": "`watchword launch resume 1`", "started_here": started_here}
    asyncio.run(wait_for_vm(place.connect, url, seconds, **here))
    return place


@pytest.fixture
def hurried(monkeypatch):
    """No pause between attempts."""
    monkeypatch.setattr(vm_presence, "_FIRST_PAUSE", 0.0)


def test_a_vm_that_is_there_is_not_waited_for():
    place = wait(Place(MISSING, 0))
    assert place.closed == 1


@pytest.mark.parametrize("code", [MISSING, REFUSED])
@pytest.mark.usefixtures("hurried")
def test_a_vm_that_comes_in_time_is_found(code):
    assert wait(Place(code, 5), seconds=600.0).closed == 1


@pytest.mark.parametrize(("url", "code"), [(UNIX, MISSING), (TCP, REFUSED)])
def test_a_vm_that_somebody_is_to_start_is_awaited(url, code):
    with pytest.raises(AnswerPending) as caught:
        wait(Place(code), url)
    assert caught.value.code == "vm-not-started"
    assert url in caught.value.message
    assert "`watchword launch resume 1`" in caught.value.remedy


def test_a_socket_on_which_nobody_listens_is_what_a_dead_vm_leaves():
    with pytest.raises(HostError) as caught:
        wait(Place(REFUSED), UNIX)
    assert caught.value.code == REFUSED


@pytest.mark.parametrize("code", [MISSING, REFUSED])
def test_a_vm_that_our_command_started_and_that_never_came_is_an_error(code):
    with pytest.raises(HostError) as caught:
        wait(Place(code), seconds=0.02, started_here=True)
    assert caught.value.code == "vm-did-not-appear"


def test_other_trouble_is_told_at_once():
    place = Place("host-permission-denied")
    with pytest.raises(HostError):
        wait(place, seconds=600.0)
    assert place.left == 9_999
