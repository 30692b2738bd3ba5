# SPDX-License-Identifier: Apache-2.0
"""One tree of errors: what happened, why most likely, what to do, and the exit status.

Every error a person can meet is a :class:`WatchwordError`. The window, the text
output and the JSON output render the same object, so nobody ever sees a class
name or a traceback. ``code`` is kebab-case and stable: programs may match on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from typing import ClassVar


class ExitStatus(IntEnum):
    """What the process tells its caller; the numbers are part of the interface."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    REFUSED = 3
    HOST = 4
    VAULT = 5
    BAD_INPUT = 6
    BATCH_PARTLY_FAILED = 7
    WAIVED = 8
    WAITING = 9
    INTERRUPTED = 130


class WatchwordError(Exception):
    """An error that a person can act on.

    ``code``     stable kebab-case name
    ``title``    what happened, a short phrase
    ``message``  one or two sentences with the particulars
    ``remedy``   what to do about it
    ``details``  machine-readable particulars (JSON values only, never a secret)
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init__(
        self,
        code: str,
        title: str,
        message: str,
        remedy: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{title}: {message}")
        self.code = code
        self.title = title
        self.message = message
        self.remedy = remedy
        self.details: Mapping[str, object] = MappingProxyType(dict(details or {}))

    def add_details(self, **more: object) -> None:
        """Add machine-readable particulars that were found out after the error was met."""
        self.details = MappingProxyType({**self.details, **more})

    def as_json(self) -> dict[str, object]:
        """The error as it appears under ``"error"`` in JSON output."""
        return {
            "code": self.code,
            "title": self.title,
            "message": self.message,
            "remedy": self.remedy,
            "details": dict(self.details),
        }


class UsageError(WatchwordError):
    """The command was called in a way that can't work (exit 2)."""

    exit_status = ExitStatus.USAGE


class VerificationRefused(WatchwordError):
    """Platform, policy, measurement or report did not verify (exit 3). Nothing secret was sent."""

    exit_status = ExitStatus.REFUSED


class HostError(WatchwordError):
    """The host is out of reach, or does not behave as a host must (exit 4)."""

    exit_status = ExitStatus.HOST


class VaultError(WatchwordError):
    """A vault or keyring problem (exit 5)."""

    exit_status = ExitStatus.VAULT


class BadInput(WatchwordError):
    """A file or value that can't be used (exit 6); ``field`` names which one.

    The field is part of ``details`` and of the title, so that a person with ten
    arguments on the line knows which of them is meant.
    """

    exit_status = ExitStatus.BAD_INPUT

    def __init__(
        self,
        code: str,
        field: str,
        message: str,
        remedy: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(
            code, f"Can't use {field}", message, remedy, {"field": field, **(details or {})}
        )
        self.field = field


class AnswerPending(WatchwordError):
    """Somebody has to do something first (exit 9): a normal outcome, not a failure."""

    exit_status = ExitStatus.WAITING


def unexpected(fault: Exception) -> WatchwordError:
    """What a person is told of a bug: where, but neither class names nor data."""
    import traceback  # noqa: PLC0415 - for the rare case

    frames = traceback.extract_tb(fault.__traceback__)
    file = frames[-1].filename.rpartition("/")[2] if frames else ""
    where = f"{file}:{frames[-1].lineno}" if frames else "unknown"
    return WatchwordError(
        "unexpected",
        "Something unexpected happened",
        f"This is a fault of Watchword's, at {where}.",
        "Report it with the command that you typed, without any secrets.",
        {"where": where},
    )
