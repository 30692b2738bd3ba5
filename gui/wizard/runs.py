# SPDX-License-Identifier: Apache-2.0
"""What the wizard drives: an open launch, recorded or rehearsed. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from watchword.core.launch.engine import Launch
from watchword.core.launch.sev_steps import Observer
from watchword.core.sev.session import LaunchMaterial


class WizardRun(Protocol):
    """One launch, open in the loop's thread; RehearsalRun and the desk's LaunchRun fit."""

    @property
    def launch(self) -> Launch:
        """The launch as it stands."""
        ...

    @property
    def material(self) -> LaunchMaterial | None:
        """What the host is given to start the VM with, once there is a session."""
        ...

    async def run(self, until: str | None = None) -> Launch:
        """Take all steps, or those up to and including ``until``."""
        ...


OpenRun = Callable[[Observer], AbstractAsyncContextManager[WizardRun]]
"""Opens the launch for as long as the wizard shows it; the observer is told of each change."""


@dataclass(frozen=True, slots=True)
class RunKind:
    """What differs between launches as far as the wizard is concerned.

    ``resumes``   after a failure ``run`` goes on at the step that failed; otherwise the launch
    is taken from its first step again, with a new launch blob
    ``recorded``  the launch is kept, so that one may leave it and come back later
    ``begin``    what the button says that begins one, in place of the one that is shown
    """

    resumes: bool
    recorded: bool
    begin: str = "Start a &new launch"


REHEARSAL = RunKind(resumes=False, recorded=False)
GUEST_REHEARSAL = RunKind(resumes=False, recorded=False, begin="&Rehearse this guest")
RECORDED = RunKind(resumes=True, recorded=True)
