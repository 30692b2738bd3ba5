# SPDX-License-Identifier: Apache-2.0
"""Writes what a host needs to start a prepared launch's VM into a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput
from .new_files import NewFile, refuse_existing, write_new_files
from .pasteable import pasteable

if TYPE_CHECKING:
    import argparse

    from ..launch.launch_run import LaunchRun

_OPTION = "--out"
_OTHER = "Name a new folder, or remove the old files."
_LEFT_OUT = ("README.txt", "ask.qmp")
"""These are about carrying answers back by hand."""


def refuse_taken_folder(folder: Path) -> None:
    """BadInput ``file-exists`` for a folder that holds another launch's files already."""
    refuse_existing([folder / "godh.b64", folder / "session.b64"], _OPTION, _OTHER)


def write_host_files(folder: Path, run: LaunchRun) -> dict[str, str]:
    """GODH, launch blob, QEMU options and libvirt's element; their paths by name.

    Raises BadInput ``file-exists``, ``bad-folder``, ``file-not-written`` or
    ``launch-not-prepared``.
    """
    from ..hosts.exchange_start import start_files  # noqa: PLC0415 - only where they are written

    order = run.start_order
    if order is None:
        raise _not_prepared(run.id)
    made = start_files(run.id, order, None, run.record.host)
    files = {name: folder / name for name in made if name not in _LEFT_OUT}
    refuse_existing(files.values(), _OPTION, _OTHER)
    write_new_files([NewFile(path, made[name], _OPTION) for name, path in files.items()])
    return {name: str(path) for name, path in files.items()}


def not_given(arguments: argparse.Namespace, launch_id: str, problem: BadInput) -> BadInput:
    """The error for a launch that is prepared, while its files could not be written."""
    again = pasteable(arguments, "launch", "show", launch_id, "--out", f"{launch_id}-start")
    return BadInput(
        problem.code,
        problem.field,
        problem.message,
        f"The launch is prepared all the same. Make room or permission, and write them: `{again}`.",
        dict(problem.details),
    )


def _not_prepared(launch_id: str) -> BadInput:
    return BadInput(
        "launch-not-prepared",
        _OPTION,
        f"Launch {launch_id} has no launch blob yet.",
        f"Take it on first: `watchword launch resume {launch_id}`.",
    )
