# SPDX-License-Identifier: Apache-2.0
"""``watchword launch show ID --explain``: a second opinion on each step, for sceptics."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ..launch.profile_plan import recorded_profile
from ..launch.second_opinion import Opinion, second_opinions
from ..launch.store import LaunchStore
from ..records.database import Records, records_folder
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Result

_OPTION = "--out"


def explain_launch(arguments: argparse.Namespace) -> Result:
    """What can be checked of a launch by others' tools; needs no vault, and tells no secret."""
    with Records.open(records_folder()) as records:
        store = LaunchStore(records)
        record = store.load(arguments.id).record
        sealed = None if record.packet is None else store.packet(record.id, record.packet.sha256)
    packet = None if sealed is None else sealed.header + sealed.ciphertext
    opinions = second_opinions(record, recorded_profile(record), packet)
    written: list[str] = []
    if arguments.out is not None:
        written = _write(Path(arguments.out), opinions)
    payload = {
        "launch": record.id,
        "state": record.state.value,
        "steps": [opinion.as_json() for opinion in opinions],
        "files": written,
    }
    return Result(payload, tuple(_lines(opinions, written)))


def _write(folder: Path, opinions: tuple[Opinion, ...]) -> list[str]:
    files = {name: data for opinion in opinions for name, data in opinion.files.items()}
    paths = {name: folder / name for name in files}
    refuse_existing(paths.values(), _OPTION, "Name a new folder.")
    write_new_files([NewFile(paths[name], data, _OPTION) for name, data in files.items()])
    return [str(path) for path in paths.values()]


def _lines(opinions: tuple[Opinion, ...], written: list[str]) -> Iterator[str]:
    if not opinions:
        yield "No step of this launch is recorded yet."
    for opinion in opinions:
        yield f"{opinion.title}:"
        yield from (f"  {sentence}" for sentence in opinion.sentences if sentence)
        for check in opinion.checks:
            yield f"  $ {check.command}"
            yield f"    {check.expected}    ({check.tool})"
        yield ""
    if written:
        yield f"Wrote {len(written)} files; run the commands in their folder."
    elif any(opinion.files for opinion in opinions):
        yield "With --out DIR the files are written that the commands read."
