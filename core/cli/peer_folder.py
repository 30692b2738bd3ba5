# SPDX-License-Identifier: Apache-2.0
"""A folder in the place of a file: what other programs left in it, by the names that they use."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..errors import BadInput
from ..sev.peer_names import Kind, kind_by_name

_ENTRIES_MAX = 256
_ENDINGS = (".cert", ".bin", ".b64", ".zip")
_MAC_OF_SEV_TOOL = "calc_measurement_out"


def with_folders(
    paths: Iterable[str], field: str, kinds: Collection[Kind] = frozenset(Kind)
) -> Iterator[str]:
    """The paths, with the known files in a folder in the place of the folder.

    sev-tool has fixed names for its files (``pdh.cert``, ``tmp_tk.bin``, …), sevctl and libvirt
    fixed endings; nothing else in the folder is looked at. One that can't be read stays as it
    is, for whoever reads it to refuse. Raises BadInput ``too-many-files`` or ``file-is-folder``.
    """
    for path in paths:
        yield from _known_in(path, field, kinds) if _is_folder(path) else [path]


def _is_folder(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_dir()
    except (OSError, ValueError):
        return False  # reading it says what is wrong


def _known_in(folder: str, field: str, kinds: Collection[Kind]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for _, entry in zip(range(_ENTRIES_MAX + 1), entries, strict=False)]
    except OSError:
        return [folder]  # reading it says what is wrong
    if len(names) > _ENTRIES_MAX:
        raise BadInput(
            "too-many-files",
            field,
            f"{folder} has more than {_ENTRIES_MAX} files.",
            "Name the files themselves, or a folder that holds those of one launch alone.",
        )
    known = sorted(name for name in names if _is_known(name, kinds))
    if not known:
        raise BadInput(
            "file-is-folder",
            field,
            f"{folder} is a folder, and what is in it has no name that sev-tool, sevctl or libvirt"
            " gives to what is asked for here.",
            "Name the file in it.",
        )
    loose = [name for name in known if not name.endswith(".zip")]
    return [str(Path(folder) / name) for name in loose or known]


def _is_known(name: str, kinds: Collection[Kind]) -> bool:
    """Whether a program named it so: with an ending, not hidden, and not a bare MAC.

    Of texts only virsh's tables: sev-tool's ``secret.txt`` is the secret itself.
    """
    kind = kind_by_name(name)
    endings = (*_ENDINGS, ".txt") if kind in (Kind.CHAIN, Kind.MEASUREMENT) else _ENDINGS
    plain = not name.startswith((".", _MAC_OF_SEV_TOOL)) and name.endswith(endings)
    return plain and kind in kinds
