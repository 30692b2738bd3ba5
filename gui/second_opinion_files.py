# SPDX-License-Identifier: Apache-2.0
"""Second opinions on recorded launches, read and saved as ``launch show --explain`` does. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from watchword.core.cli.new_files import NewFile, refuse_existing, write_new_files
from watchword.core.launch.profile_plan import recorded_profile
from watchword.core.launch.second_opinion import Opinion, second_opinions
from watchword.core.launch.store import LaunchStore
from watchword.core.records.database import Records, records_folder

_FOLDER: Final = "the folder"


def opinions_on(launch_id: str) -> tuple[Opinion, ...]:
    """For each recorded step what others' tools can check; blocks. Raises BadInput."""
    with Records.open(records_folder()) as records:
        store = LaunchStore(records)
        record = store.load(launch_id).record
        sealed = None if record.packet is None else store.packet(record.id, record.packet.sha256)
    packet = None if sealed is None else sealed.header + sealed.ciphertext
    return second_opinions(record, recorded_profile(record), packet)


def save_new_files(folder: str, files: Mapping[str, bytes]) -> str:
    """Write files for their owner alone, all of them or none; gives the folder back. Blocks.

    Raises BadInput ``file-exists`` where one is there already, ``bad-folder`` and
    ``file-not-written``.
    """
    made = [NewFile(Path(folder) / name, data, _FOLDER) for name, data in files.items()]
    refuse_existing([file.path for file in made], _FOLDER, "Choose an empty folder.")
    write_new_files(made)
    return folder
