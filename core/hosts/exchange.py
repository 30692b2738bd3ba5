# SPDX-License-Identifier: Apache-2.0
"""ExchangeHost: the Host that is a folder, carried to the operator and back by hand or mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import AnswerPending, HostError, UsageError
from . import exchange_answers as answers
from . import exchange_errors as errors
from . import exchange_instructions as texts
from .closing import Closing
from .command_errors import state_forbids
from .exchange_folder import ExchangeFolder
from .exchange_pasting import Understood, take_pasted
from .exchange_texts import turn_text
from .exchange_turns import (
    CHECKSUM_FILE,
    FORM_FILE,
    README_FILE,
    Turn,
    check_incoming,
    check_outgoing,
)
from .file_thread import in_thread
from .protocol import NONCE_BYTES, GuestState, PlatformAnswer, SevState, StartOrder
from .urls import ExchangeAddress

if TYPE_CHECKING:
    from ..sev.secret_packet import Packet
    from .protocol import GuestStarter, Host

FOLDER_SECONDS: Final = 60.0
"""Reading or writing one turn. A stick takes a second; a share that hangs takes for ever."""

_T = TypeVar("_T")


class ExchangeHost(Closing):
    """A host that a person carries questions to and answers from.

    Everything is in the folder; nothing is kept here, so that each call may be made by
    another process. A call whose answer has not come raises AnswerPending (exit 9), with
    ``turn``, ``path``, ``missing``, ``carry`` and ``instructions`` in its details.
    Whatever comes back is the host's word: the chain and the HMAC decide, never a
    checksum of the folder.

    Beside HostError (exit 4) calls raise VerificationRefused ``reply-of-another-launch``,
    and UsageError ``exchange-folder-taken`` where the folder belongs to another launch.
    """

    def __init__(
        self, address: ExchangeAddress, launch_id: str, seconds: float = FOLDER_SECONDS
    ) -> None:
        """Touches nothing yet. Raises UsageError ``bad-launch-id``."""
        self._address = address
        self._folder = ExchangeFolder(address, launch_id)
        self._launch_id = launch_id
        self._seconds = seconds

    @property
    def url(self) -> str:
        """Where the host is."""
        return self._address.url

    # -- the calls of a Host -------------------------------------------------------

    async def platform(self) -> PlatformAnswer:
        """PDH, certificates and chip id, from turn 1; asks for them where they lack."""
        return await self._beside(self._platform)

    async def start(self, order: StartOrder) -> None:
        """Write turn 2: what the operator starts the guest with, and instructions.

        The same order may be written again; another one in the same folder is refused
        (``exchange-turn-differs``).
        """
        await self._beside(lambda: self._start(order))

    async def state(self) -> GuestState:
        """Version, policy and state as turn 3 tells them; running, once turn 5 says so."""
        return await self._beside(self._state)

    async def vcpu_count(self) -> int:
        """The number of vCPUs, if the operator sent ``query-cpus-fast`` along in turn 3."""
        return await self._beside(self._vcpu_count)

    async def measurement(self) -> bytes:
        """Measure 32 followed by nonce 16, from turn 3: 48 bytes."""
        return await self._beside(lambda: answers.measurement(self._measured()))

    async def inject(self, packet: Packet) -> None:
        """Write turn 4: the packet, and how to hand it over. The same one may be written again.

        Whether it arrives is known, as far as the host's word goes, by :meth:`resume`.
        Raises HostError ``guest-state-forbids`` for a guest that does not wait for it,
        ``exchange-turn-differs`` if another packet was written.
        """
        await self._beside(lambda: self._inject(packet))

    async def resume(self) -> None:
        """Wait for turn 5: AnswerPending ``handed-over-not-confirmed`` until it says so.

        Without a packet written before, turn 4 is written: let it run. Raises HostError
        ``injection-refused`` and its like for an error that the host answered with.
        """
        await self._beside(self._resume)

    async def stop(self) -> None:
        """Nobody can be told at once: HostError ``exchange-cannot-stop``."""
        raise errors.cannot_stop()

    async def attestation_report(self, nonce: bytes) -> bytes:
        """The report (208 bytes) that turn 5 may hold, for the nonce that turn 4 gave out.

        That is ``exchange_secret.report_nonce``; for any other there is no report.
        Raises HostError ``report-not-brought`` or ``report-for-another-nonce``.
        """
        if len(nonce) != NONCE_BYTES:
            raise UsageError(
                "bad-nonce",
                "The nonce has the wrong length",
                f"It has {len(nonce)} bytes instead of {NONCE_BYTES}.",
                f"Give {NONCE_BYTES} bytes, as report_nonce makes them.",
            )
        return await self._beside(lambda: self._report(nonce))

    async def close(self) -> None:
        """Nothing is open."""

    # -- texts instead of files ----------------------------------------------------

    def awaited_turn(self) -> Turn | None:
        """The turn whose answer the launch waits for, as the folder shows it; None if none.

        Raises HostError and VerificationRefused as reading an answer does.
        """
        if self._folder.holds(Turn.SECRET):
            return None if answers.runs(self._answer(Turn.RUNNING)) else Turn.RUNNING
        if self._folder.holds(Turn.START):
            missing = answers.missing_of(self._answer(Turn.MEASUREMENT))
            return Turn.MEASUREMENT if missing else None
        return Turn.PLATFORM if self._platform_files().platform is None else None

    def accept_pasted(self, turn: int, text: str) -> Understood:
        """Take a pasted answer of turn 1, 3 or 5: judge it, and save it among the turn's files.

        Nothing is saved of a text that can't be used, that contradicts what is there, or
        that says no more than that the VM does not run yet. Raises UsageError ``bad-turn``,
        HostError and VerificationRefused as reading the folder does.
        """
        return take_pasted(self._folder, check_incoming(turn), text)

    def outgoing_text(self, turn: int) -> str:
        """One text that carries turn 1 (the request), 2 or 4 to the operator by mail.

        Raises UsageError ``bad-turn`` for another turn, ``turn-not-written`` for one that
        was not written yet.
        """
        if turn == Turn.PLATFORM:
            readme = texts.platform_request(self._launch_id).encode()
            form = texts.platform_form(self._launch_id)
            return turn_text(Turn.PLATFORM, self._launch_id, {README_FILE: readme}, form)
        which = check_outgoing(turn)
        files = self._folder.read_with_texts(which) if self._folder.exists() else {}
        if CHECKSUM_FILE not in files:  # it is written last
            raise errors.turn_not_written(self._folder.path(which))
        forms = {Turn.START: texts.measurement_form, Turn.SECRET: texts.running_form}
        return turn_text(which, self._launch_id, files, forms[which](self._launch_id))

    # -- what the calls do ---------------------------------------------------------

    async def _beside(self, work: Callable[[], _T]) -> _T:
        try:
            return await in_thread(work, self._seconds)
        except TimeoutError:
            raise errors.too_slow(self._address.path, self._seconds) from None

    def _answer(self, turn: Turn) -> answers.Answer:
        return answers.read_answer(turn, self._folder.read(turn), self._launch_id)

    def _platform_files(self) -> answers.PlatformFiles:
        files = self._folder.read(Turn.PLATFORM) if self._folder.exists() else {}
        return answers.read_platform(files, self._launch_id)

    def _platform(self) -> PlatformAnswer:
        found = self._platform_files()
        if found.platform is not None:
            return found.platform
        request = texts.platform_request(self._launch_id).encode()
        self._folder.offer(Turn.PLATFORM, {README_FILE: request})
        path = self._folder.path(Turn.PLATFORM)
        raise errors.pending(
            Turn.PLATFORM, path, found.missing, instructions=f"{path}/{README_FILE}"
        )

    def _start(self, order: StartOrder) -> None:
        from .exchange_start import ESSENTIAL, start_files  # noqa: PLC0415 - for this turn

        self._folder.claim()
        known = self._platform_or_none()
        files = start_files(self._launch_id, order, known)
        self._folder.write(Turn.START, files, ESSENTIAL)
        form = texts.measurement_form(self._launch_id).encode()
        self._folder.offer(Turn.MEASUREMENT, {FORM_FILE: form})

    def _platform_or_none(self) -> PlatformAnswer | None:
        """What turn 1 said; the chain may have come to the owner on another way."""
        try:
            return self._platform_files().platform
        except HostError:
            return None

    def _measured(self) -> answers.Answer:
        answer = self._answer(Turn.MEASUREMENT)
        missing = answers.missing_of(answer)
        if missing:
            raise self._pending(answer, missing, carried=Turn.START)
        return answer

    def _state(self) -> GuestState:
        state = answers.guest_state(self._measured())
        if self._folder.holds(Turn.SECRET) and answers.runs(self._answer(Turn.RUNNING)):
            return replace(state, state=SevState.RUNNING, running=True)
        return state

    def _vcpu_count(self) -> int:
        answer = self._answer(Turn.MEASUREMENT)
        count = answers.vcpu_count(answer)
        if count is None:
            missing = ("the number of vCPUs (query-cpus-fast)",)
            raise self._pending(answer, missing, carried=Turn.START)
        return count

    def _inject(self, packet: Packet) -> None:
        from .exchange_secret import ESSENTIAL, secret_files  # noqa: PLC0415 - for this turn

        if not self._folder.holds(Turn.SECRET):
            state = answers.guest_state(self._measured()).state
            if state is not SevState.LAUNCH_SECRET:
                raise state_forbids("injecting a secret", state)
        self._folder.write(Turn.SECRET, secret_files(self._launch_id, packet), ESSENTIAL)
        self._offer_running()

    def _offer_running(self) -> None:
        form = texts.running_form(self._launch_id).encode()
        self._folder.offer(Turn.RUNNING, {FORM_FILE: form})

    def _resume(self) -> None:
        from .exchange_secret import ESSENTIAL, run_files  # noqa: PLC0415 - for this turn

        if not self._folder.holds(Turn.SECRET):
            self._folder.write(Turn.SECRET, run_files(self._launch_id), ESSENTIAL)
            self._offer_running()
        answer = self._answer(Turn.RUNNING)
        if answers.runs(answer):
            return
        answers.check_refused(answer)
        state = answers.standing_still(answer)
        if state is not None:
            raise errors.not_running_yet(self._folder.path(Turn.RUNNING), state)
        raise self._pending(answer, answers.missing_of(answer), carried=Turn.SECRET)

    def _report(self, nonce: bytes) -> bytes:
        path = self._folder.path(Turn.RUNNING)
        report = answers.report(self._answer(Turn.RUNNING))
        if report is None:
            raise errors.no_report(path)
        # Whether it is a good one is for whoever knows the PEK; this one is another answer.
        if report[:NONCE_BYTES] != nonce:
            raise errors.report_for_another_nonce(path)
        return report

    def _pending(
        self, answer: answers.Answer, missing: tuple[str, ...], carried: Turn
    ) -> AnswerPending:
        return errors.pending(
            answer.turn,
            self._folder.path(answer.turn),
            missing,
            instructions=f"{self._folder.path(carried)}/{README_FILE}",
            passed_over=answer.passed_over,
        )


if TYPE_CHECKING:

    def _is_a_host(host: ExchangeHost) -> tuple[Host, GuestStarter]:
        return host, host
