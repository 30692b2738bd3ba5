# SPDX-License-Identifier: Apache-2.0
"""A rehearsal that is taken step by step, as the wizard takes a launch."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..errors import AnswerPending, HostError, UsageError
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..launch.engine import Launch
from ..launch.sev_steps import Observer, SevLaunch
from ..sev.session import LaunchMaterial
from ..simulator import ATTACKS, Attack, PlatformKeys, SimulatedHost, attack_named
from .guest import RehearsedGuest
from .stage import Stage


@dataclass(frozen=True, slots=True)
class HostBehaviour:
    """One way in which the simulated host may behave; ``attack`` is None for the honest one."""

    attack: str | None
    description: str


def host_behaviours() -> tuple[HostBehaviour, ...]:
    """The honest host, and every attack in the order in which they are listed to people."""
    honest = HostBehaviour(None, "The host does what it is asked to, and tells the truth.")
    return (honest, *(HostBehaviour(attack.name, attack.description) for attack in ATTACKS))


def hostile_behaviour(name: str) -> HostBehaviour:
    """One attack by its name. Raises UsageError ``unknown-attack``, which lists the names."""
    return HostBehaviour(name, attack_named(name).description)


@dataclass(frozen=True, slots=True)
class WhatHappened:
    """What only a simulation can know.

    ``secret_in_guest``  whether the simulated guest can read the secret in its memory
    ``secret_seen``      whether the host saw any of the secret in clear, on the wire
    ``packets``          packets that the secure processor was given, accepted or not
    """

    secret_in_guest: bool
    secret_seen: bool
    packets: int


class RehearsalRun:
    """One rehearsed launch, open in this process; an async context manager.

    The simulated host is made when the context is entered, and ends with it. Otherwise
    of the shape of every open launch: ``launch``, ``material``, ``run``, ``close``.

    ``attack``   how the host lies (UsageError ``unknown-attack``), None for an honest one
    ``keys``     the simulated machine; a new one takes a second or two to make
    ``ca_bits``  the CA keys of a new one: 4096, or 2048 as Naples has, which takes no time
    ``limits``   how long the host may take over anything
    The secret is made up for the occasion: 33 random bytes in base64.
    """

    def __init__(
        self,
        guest: RehearsedGuest,
        observe: Observer,
        *,
        attack: str | None = None,
        keys: PlatformKeys | None = None,
        ca_bits: int = 4096,
        limits: HostLimits = DEFAULT_LIMITS,
    ) -> None:
        self.launch = guest.new_launch(attack)
        self._guest = guest
        self._observe = observe
        self._attack = attack
        self._chosen = self._choose(attack) if attack is not None else None
        self._keys = keys
        self._ca_bits = ca_bits
        self._limits = limits
        self._secret = base64.b64encode(os.urandom(33))
        self._resources = AsyncExitStack()
        self._stage: Stage | None = None
        self._driver: SevLaunch | None = None
        self._material: LaunchMaterial | None = None

    @property
    def id(self) -> str:
        """The launch's name; no two rehearsals are ever told apart by it."""
        return self.launch.id

    @property
    def material(self) -> LaunchMaterial | None:
        """What the simulated host was given to start the VM with, once there was a session."""
        return self._material

    async def __aenter__(self) -> Self:
        if self._keys is None:
            self._keys = await asyncio.to_thread(PlatformKeys.generate, self._ca_bits)
        host = self._new_host(self._keys, self._chosen)
        self._stage = Stage(
            await self._resources.enter_async_context(host), self._guest, self._limits
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        await self._resources.aclose()

    async def run(self, until: str | None = None) -> Launch:
        """Take the steps up to and including ``until``, or all; raises as ``SevLaunch.run``.

        Nothing verified outlives a failure, a cancellation or a changed answer: the
        launch is then taken from its first step again, with a new launch blob.
        """
        driver = self._driver or self._begin()
        try:
            await driver.run(until)
        except AnswerPending:
            raise
        except BaseException:
            self._driver = None
            raise
        if driver.launch.complete:
            self._check_arrival()
        return self.launch

    def change(self, guest: RehearsedGuest) -> Launch:
        """Approve something else from now on; what rested on the old answers is stale."""
        self.close()
        self._guest = guest
        if self._stage is not None:
            self._stage.guest = guest
        self._see(guest.answer(self.launch))
        return self.launch

    def close(self) -> None:
        """Erase the session's keys; the simulated host goes on until the context ends."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def what_happened(self) -> WhatHappened:
        """Look where in a real launch nobody can look."""
        stage = self._on_stage()
        return WhatHappened(
            secret_in_guest=stage.secret_in_guest(self._secret),
            secret_seen=self._secret in stage.host.view.data,
            packets=len(stage.host.processor.packets),
        )

    def _choose(self, attack: str) -> Attack:
        return attack_named(attack)

    def _new_host(self, keys: PlatformKeys, attack: Attack | None) -> SimulatedHost:
        return SimulatedHost(keys, attack)

    def _on_stage(self) -> Stage:
        if self._stage is None:
            raise UsageError(
                "rehearsal-not-started",
                "The rehearsal has no host yet",
                "It was used outside its context.",
                "Use it inside 'async with'.",
            )
        return self._stage

    def _begin(self) -> SevLaunch:
        stage = self._on_stage()
        plan = self._guest.plan(stage.host.genuine.root.ark, self._secret)
        launch = self._guest.new_launch(self._attack)
        self._driver = SevLaunch(launch, plan, stage.world(), self._see)
        return self._driver

    def _see(self, launch: Launch) -> None:
        self.launch = launch
        if self._driver is not None:
            self._material = self._driver.material
        self._observe(launch)

    def _check_arrival(self) -> None:
        """Refuse a host that says what did not happen, in the last step's name."""
        if self._on_stage().secret_in_guest(self._secret):
            return
        error = _not_arrived()
        reason = {**error.as_json(), "exit_status": int(error.exit_status)}
        self._see(self.launch.fail(self.launch.steps[-1].id, reason))
        raise error


def _not_arrived() -> HostError:
    """Only a rehearsal can look into the guest; in a real launch its disk stays locked."""
    return HostError(
        "secret-not-arrived",
        "The host said that it injected the secret, and did not",
        "The simulated guest's memory doesn't hold it. Of a real guest nobody can know this but"
        " the guest itself: its disk stays locked.",
        "Start a new launch, on another host. The secret itself was not disclosed.",
    )
