# SPDX-License-Identifier: Apache-2.0
"""What becomes of an event that came to no good end: its reply, and its entry in the ledger."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from ..errors import (
    AnswerPending,
    BadInput,
    UsageError,
    VerificationRefused,
    WatchwordError,
)
from ..ledger.entries import EntryKind
from .events import Asked, Later, Paused, Refusal, Reply, WatchEvent
from .launching import LAUNCH, RECORDED
from .revisits import OWN, is_ours
from .watch_errors import shown
from .world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN: Final = ("unknown-vm", "ambiguous-vm", "launch-over", "sealed-for-another-vm")


def told_reply(world: World, event: WatchEvent, error: WatchwordError) -> Reply:
    """The reply to an event that this error was the end of; a refusal is recorded and told."""
    launch_id = _text(error.details.get(LAUNCH))
    if not _is_refusal(error):
        if isinstance(error, AnswerPending) and launch_id is not None:
            told = {"launch": launch_id, "code": error.code, "title": error.title}
            world.observe({"event": "waiting", **told})
        return Later(error, launch_id)
    recorded = _record(world, event, error, launch_id)
    world.observe(
        {
            "event": "refused",
            "about": "asked" if isinstance(event, Asked) else "paused",
            "source": event.source,
            "code": error.code,
            "title": error.title,
            "guest": _about(event)["guest"],
            "launch": launch_id,
            "host": _about(event)["host"],
            "recorded": recorded,
        }
    )
    return Refusal(error, launch_id)


def _is_refusal(error: WatchwordError) -> bool:
    """Whether it is the asker's matter; what fails here, or at a host, can be tried again."""
    refusal = isinstance(error, VerificationRefused | BadInput | UsageError)
    return refusal and not is_ours(error)


def _record(world: World, event: WatchEvent, error: WatchwordError, launch_id: str | None) -> bool:
    """Whether the ledger has it now; what the launch has recorded is not recorded twice."""
    if error.details.get(RECORDED):
        return True
    # What we looked at by ourselves, at our own start, was announced by nobody.
    if event.source == OWN:
        return False
    unknown = isinstance(event, Paused) and error.code in _UNKNOWN
    kind = EntryKind.WATCH_UNKNOWN_VM if unknown else EntryKind.WATCH_REFUSED
    # Whoever can't be recorded is refused all the same.
    with contextlib.suppress(WatchwordError):
        about = {**_about(event), "source": event.source}
        return world.promises.note_refusal(kind, error, about, launch_id)
    return False


def _about(event: WatchEvent) -> Mapping[str, str | None]:
    guest = None if not isinstance(event, Asked | Paused) else event.guest
    return {
        "guest": None if guest is None else shown(guest),
        "host": None if event.host is None else shown(event.host),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
