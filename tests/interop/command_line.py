# SPDX-License-Identifier: Apache-2.0
"""Watchword's command line as tests call it: in this process, with its JSON read."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from watchword.core.cli import main as command_line

from .verdicts import Verdict

_VERDICTS = {
    0: Verdict.ACCEPTED,
    2: Verdict.UNUSABLE,
    3: Verdict.REFUSED,
    6: Verdict.UNUSABLE,
    8: Verdict.ACCEPTED,  # a weak policy was waived, which every test of a peer's flow needs
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Exit status and JSON of a command."""

    status: int
    payload: dict = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """The verdict; exit statuses that no comparison may end in have none."""
        return _VERDICTS[self.status]

    @property
    def code(self) -> str | None:
        """The error's code, None without an error."""
        return self.payload.get("error", {}).get("code")

    def good(self) -> dict:
        """The JSON of a command that must have succeeded."""
        assert self.verdict is Verdict.ACCEPTED, self.payload
        return self.payload


def _nothing(*_: object) -> None:
    """Instead of what changes the process."""


def watchword(*words: str | Path) -> Answer:
    """Run a command with ``--json``.

    The process is left as it is: hardening it, and taking over SIGTERM, is for a process
    that does nothing else.
    """
    said = io.StringIO()
    with (
        mock.patch.object(command_line, "harden_process", new=_nothing),
        mock.patch.object(command_line.signal, "signal", new=_nothing),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        status = command_line.main([str(word) for word in words] + ["--json"])
    return Answer(status, json.loads(said.getvalue()))
