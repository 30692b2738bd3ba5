# SPDX-License-Identifier: Apache-2.0
"""A rehearsal whose guest really boots: the ordinary launch, then the guest's own console."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from ..errors import UsageError, WatchwordError
from ..hosts.limits import DEFAULT_LIMITS, HostLimits
from ..launch.engine import Launch
from ..launch.sev_plan import SecretOrder
from ..launch.sev_steps import Observer
from ..secret import Secret
from ..simulator import (
    GUEST_ATTACKS,
    Attack,
    Disk,
    OwnDisk,
    PlatformKeys,
    QemuHost,
    QemuMachine,
    SimulatedHost,
    attack_named,
)
from .guest import RehearsedGuest
from .qemu_console import Console, ConsoleMarkers, ShowLine
from .qemu_verdict import Sighting, watch
from .rehearse import RehearsalOutcome
from .stepwise import HostBehaviour, RehearsalRun, WhatHappened

LEAST_MEMORY: Final = 128 << 20
MOST_MEMORY: Final = 64 << 30
DEFAULT_MEMORY: Final = 512 << 20
DEFAULT_LIMIT: Final = 180.0


@dataclass(frozen=True, slots=True)
class QemuSetup:
    """What the guest gets beside what is measured, and how it is watched.

    ``disk``       the owner's image, which is never written to
    ``host_disk``  what the host offers in its place (attack ``own-disk``); None: an empty one
    ``memory``     bytes of RAM, whole MiB
    ``limit``      seconds that the running guest may take until its verdict
    Raises UsageError ``memory-size`` or ``time-limit``.
    """

    disk: Disk | None = None
    host_disk: Disk | None = None
    memory: int = DEFAULT_MEMORY
    limit: float = DEFAULT_LIMIT
    markers: ConsoleMarkers = field(default_factory=ConsoleMarkers)

    def __post_init__(self) -> None:
        if not LEAST_MEMORY <= self.memory <= MOST_MEMORY or self.memory % (1 << 20):
            raise _out_of_range(
                "memory-size", "memory", f"{LEAST_MEMORY >> 20} to {MOST_MEMORY >> 20} MiB"
            )
        if not 0 < self.limit <= 24 * 3600:
            raise _out_of_range("time-limit", "time limit", "1 second to 24 hours")


@dataclass(frozen=True, slots=True)
class QemuOutcome(RehearsalOutcome):
    """What came of it; ``sighting`` is None where the guest was never let run.

    ``edited_bytes``  bytes of the kernel that QEMU without SEV changes, None without a kernel
    ``seconds``       when each phase was over, counted from the beginning
    """

    sighting: Sighting | None
    edited_bytes: int | None
    seconds: dict[str, float]


def guest_behaviours() -> tuple[HostBehaviour, ...]:
    """The honest host, and every attack that can be played where a real guest runs."""
    honest = HostBehaviour(None, "The host does what it is asked to, and tells the truth.")
    attacks = (HostBehaviour(attack.name, attack.description) for attack in GUEST_ATTACKS)
    return (honest, *attacks)


class QemuRun(RehearsalRun):
    """One rehearsed launch with a real QEMU; an async context manager, used as RehearsalRun.

    After ``run`` has come to its end, ``watch`` tells how the guest fares. Leaving the
    context ends QEMU; ``forget`` then wipes what was kept to look for secrets with. Starting
    the VM raises UsageError ``program-missing`` without QEMU, and ``linux-needed``.
    """

    def __init__(
        self,
        guest: RehearsedGuest,
        setup: QemuSetup,
        observe: Observer,
        *,
        attack: str | None = None,
        keys: PlatformKeys | None = None,
        limits: HostLimits = DEFAULT_LIMITS,
    ) -> None:
        self._setup = setup
        self._begun = time.monotonic()
        self._copies: list[Secret] = []
        self._shown = observe
        self.seconds: dict[str, float] = {}
        super().__init__(
            self._with_copies(guest), self._note_time, attack=attack, keys=keys, limits=limits
        )

    @property
    def machine(self) -> QemuMachine | None:
        """The started VM."""
        server = self._on_stage().machine
        machine = None if server is None else server.machine
        return machine if isinstance(machine, QemuMachine) else None

    @property
    def edited_bytes(self) -> int | None:
        """How many bytes of the kernel the firmware sees otherwise than the owner's file."""
        machine = self.machine
        if machine is None or machine.order.kernel is None:
            return None
        seen = machine.qemu.visible_kernel or b""
        return sum(a != b for a, b in zip(machine.order.kernel[:65536], seen, strict=False))

    def change(self, guest: RehearsedGuest) -> Launch:
        """Approve something else from now on; what rested on the old answers is stale."""
        return super().change(self._with_copies(guest))

    async def watch(self, show: ShowLine | None = None) -> Sighting:
        """How the guest fares, once it runs; ``show`` is given the console's lines."""
        machine = self.machine
        if machine is None:
            raise UsageError(
                "rehearsal-not-started",
                "The guest does not run yet",
                "Its VM was not started.",
                "Take the launch's steps first.",
            )
        self._stamp("guest-runs")
        markers = self._setup.markers
        if machine.order.kernel is None:  # then a boot loader is what is to run
            markers = replace(markers, refused=())
        console = Console(markers, self._stamping(show), self._tells_a_secret)
        sighting = await watch(machine, console, self._setup.limit)
        self._stamp("verdict")
        return sighting

    def what_happened(self) -> WhatHappened:
        """Look where in a real launch nobody can look."""
        stage, machine = self._on_stage(), self.machine
        seen = stage.host.view.data
        return WhatHappened(
            secret_in_guest=machine is not None and machine.took_secret,
            secret_seen=self._secret in seen or self._tells_a_secret(seen),
            packets=len(stage.host.processor.packets),
        )

    def forget(self) -> None:
        """Wipe the copies of the secrets that the host's view is searched for."""
        for copy in self._copies:
            copy.wipe()

    def _choose(self, attack: str) -> Attack:
        if attack == OwnDisk.name:
            return OwnDisk(self._setup.host_disk)
        return attack_named(attack, GUEST_ATTACKS)

    def _new_host(self, keys: PlatformKeys, attack: Attack | None) -> SimulatedHost:
        self._stamp("platform-made")
        return QemuHost(keys, attack, disk=self._setup.disk, ram_size=self._setup.memory)

    def _check_arrival(self) -> None:
        """A host may say what did not happen: then the guest's console shows it."""

    def _note_time(self, launch: Launch) -> None:
        for status in launch.statuses():
            if status.settled and status.step.id not in self.seconds:
                self._stamp(status.step.id)
        self._shown(launch)

    def _stamp(self, phase: str) -> None:
        self.seconds.setdefault(phase, round(time.monotonic() - self._begun, 3))

    def _stamping(self, show: ShowLine | None) -> ShowLine:
        def stamp_and_show(line: str) -> None:
            self._stamp("first-line-on-the-console")
            if show is not None:
                show(line)

        return stamp_and_show

    def _with_copies(self, guest: RehearsedGuest) -> RehearsedGuest:
        if guest.secrets is None:
            return guest
        return replace(guest, secrets=tuple(map(self._with_copy, guest.secrets)))

    def _with_copy(self, order: SecretOrder) -> SecretOrder:
        def load() -> Secret:
            secret = order.load()
            with secret.reveal() as view:
                self._copies.append(Secret(view))
            return secret

        return replace(order, load=load)

    def _tells_a_secret(self, text: bytes) -> bool:
        return any(_within(copy, text) for copy in self._copies if not copy.wiped)


async def rehearse_with_qemu(
    guest: RehearsedGuest,
    setup: QemuSetup,
    observe: Observer,
    *,
    attack: str | None = None,
    keys: PlatformKeys | None = None,
    limits: HostLimits = DEFAULT_LIMITS,
    show: ShowLine | None = None,
) -> QemuOutcome:
    """Play a launch to its end and watch the guest; a refusal is an outcome, no exception.

    The arguments are those of QemuRun; ``show`` is given the console's lines.
    """
    error: WatchwordError | None = None
    sighting: Sighting | None = None
    run = QemuRun(guest, setup, observe, attack=attack, keys=keys, limits=limits)
    try:
        async with run:
            try:
                await run.run()
                sighting = await run.watch(show)
            except WatchwordError as problem:
                error = problem
            happened = run.what_happened()
            edited = run.edited_bytes
    finally:
        run.forget()
    return QemuOutcome(
        **asdict(happened),
        launch=run.launch,
        error=error,
        sighting=sighting,
        edited_bytes=edited,
        seconds=dict(run.seconds),
    )


def _within(copy: Secret, text: bytes) -> bool:
    with copy.reveal() as view:
        # Whoever prints it ends the line in his own way.
        words = bytes(view).rstrip(b"\0\r\n")
        return len(words) > 0 and words in text


def _out_of_range(code: str, what: str, bounds: str) -> UsageError:
    return UsageError(
        code, f"The {what} is out of range", f"It goes from {bounds}.", "Choose another value."
    )
