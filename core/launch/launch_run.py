# SPDX-License-Identifier: Apache-2.0
"""One launch, open in this process: taken from its beginning, or from where it was left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from ..errors import AnswerPending, BadInput, HostError, UsageError
from ..hosts.protocol import Host, StartOrder
from ..sev.measurement import VerifiedMeasurement
from ..sev.platform import Platform
from ..sev.secret_packet import Packet
from ..sev.session import KEY_SIZE, LaunchMaterial
from ..vault.launch_keys import keys_missing, read_launch_keys
from .archive import Archive
from .domain_advice import domain_advice, not_compared
from .driver import Observer
from .engine import Launch
from .key_binding import key_binding
from .launch_lock import LaunchLock
from .profile_plan import PlannedLaunch
from .record import LaunchRecord
from .recording import LaunchRecorder
from .sealed_steps import EarlierSealing, SealedLaunch
from .sealing_guard import SealIntent
from .sev_guest import start_order
from .sev_plan import AdoptedKeys, EarlierSession, SevWorld
from .sev_steps import SevLaunch
from .vm_presence import wait_for_vm
from .worlds import opener

_BY_HAND: Final = "exchange:"
_LIBVIRT: Final = "libvirt+"


class LaunchRun:
    """A launch under its lock; a context manager that gives the lock up.

    Whatever an earlier process did, each step is taken again here from what was recorded:
    nothing verified is ever loaded. Where the packet is stored the keys are gone, and what
    can still be checked is: see sealed_steps.py.
    """

    def __init__(
        self,
        archive: Archive,
        record: LaunchRecord,
        planned: PlannedLaunch,
        lock: LaunchLock,
        observe: Observer,
    ) -> None:
        self._archive = archive
        self._planned = planned
        self._lock = lock
        self._observe = observe
        self._recorder = LaunchRecorder(archive, record, planned)
        self._driver: SevLaunch | SealedLaunch | None = None
        self._closed = False
        self.launch = planned.new_launch(record)
        """What this process has established so far; from ``run`` on, with every change."""

    @property
    def id(self) -> str:
        """The launch's id."""
        return self.record.id

    @property
    def closed(self) -> bool:
        """Whether others may work on it again."""
        return self._closed

    @property
    def record(self) -> LaunchRecord:
        """What is recorded of it."""
        return self._recorder.record

    @property
    def material(self) -> LaunchMaterial | None:
        """GODH and launch blob, once they are recorded."""
        session = self.record.session
        return None if session is None else session.material()

    @property
    def start_order(self) -> StartOrder | None:
        """What the host needs to start the VM, once it is recorded."""
        material = self.material
        return None if material is None else start_order(material, self._planned.plan)

    async def wait_for_vm(self, seconds: float) -> None:
        """Wait until somebody answers where the VM is to be; raises as ``wait_for_vm``."""
        launch_id = self.id
        await wait_for_vm(
            lambda url: self._archive.surroundings.connect(url, launch_id),
            self.record.host,
            seconds,
            go_on=f"`watchword launch resume {launch_id}`",
        )

    async def run(self, until: str | None = None) -> Launch:
        """Take all steps, or those up to and including ``until``: guest, platform, session,
        start, measurement, secret, run.

        May be called again after any error; keys are kept until the packet is stored or the
        launch abandoned. Raises what is in the way: VerificationRefused (exit 3),
        HostError (4), VaultError (5), BadInput (6), AnswerPending (9), UsageError (2).
        """
        if self._closed:
            raise _closed(self.id)
        driver = self._driver or self._begin()
        self._driver = driver
        try:
            return await driver.run(until)
        except AnswerPending:
            raise
        except BaseException:
            # Whatever it was, its keys are wiped; the next call takes it up from the records.
            driver.close()
            self._driver = None
            raise

    async def domain_warnings(self) -> tuple[str, ...]:
        """Where the domain that libvirt has for a prepared launch is not what it needs.

        Empty for hosts of other kinds. Never raises: all of it is advice.
        """
        start = self.start_order
        if start is None or not self.record.host.startswith(_LIBVIRT):
            return ()
        try:
            async with await self._connect() as host:
                return await domain_advice(host, self._planned.profile, start, started=False)
        except (BadInput, HostError) as problem:
            return (not_compared(problem),)

    def close(self) -> None:
        """Wipe what is in memory, and let others work on the launch; may be called again."""
        self._closed = True
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- what a process begins with ----------------------------------------------

    def _begin(self) -> SevLaunch | SealedLaunch:
        record, world = self._recorder.reload(), self._world()
        launch = self._planned.new_launch(record)
        if record.keys_are_gone:
            sealing = _earlier_sealing(self._archive, record)
            plan = replace(
                self._planned.plan,
                known_certificates=record.platform_certificates(),
                secrets=(),
            )
            return SealedLaunch(launch, plan, world, sealing, self._changed)
        plan = self._planned.plan
        if record.session is not None:
            material = record.session.material()
            plan = replace(
                plan,
                known_certificates=record.platform_certificates(),
                earlier_session=EarlierSession(material, self._key_loader(material)),
            )
        return SevLaunch(launch, plan, world, self._changed)

    def _key_loader(self, material: LaunchMaterial) -> Callable[[Platform], AdoptedKeys]:
        """Gives the keys out for the very platform, policy and profile they were made for."""

        def load(platform: Platform) -> AdoptedKeys:
            policy = self._planned.plan.policy.policy.value
            pdh_sha256 = platform.report.pdh_sha256 or ""
            binding = key_binding(self.record, policy, pdh_sha256, material)
            return AdoptedKeys(*read_launch_keys(self._archive.vault, self.id, binding))

        return load

    def _world(self) -> SevWorld:
        surroundings = self._archive.surroundings
        by_hand = self.record.host.startswith(_BY_HAND)
        open_host = opener(self._connect)
        return SevWorld(
            open_platform=open_host,
            open_guest=open_host,
            random=surroundings.random,
            roots=surroundings.roots,
            advisories=surroundings.advisories,
            advise=self._advise,
            more_certificates=surroundings.more_certificates,
            report_nonce=self._report_nonce if by_hand else None,
            before_sealing=self._before_sealing,
            keeper=self._recorder,
        )

    async def _connect(self) -> Host:
        record = self.record
        if not record.host:
            raise no_host(record.id)
        return await self._archive.surroundings.connect(record.host, record.id)

    async def _advise(self, host: Host, start: StartOrder) -> tuple[str, ...]:
        return await domain_advice(host, self._planned.profile, start, started=True)

    async def _before_sealing(self, verified: VerifiedMeasurement) -> None:
        record = self.record
        await self._archive.surroundings.before_sealing(
            SealIntent(
                launch_id=record.id,
                guest=record.guest,
                host=record.host,
                measurement=verified.reported.build(),
            )
        )

    def _report_nonce(self, packet: Packet | None) -> bytes:
        """A host that is reached by hand was given the nonce together with the packet."""
        from ..hosts.exchange_secret import report_nonce  # noqa: PLC0415 - for such hosts alone

        surroundings = self._archive.surroundings
        return surroundings.random(KEY_SIZE) if packet is None else report_nonce(self.id, packet)

    def _changed(self, launch: Launch) -> None:
        self.launch = launch
        self._recorder.changed(launch)
        self._observe(launch)


def _earlier_sealing(archive: Archive, record: LaunchRecord) -> EarlierSealing:
    if record.session is None or record.measured is None or record.matched_digest is None:
        raise keys_missing(record.id)
    packet = record.packet
    return EarlierSealing(
        record.session.material(),
        record.measured.value(),
        record.measured.version(),
        record.matched_digest,
        None if packet is None else archive.store.packet(record.id, packet.sha256),
        () if packet is None else packet.secrets,
    )


def no_host(launch_id: str) -> UsageError:
    """The error for a launch of which nobody has said where its VM is."""
    return UsageError(
        "no-host",
        "It is not known where the VM is",
        f"Launch {launch_id} was prepared without a host, from files of certificates.",
        "Say where its VM waits: --host URL.",
    )


def _closed(launch_id: str) -> UsageError:
    return UsageError(
        "launch-closed",
        "The launch is not open any more",
        f"{launch_id} was closed here; another process may be working on it.",
        "Open it again.",
    )
