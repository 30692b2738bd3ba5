# SPDX-License-Identifier: Apache-2.0
"""The desk: makes launches, opens them again after whatever happened, and looks after them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from ..errors import UsageError, VaultError, VerificationRefused, WatchwordError
from ..hosts.protocol import Host
from ..ledger.anchor import RollbackVerdict, check_anchor
from ..records.database import Records
from ..sev.firmware_version import FirmwareVersion
from ..sev.measurement import ReportedMeasurement
from ..vault.vault import Vault
from .abandoning import abandon, intact_record
from .archive import Archive
from .driver import Observer, unobserved
from .fault_points import fault_point
from .guest_status import GuestStatus, look_at_guest, stop_guest
from .launch_ids import new_launch_id
from .launch_lock import LaunchLock, claim_place
from .launch_run import LaunchRun, no_host
from .loading import load_record
from .ordering import order_record
from .orders import LaunchOrder
from .profile_plan import PlannedLaunch, plan_launch
from .record import LaunchRecord, LaunchState
from .store import LaunchSummary
from .surroundings import Surroundings
from .sweeping import StrayKeys, stray_keys, sweep_keys
from .whose_measurement import OtherLaunches

_ATTEMPTS: Final = 8


class LaunchDesk:
    """The launches in these records, whose keys are in this vault; for one thread.

    As a context it closes the runs that are open, and has the keyring take note of the
    newest state, where there is one. What it does raises BadInput as Records does and
    VaultError as Vault does. Beginning a launch and taking one up raises, before anything
    else, VerificationRefused ``ledger-rolled-back`` where records and keyring show that an
    older copy was put back; looking at guests, stopping them and abandoning goes on.
    """

    def __init__(self, records: Records, vault: Vault, surroundings: Surroundings) -> None:
        self._archive = Archive.of(records, vault, surroundings)
        self._home = records.path.parent
        self._runs: dict[str, LaunchRun] = {}
        self._tidy_at = _ATTEMPTS
        self._rollback: RollbackVerdict | None = None
        self._closed = False

    # -- launches ----------------------------------------------------------------

    def new(self, order: LaunchOrder, observe: Observer = unobserved) -> LaunchRun:
        """Begin a launch: it is in the records from now on, and this process works on it.

        Prepare it with ``run(until="session")``. Raises, before anything is recorded, what
        is wrong with the order: BadInput ``approved-file-changed`` and as
        ``expected_launch``, VerificationRefused ``policy-refused``, VaultError
        ``entry-missing``, UsageError ``no-host``.
        """
        self._check_rollback()
        vault_id = self._archive.vault.header.vault_id
        record = order_record(order, vault_id, self._archive.timestamp())
        planned = plan_launch(record, self._archive.vault, self._archive.surroundings)
        for _ in range(_ATTEMPTS):
            record = replace(record, id=self._new_id(record))
            lock = self._lock(record.id)
            try:
                if self._archive.store.create(record, self._archive.seal):
                    fault_point("launch-begun")
                    return self._run(record, planned, lock, observe)
            except BaseException:
                lock.release()
                raise
            lock.release()
        raise _no_id()

    def open(
        self,
        launch_id: str,
        observe: Observer = unobserved,
        *,
        host: str | None = None,
        accept_platform: str | None = None,
    ) -> LaunchRun:
        """Take a launch up again, in whatever process; its ``run`` verifies everything anew.

        ``host``             where its VM is, from now on
        ``accept_platform``  fingerprint of the CEK that the owner has looked at and accepts
        Raises BadInput ``no-such-launch``, ``launch-busy``, ``approved-file-changed``,
        UsageError ``launch-abandoned``, ``launch-of-another-vault``, and VerificationRefused
        ``launch-record-changed`` where somebody has changed the records.
        """
        self._check_rollback()
        lock = self._lock(launch_id)
        try:
            record = self._amended(load_record(self._archive, launch_id), host, accept_platform)
            planned = plan_launch(
                record,
                self._archive.vault,
                self._archive.surroundings,
                with_secrets=not record.keys_are_gone,
            )
            return self._run(record, planned, lock, observe)
        except BaseException:
            lock.release()
            raise

    def list(
        self,
        *,
        guest: str | None = None,
        states: Collection[LaunchState] = (),
        only_open: bool = False,
        limit: int | None = None,
    ) -> tuple[LaunchSummary, ...]:
        """Summaries, the newest first; LaunchStore does the same without a vault."""
        return self._archive.store.list(
            guest=guest, states=states, only_open=only_open, limit=limit
        )

    @property
    def others_wrote(self) -> int:
        """A number that is another one as soon as another process has written the records."""
        return self._archive.records.others_wrote

    def newest(self, guest: str, host: str) -> LaunchSummary | None:
        """The newest launch of a guest at a host (its URL), abandoned ones left out."""
        return self._archive.store.newest(guest, host)

    def claim(self, guest: str, host: str) -> LaunchLock | None:
        """Keep other processes from launching this guest at this host, until it is released.

        None where one is at it. The system gives up what a process that ends has claimed.
        Raises BadInput ``lock-not-taken``.
        """
        return claim_place(self._home, guest, host, self._archive.timestamp())

    def owners(
        self, among: Collection[str], reported: ReportedMeasurement, version: FirmwareVersion
    ) -> tuple[str, ...]:
        """Which of these launches, whose keys are here, a measurement that a host shows is of.

        It helps to find a launch, which then verifies everything itself; it is no verdict.
        """
        self._check_rollback()
        others = OtherLaunches(self._archive.store, self._archive.seal, self._archive.vault)
        return others.owners(among, reported, version)

    def show(self, launch_id: str) -> LaunchRecord:
        """What is recorded of a launch, for people; see :meth:`is_intact`."""
        return self._archive.store.load(launch_id).record

    def checked(self, launch_id: str) -> LaunchRecord:
        """What is recorded of a launch, as this vault vouches for it; raises as :meth:`open`."""
        self._check_rollback()
        with self._held(launch_id):
            return load_record(self._archive, launch_id)

    def is_intact(self, launch_id: str) -> bool:
        """Whether the record of a launch is as it was written with this vault."""
        return intact_record(self._archive, launch_id) is not None

    def abandon(self, launch_id: str, reason: str) -> None:
        """Give a launch up: its keys are erased, and its packet is never sent again.

        The record of one that somebody has changed stays as it is; its keys go all the
        same. Raises UsageError ``launch-running`` for a guest that runs, ``bad-reason``,
        ``launch-of-another-vault`` where its keys are not here.
        """
        self._look_for_rollback()
        with self._held(launch_id):
            abandon(self._archive, launch_id, reason)

    # -- running guests ----------------------------------------------------------

    async def status(self, launch_id: str, *, host: str | None = None) -> GuestStatus:
        """What a launch's guest is now: the host's word, and a report that the PEK signed.

        The platform is judged again. Raises as look_at_guest does.
        """
        async with self._guest(launch_id, host) as (record, guest):
            return await look_at_guest(self._archive, record, guest)

    async def stop(self, launch_id: str, *, host: str | None = None) -> None:
        """Pause a launch's guest, whatever is thought of its platform today.

        Raises HostError where the host does not.
        """
        async with self._guest(launch_id, host) as (record, guest):
            await stop_guest(self._archive, record, guest)

    # -- the end -----------------------------------------------------------------

    @property
    def rollback(self) -> RollbackVerdict:
        """Whether an older copy of the records would be noticed; raises if it is noticed."""
        return self._check_rollback()

    @property
    def stray_keys(self) -> StrayKeys:
        """Keys in the vault that serve no launch which could go on; none is erased by itself."""
        return stray_keys(self._archive)

    def close(self) -> None:
        """Close the runs, and have the keyring take note of what is new; once.

        Raises VaultError as ``Vault.write_anchor`` does, and VerificationRefused where the
        ledger's end is damaged, or older than what the keyring has noted.
        """
        if self._closed:
            return
        self._closed = True
        for run in self._runs.values():
            run.close()
        if self._rollback is None:  # nothing was done here, or with an older copy
            return
        self._archive.note_news()
        fault_point("anchor-written")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if fault is None:
            self.close()
            return
        # What went wrong first is what is to be told.
        with contextlib.suppress(WatchwordError):
            self.close()

    # -- parts -------------------------------------------------------------------

    def _run(
        self, record: LaunchRecord, planned: PlannedLaunch, lock: LaunchLock, observe: Observer
    ) -> LaunchRun:
        run = LaunchRun(self._archive, record, planned, lock, observe)
        if len(self._runs) >= self._tidy_at:
            self._runs = {one.id: one for one in self._runs.values() if not one.closed}
            self._tidy_at = max(_ATTEMPTS, 2 * len(self._runs))
        self._runs[run.id] = run
        return run

    def _check_rollback(self) -> RollbackVerdict:
        if self._rollback is None:
            self._rollback = check_anchor(self._archive.ledger, self._archive.vault.ledger_head)
            sweep_keys(self._archive, self._home)
        return self._rollback

    def _look_for_rollback(self) -> None:
        """For what can only make things safer: it may be done with an older copy too.

        That is no acceptance of it: the keyring takes note of nothing then.
        """
        with contextlib.suppress(VerificationRefused, VaultError):
            self._check_rollback()

    def _lock(self, launch_id: str) -> LaunchLock:
        seconds = self._archive.surroundings.lock_seconds
        return LaunchLock.take(self._home, launch_id, self._archive.timestamp(), seconds)

    @contextlib.contextmanager
    def _held(self, launch_id: str) -> Iterator[None]:
        lock = self._lock(launch_id)
        try:
            yield
        finally:
            lock.release()

    def _new_id(self, record: LaunchRecord) -> str:
        return new_launch_id(record.guest, self._archive.now(), self._archive.surroundings.random)

    def _amended(
        self, record: LaunchRecord, host: str | None, accept_platform: str | None
    ) -> LaunchRecord:
        """The record with what the owner says now; an abandoned one is not taken up again."""
        if record.is_abandoned:
            raise _abandoned(record.id)
        amended = replace(
            record,
            host=host or record.host,
            accepted_platform=accept_platform or record.accepted_platform,
        )
        if amended != record:
            self._archive.store.save(amended, self._archive.seal)
        return amended

    @contextlib.asynccontextmanager
    async def _guest(
        self, launch_id: str, host: str | None
    ) -> AsyncIterator[tuple[LaunchRecord, Host]]:
        """The record and the host of a launch with a blob, under the launch's lock."""
        self._look_for_rollback()
        with self._held(launch_id):
            record = load_record(self._archive, launch_id)
            if record.session is None:
                raise _not_started(launch_id)
            url = host or record.host
            if not url:
                raise no_host(launch_id)
            guest = await self._archive.surroundings.connect(url, launch_id)
            try:
                yield record, guest
            finally:
                await guest.close()


def _abandoned(launch_id: str) -> UsageError:
    return UsageError(
        "launch-abandoned",
        "The launch was abandoned",
        f"The keys of {launch_id} are erased, and nothing is sent for it any more.",
        "Start a new launch.",
        {"launch": launch_id},
    )


def _not_started(launch_id: str) -> UsageError:
    return UsageError(
        "launch-not-started",
        "There is no guest to look at yet",
        f"Launch {launch_id} has no launch blob yet, so no VM was started with one.",
        f"Take it on: `watchword launch resume {launch_id}`.",
        {"launch": launch_id},
    )


def _no_id() -> WatchwordError:
    return WatchwordError(
        "no-launch-id",
        "No name is left for the launch",
        "Every one that was tried is taken.",
        "Try again.",
    )
