# SPDX-License-Identifier: Apache-2.0
"""Writes what a host needs to start a launch's VM, into a folder of the launch's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..files import make_folder, write_file
from ..hosts.exchange_start import start_files
from .fleet import FleetLaunch

if TYPE_CHECKING:
    from ..hosts.protocol import StartOrder

_FIELD: Final = "the folder for what the host is given (out)"
_BY_HAND: Final = ("README.txt", "ask.qmp")
"""These are about carrying answers back by hand."""


def start_values(planned: FleetLaunch) -> Mapping[str, str]:
    """What the placeholders of a start command stand for."""
    return {
        "name": planned.name,
        "number": planned.number,
        "host": planned.host,
        "out": str(planned.folder),
        "policy": f"{planned.profile.policy.value:#x}",
        "godh": str(planned.folder / "godh.b64"),
        "session": str(planned.folder / "session.b64"),
    }


def write_host_files(planned: FleetLaunch, launch_id: str, order: StartOrder) -> Path:
    """Write GODH, launch blob and the texts that say how to use them; the folder that has them.

    They are the files that `watchword launch prepare` writes; those of an earlier launch are
    replaced. Nothing in them is secret. Raises BadInput ``bad-folder`` or ``file-not-written``.
    """
    make_folder(planned.folder, _FIELD)
    for name, content in start_files(launch_id, order, None, planned.host).items():
        if name not in _BY_HAND:
            write_file(planned.folder / name, content, field=_FIELD)
    return planned.folder
