# SPDX-License-Identifier: Apache-2.0
"""How many of a source's places those may take who name one host, or hosts of one machine.

A host that stalls keeps its places until its time is up: the other places are for others.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from .events import Asked, WatchEvent
from .live import same_host
from .turns import machine_of


class Shares:
    """Counts who is at work: ``of_host`` for one URL, and ``of_machine`` for all of a machine."""

    def __init__(self, of_host: int, of_machine: int) -> None:
        self._of_host = of_host
        self._of_machine = of_machine
        self._hosts: Counter[str] = Counter()
        self._machines: Counter[str] = Counter()

    def have_room(self, host: str | None) -> bool:
        """Whether one more may be at work for this host; None stands for no host at all."""
        return host is None or (
            self._hosts[host] < self._of_host
            and self._machines[machine_of(host)] < self._of_machine
        )

    @contextlib.contextmanager
    def taken(self, host: str | None) -> Iterator[None]:
        """Be at work for this host."""
        if host is None:
            yield
            return
        counted = ((self._hosts, host), (self._machines, machine_of(host)))
        for counter, key in counted:
            counter[key] += 1
        try:
            yield
        finally:
            for counter, key in counted:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]


def host_to_ask(event: WatchEvent) -> str | None:
    """The host that has to answer before the event is served, in the one form of its URL."""
    if event.host is None or (isinstance(event, Asked) and event.certificates):
        return None
    return same_host(event.host)
