# SPDX-License-Identifier: Apache-2.0
"""One bounded HTTPS GET: limited in time and size, no redirects, the system's trusted CAs.

Knows nothing of certificates of processors. The HTTP library is imported when it is
needed and not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from .key_service_address import is_loopback, place_of
from .key_service_limits import KeyServiceLimits
from .name_lookup import look_up

if TYPE_CHECKING:
    import httpx

HEADERS: Final = {
    # No version, no system: nothing that tells one user from another.
    "User-Agent": "Watchword",
    "Accept": "application/octet-stream, */*;q=0.1",
    # A compressed answer could unfold into more than the limit.
    "Accept-Encoding": "identity",
    "Connection": "close",
}
_OK: Final = 200
_CAUSES_FOLLOWED: Final = 12


class Trouble(StrEnum):
    """What kept a request from being answered; the value is stable in JSON."""

    NAME_UNKNOWN = "name-unknown"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_UNTRUSTED = "tls-untrusted"
    TLS = "tls"
    PROXY = "proxy"
    PROXY_SETTING = "proxy-setting"
    NETWORK = "network"
    HUNG_UP = "hung-up"
    STALLED = "stalled"


class TransportFault(Exception):
    """A request that got no answer; ``words`` are the system's, or empty."""

    def __init__(self, trouble: Trouble, words: str = "") -> None:
        super().__init__(trouble.value)
        self.trouble = trouble
        self.words = words

    @property
    def is_timeout(self) -> bool:
        """Whether waiting was given up, so that another try may go better."""
        return self.trouble in (Trouble.STALLED, Trouble.CONNECT_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; the body is read for status 200 only.

    ``body``  no longer than one network read over the limit that was asked for
    ``cut``   whether the connection ended before the answer was complete
    """

    status: int
    retry_after: str | None
    date: str | None
    location: str | None
    body: bytes = b""
    cut: bool = False


async def get_bounded(url: str, limit: int, limits: KeyServiceLimits) -> Answer:
    """Ask for ``url`` once and read at most a little over ``limit`` bytes.

    Ends within ``limits.total_seconds``; when it fails or is cancelled, the socket is
    closed. Raises TransportFault.
    """
    try:
        async with asyncio.timeout(limits.total_seconds):
            return await _get(url, limit, limits)
    except TimeoutError:
        fault = TransportFault(Trouble.STALLED)
    raise fault


async def _get(url: str, limit: int, limits: KeyServiceLimits) -> Answer:
    import httpx  # noqa: PLC0415 - plain commands start without it

    _keep_libraries_quiet()
    await _look_up_name(url, limits)
    try:
        async with _client(url, limits) as client, client.stream("GET", url) as response:
            return await _read(response, limit)
    except (httpx.HTTPError, OSError) as error:
        fault = _fault_of(error)
    raise fault


def _keep_libraries_quiet() -> None:
    # httpx logs URLs, and with them chip ids, at INFO; stamina warns of every retry on
    # standard error where nobody has set up logging.
    for name, level in (("httpx", logging.WARNING), ("httpcore", logging.WARNING)):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("stamina").setLevel(logging.ERROR)


async def _look_up_name(url: str, limits: KeyServiceLimits) -> None:
    if goes_through_proxy(url) or is_loopback(url):
        return  # a proxy looks the name up itself, and from here it may well be unknown
    name, _, port = place_of(url).partition(":")
    if name.startswith("["):
        return
    try:
        async with asyncio.timeout(limits.connect_seconds):
            await look_up(name, int(port or 443))
    except TimeoutError:
        fault = TransportFault(Trouble.CONNECT_TIMEOUT)
    except OSError as error:
        fault = _fault_of(error)
    else:
        return
    raise fault


def goes_through_proxy(url: str) -> bool:
    """Whether a proxy is set that may be used for this URL; exceptions to it are not looked at."""
    from urllib.request import getproxies  # noqa: PLC0415 - it brings half of the web along

    proxies = getproxies()
    return not is_loopback(url) and bool(proxies.get("https") or proxies.get("all"))


def _client(url: str, limits: KeyServiceLimits) -> httpx.AsyncClient:
    import httpx  # noqa: PLC0415

    # For this machine itself no proxy is used: plain http is let through only because it
    # does not leave the machine.
    local = is_loopback(url)
    timeout = httpx.Timeout(limits.silence_seconds, connect=limits.connect_seconds)
    try:
        return httpx.AsyncClient(
            verify=_trusted_authorities(url),
            trust_env=not local,
            timeout=timeout,
            follow_redirects=False,
            headers=HEADERS,
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        # The settings may hold a password, so they are not repeated.
        fault = TransportFault(Trouble.PROXY_SETTING)
    raise fault


def _trusted_authorities(url: str) -> ssl.SSLContext:
    if url.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not used
    import truststore  # noqa: PLC0415

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _read(response: httpx.Response, limit: int) -> Answer:
    import httpx  # noqa: PLC0415

    body, cut = bytearray(), False
    if response.status_code == _OK:
        try:
            pieces = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    body += piece
                    if len(body) > limit:
                        break
        except (httpx.RemoteProtocolError, httpx.ReadError):
            cut = True
    header = response.headers.get
    return Answer(
        response.status_code,
        header("retry-after"),
        header("date"),
        header("location"),
        bytes(body),
        cut,
    )


def _fault_of(error: Exception) -> TransportFault:
    """What a failure of the HTTP library comes down to."""
    import httpx  # noqa: PLC0415

    if isinstance(error, httpx.ProxyError):
        return TransportFault(Trouble.PROXY)
    if isinstance(error, httpx.ConnectTimeout):
        return TransportFault(Trouble.CONNECT_TIMEOUT)
    if isinstance(error, httpx.TimeoutException):
        return TransportFault(Trouble.STALLED)
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return TransportFault(Trouble.HUNG_UP)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TransportFault(Trouble.TLS_UNTRUSTED, cause.verify_message)
        if isinstance(cause, ssl.SSLError):
            return TransportFault(Trouble.TLS)
        if isinstance(cause, socket.gaierror):
            return TransportFault(Trouble.NAME_UNKNOWN)
        if isinstance(cause, ConnectionRefusedError):
            return TransportFault(Trouble.REFUSED)
    return TransportFault(Trouble.NETWORK, _system_words(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, a bounded number of them."""
    waiting: list[BaseException] = [error]
    for _ in range(_CAUSES_FOLLOWED):
        if not waiting:
            return
        cause = waiting.pop(0)
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
        following = cause.__cause__ or cause.__context__
        if following is not None:
            waiting.append(following)


def _system_words(error: BaseException) -> str:
    numbers = (cause.errno for cause in _causes(error) if isinstance(cause, OSError))
    number = next((number for number in numbers if number), None)
    return os.strerror(number) if number else ""
