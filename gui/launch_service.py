# SPDX-License-Identifier: Apache-2.0
"""Launches as the window has them: the same desk as the command line's. Knows no Qt.

A Records connection belongs to one thread. What is ``async`` here runs in the bridge's
loop and opens one there for as long as it lasts; what is not blocks, and may be called
in any thread but the GUI's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from watchword.core.errors import BadInput, WatchwordError
from watchword.core.files import read_file
from watchword.core.guest.store import ProfileStore, profiles_folder
from watchword.core.launch.archive import Archive
from watchword.core.launch.desk import LaunchDesk
from watchword.core.launch.guest_status import GuestStatus
from watchword.core.launch.launch_run import LaunchRun
from watchword.core.launch.orders import LaunchOrder
from watchword.core.launch.record import LaunchRecord
from watchword.core.launch.sev_steps import Observer
from watchword.core.launch.store import LaunchStore, LaunchSummary
from watchword.core.launch.surroundings import Surroundings
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records, records_folder
from watchword.core.sev.certificates import AmdCertificate
from watchword.core.sev.chain_files import LARGEST_FILE, recognise

from .evidence_documents import EvidenceForm, evidence_bytes
from .lent_vault import LentVault
from .pages.vault_service import VaultService
from .wizard.recorded_run import BeginRun, RecordedRun
from .wizard.runs import OpenRun
from .wizard.wanted import Wanted

CertificateFiles = tuple[tuple[str, bytes], ...]
"""Names and contents, unjudged."""
_FIELD: Final = "the certificate file"


def surroundings_of_this_machine(*, ask_amd: bool) -> Surroundings:
    """The real hosts, roots, time and randomness; raises BadInput as ``read_deny_list``."""
    from watchword.core.amd.cek_source import CekSource  # noqa: PLC0415 - for launches alone
    from watchword.core.amd.certificate_cache import (  # noqa: PLC0415 - as above
        CertificateCache,
        cache_folder,
    )
    from watchword.core.amd.key_service import KeyService  # noqa: PLC0415 - as above
    from watchword.core.amd.key_service_address import key_service_address  # noqa: PLC0415
    from watchword.core.amd.roots import amd_roots  # noqa: PLC0415 - reads a resource
    from watchword.core.workers.by_hand_guard import by_hand_guard  # noqa: PLC0415 - as above

    roots = amd_roots()
    service = KeyService(key_service_address(None), roots) if ask_amd else None
    source = CekSource(roots, CertificateCache(cache_folder(), roots), service)
    home = records_folder()
    surroundings = Surroundings.of_this_machine(home, more_certificates=source.more_certificates)
    return replace(surroundings, before_sealing=by_hand_guard(home))


class LaunchService:
    """The owner's launches: listed by anybody, worked on with the vault open.

    ``surroundings``  makes what the desk works with; tests give their own
    """

    def __init__(
        self,
        vaults: VaultService,
        surroundings: Callable[..., Surroundings] = surroundings_of_this_machine,
    ) -> None:
        self.vaults = vaults
        self.surroundings = surroundings
        self.note = ""
        """What went less well than it should at the end of the last piece of work."""

    # -- what blocks, and needs no vault -------------------------------------------

    def summaries(self) -> tuple[LaunchSummary, ...]:
        """All launches, the newest first, as the records have them. Raises BadInput."""
        folder = records_folder()
        if not Records.exists(folder):
            return ()
        with Records.open(folder) as records:
            return LaunchStore(records).list()

    def record(self, launch_id: str) -> LaunchRecord:
        """What is recorded of a launch, for people. Raises BadInput."""
        with Records.open(records_folder()) as records:
            return LaunchStore(records).load(launch_id).record

    def evidence(self, launch_id: str, form: EvidenceForm) -> bytes:
        """A launch's newest document; raises as ``evidence_bytes``."""
        return evidence_bytes(launch_id, form, self.surroundings(ask_amd=False))

    def newest_entry(self, launch_id: str) -> int:
        """The sequence of a launch's newest entry in the ledger. Raises BadInput."""
        with Records.open(records_folder()) as records:
            entries = Ledger(records).entries(launch_id=launch_id, limit=1, newest_first=True)
            newest = next(iter(entries), None)
        if newest is None:
            raise BadInput(
                "no-ledger-entry",
                f"launch {launch_id}",
                "The ledger has no entry of it.",
                "Verify the ledger on its page: entries may have been cut off.",
            )
        return newest.sequence

    def guests(self) -> tuple[str, ...]:
        """The names of the profiles."""
        return ProfileStore(profiles_folder()).names()

    def order(self, wanted: Wanted) -> LaunchOrder:
        """The order that was filled in; reads the profile and all files. Raises BadInput."""
        roots = _trusted_roots(wanted.trusted_root)
        return LaunchOrder(
            profile=ProfileStore(profiles_folder()).load(wanted.guest).profile,
            host=wanted.host or None,
            ask_host=wanted.ask_host,
            certificate_files=read_certificates(wanted.paths, wanted.pasted),
            trusted_roots=roots,
            platform_waiver=wanted.platform_waiver or None,
            policy_waiver=wanted.policy_waiver or None,
            firmware_waiver=wanted.firmware_waiver or None,
        )

    # -- in the loop ---------------------------------------------------------------

    @asynccontextmanager
    async def desk(self, surroundings: Surroundings | None = None) -> AsyncIterator[LaunchDesk]:
        """The desk over the open vault; it belongs to the loop's thread.

        Raises VaultError ``vault-closed``, BadInput as Records.open does.
        """
        if surroundings is None:
            surroundings = await asyncio.to_thread(self.surroundings, ask_amd=False)
        # A keyring may ask by itself, and take its time.
        await asyncio.to_thread(self._open_vault)
        with Records.open(records_folder()) as records:
            vault = LentVault(self.vaults)
            desk = LaunchDesk(records, vault, surroundings)
            try:
                yield desk
            finally:
                vault.put_notes_off()
                self._close(desk)
                if vault.put_off:
                    await asyncio.to_thread(self._note_news, surroundings)

    def new_run(self, wanted: Wanted | LaunchOrder) -> OpenRun:
        """Opens a new launch when it is called; see RunKind RECORDED."""
        ask_amd = isinstance(wanted, Wanted) and wanted.ask_amd

        async def begin(desk: LaunchDesk, observe: Observer) -> LaunchRun:
            order = wanted
            if isinstance(order, Wanted):
                order = await asyncio.to_thread(self.order, order)
            return desk.new(order, observe)

        return self._opener(begin, ask_amd=ask_amd)

    def earlier_run(self, launch_id: str) -> OpenRun:
        """Takes a launch up again when it is called."""

        async def take_up(desk: LaunchDesk, observe: Observer) -> LaunchRun:
            return desk.open(launch_id, observe)

        return self._opener(take_up)

    def _opener(self, begin: BeginRun, *, ask_amd: bool = False) -> OpenRun:
        @asynccontextmanager
        async def opened(observe: Observer) -> AsyncIterator[RecordedRun]:
            surroundings = await asyncio.to_thread(self.surroundings, ask_amd=ask_amd)
            async with self.desk(surroundings) as desk:
                run = RecordedRun(desk, surroundings.connect, observe)
                try:
                    await run.begin(begin)
                    yield run
                finally:
                    run.close()

        return opened

    async def abandon(self, launch_id: str, reason: str) -> None:
        """Give a launch up. Raises as LaunchDesk.abandon does."""
        async with self.desk() as desk:
            desk.abandon(launch_id, reason)

    async def status(self, launch_id: str) -> GuestStatus:
        """Ask for a guest, with a fresh report. Raises as LaunchDesk.status does."""
        async with self.desk() as desk:
            return await desk.status(launch_id)

    async def stop(self, launch_id: str) -> None:
        """Have a guest paused. Raises as LaunchDesk.stop does."""
        async with self.desk() as desk:
            await desk.stop(launch_id)

    def _open_vault(self) -> None:
        with self.vaults.opened():
            pass

    def _close(self, desk: LaunchDesk) -> None:
        self.note = ""
        try:
            desk.close()
        except WatchwordError as error:  # what was done stays done
            self._tell(error)

    def _note_news(self, surroundings: Surroundings) -> None:
        """Have the keyring take note of what is new: it may ask somebody, and take its time.

        A Records connection belongs to one thread, so this one has its own.
        """
        try:
            with Records.open(records_folder()) as records:
                Archive.of(records, LentVault(self.vaults), surroundings).note_news()
        except WatchwordError as error:
            self._tell(error)

    def _tell(self, error: WatchwordError) -> None:
        self.note = f"{error.title}. {error.message}"


def read_certificates(paths: tuple[str, ...], pasted: tuple[str, ...]) -> CertificateFiles:
    """Certificate files by path, and those that were pasted as text. Raises BadInput."""
    files = [(path, read_file(path, _FIELD, LARGEST_FILE)) for path in paths]
    texts = [(f"the pasted text {n}", text.encode()) for n, text in enumerate(pasted, 1)]
    return (*files, *texts)


def _trusted_roots(path: str) -> tuple[AmdCertificate, ...]:
    if not path:
        return ()
    field = "the trusted root"
    ark = recognise([(path, read_file(path, field, LARGEST_FILE))]).certificates.ark
    if ark is None:
        raise BadInput(
            "no-root-in-file",
            field,
            f"{Path(path).name} holds no ARK.",
            "Give the root certificate itself, such as ark.cert.",
        )
    return (AmdCertificate.parse(ark, field),)
