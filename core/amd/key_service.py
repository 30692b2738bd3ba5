# SPDX-License-Identifier: Apache-2.0
"""Asks AMD's key service for a chip's signed CEK, or for a generation's ASK and ARK.

Whatever comes back is verified before it is handed on, so there is no way to get at
an unverified answer. Requests go one after another: AMD limits how often one may ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NoReturn

from ..errors import UsageError
from ..sev.certificates import SEV_CERTIFICATE_SIZE
from ..sev.chain import RootKeys
from . import key_service_errors as failures
from .chip_id import chip_id_missing, is_usable
from .http_get import Answer, TransportFault, get_bounded
from .key_service_address import KeyServiceAddress
from .key_service_errors import KeyServiceError, Request
from .key_service_limits import DEFAULT_LIMITS, KeyServiceLimits
from .retry_after import seconds_to_wait
from .signed_certificates import (
    LARGEST_ASK_ARK,
    Flaw,
    Refusal,
    SignedCek,
    judge_ask_ark,
    judge_cek,
)

PRIVACY_NOTICE: Final = (
    "AMD's key service is asked for the certificate of this chip: it learns the chip id, and"
    " that somebody at your network address wants to use that machine."
)
"""What people are told before the first request is sent."""

_SERVER_FAULTS: Final = range(500, 600)

Announce = Callable[[str], None]
"""Takes a sentence for people: what is about to be asked, or what is waited for."""


def say_nothing(sentence: str) -> None:
    """Announce to nobody."""
    del sentence


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _AnotherTry(Exception):
    """A failure after which another try may go better."""

    def __init__(self, error: KeyServiceError, wait: float | None = None) -> None:
        super().__init__(error.code)
        self.error = error
        self.wait = wait


class KeyService:
    """A client of AMD's key service or a mirror; belongs to one event loop.

    ``roots``     AMD's keys, which answers are verified against
    ``pause``     waits a number of seconds (``asyncio.sleep``, but in tests)
    ``now``       the time, to reckon with dates in answers
    ``announce``  is told of every wait
    A fetch makes at most ``limits.tries`` requests, each of at most
    ``limits.total_seconds``, with pauses of at most ``limits.longest_wait_seconds``.
    """

    def __init__(
        self,
        address: KeyServiceAddress,
        roots: Sequence[RootKeys],
        *,
        limits: KeyServiceLimits = DEFAULT_LIMITS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = _utc_now,
        announce: Announce = say_nothing,
    ) -> None:
        self.address = address
        self._roots = tuple(roots)
        self._limits = limits
        self._pause = pause
        self._now = now
        self._announce = announce
        self._turn = asyncio.Lock()

    @property
    def privacy_notice(self) -> str:
        """What this service learns, as a sentence to show before it is asked."""
        if self.address.is_amd:
            return PRIVACY_NOTICE
        owner = self.address.owner
        return f"{owner[:1].upper()}{owner[1:]}" + PRIVACY_NOTICE.removeprefix("AMD's key service")

    async def cek(self, chip_id: bytes, same_key_as: bytes | None = None) -> SignedCek:
        """The CEK of a chip (64-byte id), signed by AMD.

        ``same_key_as`` is the host's CEK: its first 0x414 bytes must be the answer's.
        Raises KeyServiceError, or HostError ``chip-id-missing`` for an id that is none.
        """
        if not is_usable(chip_id):
            raise chip_id_missing()
        url = self.address.cek_url(chip_id)
        request = Request(url, "a signed CEK for this chip id", self._limits)
        body = await self._fetch(request, SEV_CERTIFICATE_SIZE, failures.unknown_chip)
        judged = judge_cek(body, self._roots, same_key_as)
        if isinstance(judged, Refusal):
            raise failures.wrong_answer(request, judged)
        return judged

    async def ask_ark(self, generation: str) -> bytes:
        """AMD's file of a generation, ASK|ARK: 3200 bytes (Naples: 1664, or 1408 unsigned).

        Watchword needs it nowhere, as it brings these keys along; other tools do.
        Raises UsageError ``unknown-generation``, KeyServiceError.
        """
        keys = next((keys for keys in self._roots if keys.generation == generation), None)
        if keys is None:
            raise _unknown_generation([keys.generation for keys in self._roots])
        url = self.address.ask_ark_url(generation)
        request = Request(url, f"the ASK and ARK of {generation}", self._limits)
        body = await self._fetch(request, LARGEST_ASK_ARK, failures.file_missing)
        refusal = judge_ask_ark(body, keys)
        if refusal is not None:
            raise failures.wrong_answer(request, refusal)
        return body

    async def _fetch(
        self, request: Request, limit: int, missing: Callable[[Request], KeyServiceError]
    ) -> bytes:
        """The body of a complete answer with status 200, at most a little over ``limit`` bytes."""
        async with self._turn:
            try:
                answer = await self._with_retries(request, limit)
            except _AnotherTry as last:
                error = last.error
            else:
                return _body_of(request, answer, missing)
        raise error

    async def _with_retries(self, request: Request, limit: int) -> Answer:
        import stamina  # noqa: PLC0415 - plain commands start without it

        limits = self._limits
        schedule = stamina.retry_context(
            on=_at_once,
            attempts=limits.tries,
            timeout=None,
            wait_initial=limits.first_wait_seconds,
            wait_max=limits.longest_wait_seconds,
            wait_jitter=0,
        )
        async for attempt in schedule:
            with attempt:
                try:
                    return await self._try(replace(request, tries=attempt.num), limit)
                except _AnotherTry as failure:
                    if attempt.num < limits.tries:
                        await self._wait(failure, attempt.next_wait, attempt.num + 1)
                    raise
        raise RuntimeError("there is always a last try, which returns or raises")

    async def _try(self, request: Request, limit: int) -> Answer:
        """One request; _AnotherTry where another may go better, KeyServiceError where not."""
        try:
            answer = await get_bounded(request.url, limit, self._limits)
        except TransportFault as fault:
            error, again = failures.no_answer(request, fault), fault.is_timeout
        else:
            if answer.status == 429 or answer.status in _SERVER_FAULTS:
                self._refused(request, answer)
            return answer
        if again:
            raise _AnotherTry(error)
        raise error

    def _refused(self, request: Request, answer: Answer) -> NoReturn:
        """Raise what a 429 or 5xx means: another try, or none if the pause would be too long."""
        now = self._now()
        wait = seconds_to_wait(answer.retry_after, now, answer.date)
        explain = failures.busy if answer.status == 429 else failures.failed
        error = explain(request, answer, wait, now)
        if wait is not None and wait > self._limits.longest_wait_seconds:
            raise error
        raise _AnotherTry(error, wait)

    async def _wait(self, failure: _AnotherTry, usual: float, number: int) -> None:
        """Pause as long as the service asks for, else as usual."""
        asked_for = usual if failure.wait is None else failure.wait
        seconds = max(asked_for, self._limits.shortest_wait_seconds)
        self._announce(
            f"{failure.error.title}: asking again in {seconds:.0f} s"
            f" (try {number} of {self._limits.tries})."
        )
        await self._pause(seconds)


def _at_once(error: Exception) -> bool | float:
    """Tell stamina to go on without a pause of its own: pauses are made here, where tests can."""
    return 0.0 if isinstance(error, _AnotherTry) else False


def _body_of(
    request: Request, answer: Answer, missing: Callable[[Request], KeyServiceError]
) -> bytes:
    if answer.status == 404:
        raise missing(request)
    if answer.status != 200:
        raise failures.unexpected_status(request, answer)
    if answer.cut:
        words = f"the connection ended after {len(answer.body)} bytes, before the answer did"
        raise failures.wrong_answer(request, Refusal(Flaw.TRUNCATED, words))
    return answer.body


def _unknown_generation(known: Sequence[str]) -> UsageError:
    return UsageError(
        "unknown-generation",
        "No such generation of processors",
        "Watchword knows no AMD keys under that name.",
        f"Name one of {', '.join(known)}.",
    )
