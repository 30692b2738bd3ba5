# SPDX-License-Identifier: Apache-2.0
"""Says why a certificate could not be had from the key service: cause, and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..errors import HostError
from .http_get import Answer, TransportFault, Trouble, goes_through_proxy
from .key_service_address import AMD_FILES, AMD_KEY_SERVICE, VARIABLE, place_of
from .key_service_limits import KeyServiceLimits
from .retry_after import LONGEST_NAMED, come_back_words
from .signed_certificates import Flaw, Refusal

OTHER_WAYS: Final = (
    "Or do without the service: give AMD's signed copy of the CEK with --cek FILE, or the full"
    " export that `sevctl export --full` writes on the host."
)
_AMDS_PLACES: Final = (place_of(AMD_KEY_SERVICE), place_of(AMD_FILES))
_HOST_NAME: Final = re.compile(r"https?://([A-Za-z0-9.-]{1,253})(?:[:/?#]|$)", re.ASCII)


class KeyServiceError(HostError):
    """AMD's key service is out of reach, refuses, or answers what can't be used (exit 4).

    Codes: ``key-service-unreachable``, ``-unknown-chip``, ``-busy``, ``-failed``,
    ``-wrong-answer`` (its ``flaw`` in the details), ``-stalled``.
    """


@dataclass(frozen=True, slots=True)
class Request:
    """One request as errors speak of it: its URL, what was asked for, how often, within what."""

    url: str
    what: str
    limits: KeyServiceLimits = field(repr=False)
    tries: int = 1

    @property
    def place(self) -> str:
        """Host and port."""
        return place_of(self.url)

    @property
    def times(self) -> str:
        """How often it was tried, as the end of a sentence."""
        return "" if self.tries == 1 else f", {self.tries} times in a row"

    def error(
        self,
        code: str,
        title: str,
        message: str,
        remedy: str,
        details: Mapping[str, object] | None = None,
    ) -> KeyServiceError:
        """An error about this request; ``code`` without its prefix."""
        about = {"service": self.place, "tries": self.tries}
        return KeyServiceError(
            f"key-service-{code}", title, message, remedy, {**about, **(details or {})}
        )


# -- no answer ---------------------------------------------------------------------

_LATER: Final = "Try again later."
_NETWORK: Final = (
    "Check this machine's network, its name servers and firewalls, and whether it needs a"
    " proxy (HTTPS_PROXY)."
)
_PROXY: Final = "Check HTTPS_PROXY, ALL_PROXY and NO_PROXY, and what the proxy lets through."


@dataclass(frozen=True, slots=True)
class _Words:
    """A message with places to fill in, and a remedy."""

    message: str
    remedy: str


_UNREACHABLE: Final[Mapping[Trouble, _Words]] = {
    Trouble.NAME_UNKNOWN: _Words(
        "No address is known for {place}. Most likely this machine has no network, or can't"
        " look up names outside.",
        _NETWORK,
    ),
    Trouble.REFUSED: _Words(
        "{place} refuses connections. Most likely a firewall stands in between, or the service"
        " is down.",
        _NETWORK,
    ),
    Trouble.CONNECT_TIMEOUT: _Words(
        "There was no connection to {place} within {connect:g} s{times}. Most likely a firewall"
        " swallows it.",
        _NETWORK,
    ),
    Trouble.TLS_UNTRUSTED: _Words(
        "The web server's certificate of {place} is not one that this machine trusts{words}."
        " Most likely a proxy in between opens connections and its CA is not in this system's"
        " list, or the clock is wrong.",
        "Add your organisation's CA to the system's list of trusted ones (on Debian:"
        " ca-certificates), or set the clock.",
    ),
    Trouble.TLS: _Words(
        "No encrypted connection to {place} came about. Most likely something in between is no"
        " web server, or meddles.",
        _NETWORK,
    ),
    Trouble.PROXY: _Words(
        "The proxy that the environment names did not let the request to {place} through. Most"
        " likely it wants a password, or forbids that address.",
        _PROXY,
    ),
    Trouble.PROXY_SETTING: _Words(
        "The environment names a proxy in a way that can't be used. SOCKS proxies are not"
        " supported.",
        _PROXY,
    ),
    Trouble.NETWORK: _Words(
        "The connection to {place} failed{words}. Most likely the network was interrupted.",
        _NETWORK,
    ),
}


def no_answer(request: Request, fault: TransportFault) -> KeyServiceError:
    """Why a request got no answer at all."""
    details = {"cause": fault.trouble.value}
    if fault.trouble is Trouble.STALLED:
        return _stalled(request, details)
    if fault.trouble is Trouble.HUNG_UP:
        return request.error(
            "wrong-answer",
            "The key service hung up",
            f"{request.place} closed the connection without a whole answer.",
            f"{_LATER} {OTHER_WAYS}",
            {"flaw": Flaw.TRUNCATED.value, **details},
        )
    words = _UNREACHABLE[fault.trouble]
    filled = words.message.format(
        place=request.place,
        connect=request.limits.connect_seconds,
        times=request.times,
        words=f" ({fault.words})" if fault.words else "",
    )
    if goes_through_proxy(request.url) and fault.trouble not in (
        Trouble.PROXY,
        Trouble.PROXY_SETTING,
    ):
        filled += " A proxy is set in the environment; it may be the one that can't be reached."
    title = "The key service can't be reached"
    return request.error("unreachable", title, filled, f"{words.remedy} {OTHER_WAYS}", details)


def _stalled(request: Request, details: Mapping[str, object]) -> KeyServiceError:
    limits = request.limits
    return request.error(
        "stalled",
        "The key service does not answer",
        f"{request.place} was reached but gave no whole answer{request.times}. Silence is borne for"
        f" {limits.silence_seconds:g} s, and {limits.total_seconds:g} s in all. Most likely the"
        " service is overloaded, or something in between holds the answer back.",
        f"{_LATER} {OTHER_WAYS}",
        details,
    )


# -- an answer that is no certificate ----------------------------------------------


def unknown_chip(request: Request) -> KeyServiceError:
    """404: AMD has nothing under this chip id, or at this address."""
    return request.error(
        "unknown-chip",
        "AMD doesn't know this chip id",
        f"{request.place} has no CEK for this chip id (HTTP 404). Most likely the id has a typing"
        " error, belongs to the second socket, or was not printed by this host; engineering"
        " samples are not known there, and a mirror knows only what it was given.",
        "Compare it with what `sevctl show identifier` prints on the host. The service has also"
        f" been seen to answer 404 for hours while it was at fault. {OTHER_WAYS}",
        {"status": 404},
    )


def file_missing(request: Request) -> KeyServiceError:
    """404 for a file whose name does not depend on a chip."""
    return request.error(
        "wrong-answer",
        "The file is not there",
        f"{request.place} does not have {request.what} (HTTP 404). Most likely the base URL is"
        " wrong.",
        f"Check {VARIABLE}. Watchword needs no such file: it brings AMD's ASK and ARK along.",
        {"status": 404},
    )


def busy(request: Request, answer: Answer, wait: float | None, now: datetime) -> KeyServiceError:
    """429: too many requests from here."""
    return request.error(
        "busy",
        "The key service is busy",
        f"{request.place} answers that it was asked too often (HTTP 429){request.times}."
        f"{_asks_to_wait(request, wait, now)} AMD serves about one request in ten seconds, and"
        " everybody behind your network address counts as one.",
        f"{_come_back(wait, now)} {OTHER_WAYS}",
        {"status": answer.status, **_seconds(wait)},
    )


def failed(request: Request, answer: Answer, wait: float | None, now: datetime) -> KeyServiceError:
    """5xx: the service says that it is at fault."""
    return request.error(
        "failed",
        "The key service failed",
        f"{request.place} answers that it has a fault (HTTP {answer.status}){request.times}."
        f"{_asks_to_wait(request, wait, now)}",
        f"{_come_back(wait, now)} {OTHER_WAYS}",
        {"status": answer.status, **_seconds(wait)},
    )


def _asks_to_wait(request: Request, wait: float | None, now: datetime) -> str:
    if not wait:
        return ""
    asks = f" It asks to come back {come_back_words(wait, now)}."
    longest = request.limits.longest_wait_seconds
    return f"{asks} No more than {longest:g} s are sat out here." if wait > longest else asks


def _come_back(wait: float | None, now: datetime) -> str:
    return f"Try again {come_back_words(wait, now)}." if wait else _LATER


def _seconds(wait: float | None) -> dict[str, object]:
    believable = wait is not None and wait <= LONGEST_NAMED
    return {"retry_after_seconds": math.ceil(wait or 0)} if believable else {}


def unexpected_status(request: Request, answer: Answer) -> KeyServiceError:
    """Redirections, refusals, and answers that mean nothing here."""
    message = f"{request.place} answers HTTP {answer.status} where {request.what} belongs."
    remedy = f"{_LATER} {_PROXY}"
    if 300 <= answer.status < 400:
        message += f"{_elsewhere(answer.location)} Redirections are not followed. Most likely a"
        message += " login page or a proxy stands in between."
    elif answer.status in (401, 403, 407):
        message += " Most likely a proxy or mirror in between wants a password."
    elif answer.status == 400:
        message += " AMD's service has been seen to answer so while it was at fault."
    details = {"status": answer.status}
    title = "The key service gave a wrong answer"
    return request.error("wrong-answer", title, message, f"{remedy} {OTHER_WAYS}", details)


def _elsewhere(location: str | None) -> str:
    # Only a plain host name is shown: the rest is whatever somebody wrote there.
    target = _HOST_NAME.match(location or "")
    return f" It sends on to {target[1]}." if target is not None else ""


def wrong_answer(request: Request, refusal: Refusal) -> KeyServiceError:
    """An answer that is not the certificate that was asked for."""
    message = (
        f"What {request.place} answered is not {request.what}: {refusal.words}. It was neither"
        " used nor kept."
    )
    words = _explain(refusal.flaw, from_mirror=request.place not in _AMDS_PLACES)
    return request.error(
        "wrong-answer",
        "The key service gave a wrong answer",
        f"{message} {words.message}",
        words.remedy,
        {"flaw": refusal.flaw.value},
    )


def _explain(flaw: Flaw, *, from_mirror: bool) -> _Words:
    if flaw is Flaw.OTHER_KEY:
        return _Words(
            "Most likely the host named another machine's chip id, or that of another socket.",
            "Send no secret to this host before that is cleared up: compare the chip id with"
            " what `sevctl show identifier` prints on the host.",
        )
    own = f"Ask AMD's own service (unset {VARIABLE}). " if from_mirror else ""
    if flaw in (Flaw.UNSIGNED, Flaw.BAD_SIGNATURE, Flaw.NOT_AMDS, Flaw.NOT_A_CEK):
        return _Words(
            "Most likely a mirror is wrong, somebody in between altered it, or this Watchword"
            " is older than the processor's generation.",
            f"{own}Get the newest Watchword. {OTHER_WAYS}",
        )
    if flaw is Flaw.WEB_PAGE:
        return _Words(
            "Most likely a proxy or a login page in between answered in its place.",
            f"Open a web page in a browser to see what stands in between. {_PROXY} {OTHER_WAYS}",
        )
    return _Words(
        "Most likely the connection broke, or a proxy in between cut it.", f"{_LATER} {OTHER_WAYS}"
    )
