# SPDX-License-Identifier: Apache-2.0
"""What is told to a watch, what it answers, and the protocols of those who tell and observe.

All that is told comes from a host or from a stranger: it is a hint where to look, and no
more. Whatever is launched is verified by the ordinary launch.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..errors import WatchwordError
from ..hosts.protocol import StartOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody wants to start a VM of a guest, and asks for GODH and launch blob.

    ``source``    which source tells it: a constant of that source (``folder``, ``socket``, …)
    ``request``   the asker's name for this request, 1 to 128 of A-Z a-z 0-9 . _ @ + - : the same
    request of the same source gets the same answer, and never a second blob
    ``guest``     the guest profile's name
    ``host``      URL of the VM (or of its machine), None where nobody has said it yet
    ``certificates``  names and contents of the platform's certificate files; without them the
    host is asked at its URL
    ``known_certificates``  the same, as the owner has them of that host, for a request that
    brings none; no part of what is asked: he may renew them
    ``firmware_sha256``  firmware that the VM is to be started with (hex), where it is told
    """

    source: str
    request: str
    guest: str
    host: str | None = None
    certificates: tuple[tuple[str, bytes], ...] = ()
    known_certificates: tuple[tuple[str, bytes], ...] = ()
    firmware_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A VM waits, paused, at a host's URL.

    ``godh``    what its ``dhCert`` holds (2084 bytes), where that can be seen
    ``launch``  the launch's id (the exchange id), where that is told
    With neither, its measurement says to which launch it belongs, or it belongs to none.
    ``guest``   the guest profile's name where that is told: narrows the search, nothing else
    """

    source: str
    host: str
    godh: bytes | None = None
    launch: str | None = None
    guest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The VM at a host's URL is gone, says the host: one live instance less.

    Counts only for a launch whose VM was, as recorded, at this very URL. ``godh`` and
    ``launch`` say which one; with neither, every launch at this URL is meant.
    ``seen``  whether the host itself has told the source; what others say is looked into there
    """

    source: str
    host: str
    godh: bytes | None = None
    launch: str | None = None
    seen: bool = False


WatchEvent: TypeAlias = Asked | Paused | Gone


@dataclass(frozen=True, slots=True)
class BlobAnswer:
    """A request is answered: this VM may be started. Nothing in it is secret.

    ``order``  GODH (2084 bytes), launch blob (128), policy, and what is to be loaded, in words
    """

    request: str
    guest: str
    launch_id: str
    order: StartOrder

    def as_json(self) -> dict[str, object]:
        """The answer with stable field names; GODH and session as QEMU and libvirt take them."""
        return {
            "answer": "blob",
            "request": self.request,
            "guest": self.guest,
            "launch": self.launch_id,
            "policy": f"{self.order.policy:#x}",
            "kernel_hashes": self.order.kernel_hashes,
            "contents": list(self.order.contents),
            "godh": base64.b64encode(self.order.owner_dh_certificate).decode(),
            "session": base64.b64encode(self.order.launch_blob).decode(),
        }


@dataclass(frozen=True, slots=True)
class Launched:
    """A paused VM was verified, has its secret and runs; the host says the last of it."""

    launch_id: str
    state: str

    def as_json(self) -> dict[str, object]:
        """The answer with stable field names."""
        return {"answer": "launched", "launch": self.launch_id, "state": self.state}


@dataclass(frozen=True, slots=True)
class Noted:
    """There is nothing more to be done: a VM's end was noted, or meant no launch of ours."""

    launches: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The answer with stable field names."""
        return {"answer": "noted", "launches": list(self.launches)}


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing is refused yet: somebody has to act first, or the host can't be reached now.

    The watch itself goes on with a VM that waits for a person's decision; else tell it again.
    """

    error: WatchwordError
    launch_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """What a stranger may know of it."""
        return {"answer": "later", **_told(self.error), "launch": self.launch_id}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was given away. ``error`` is for the owner; a stranger gets code and title."""

    error: WatchwordError
    launch_id: str | None = None

    def as_json(self) -> dict[str, object]:
        """What a stranger may know: what the owner allows instead is not his to read."""
        return {"answer": "refused", **_told(self.error), "launch": self.launch_id}


Reply: TypeAlias = BlobAnswer | Launched | Noted | Later | Refusal

Take: TypeAlias = Callable[[WatchEvent], Awaitable[Reply]]
"""Hands an event to the watch; returns its reply, however long a launch takes.

Never raises but asyncio.CancelledError. To cancel it does not cancel a launch under way.
"""


class Source(Protocol):
    """Where requests and announcements come from: a folder, a socket, libvirt."""

    @property
    def name(self) -> str:
        """What to call it in logs, such as ``folder /run/watchword/in``."""
        ...

    async def run(self, take: Take) -> None:
        """Hand over events until cancelled; one slow reply must not keep others waiting.

        Raises WatchwordError where the source itself is broken: it is run again after a pause.
        """
        ...


WatchObserver: TypeAlias = Callable[[Mapping[str, object]], None]
"""Takes note of what happens: JSON values with ``event`` first, never a secret.

    {"event": "started", "guests": [NAME…]}             {"event": "stopped"}
    {"event": "reloaded", "guests": [NAME…]}
    {"event": "listening", "source": NAME}
    {"event": "source-failed", "source": NAME, "code": CODE, "message": TEXT}
    {"event": "asked", "source": S, "request": ID, "guest": NAME}
    {"event": "answered", "source": S, "request": ID, "guest": NAME, "launch": ID, "again": BOOL}
    {"event": "paused", "source": S, "host": URL}
    {"event": "matched", "host": URL, "launch": ID, "by": "godh"|"id"|"measurement"|"records"}
    {"event": "step", "launch": ID, "guest": NAME, "step": STEP, "state": STATE}
    {"event": "launched", "launch": ID, "guest": NAME, "state": STATE}
    {"event": "waiting", "launch": ID, "code": CODE, "title": TEXT}
    {"event": "refused", "about": "asked"|"paused", "source": S, "code": CODE, "title": TEXT,
     "guest": NAME|null, "launch": ID|null, "host": URL|null, "recorded": BOOL}
    {"event": "gone", "launch": ID, "host": URL}        {"event": "expired", "launch": ID}
"""


def unobserved(event: Mapping[str, object]) -> None:
    """Nobody takes note."""
    del event


def _told(error: WatchwordError) -> dict[str, object]:
    return {"code": error.code, "title": error.title}
