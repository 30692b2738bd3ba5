# SPDX-License-Identifier: Apache-2.0
"""``--form``: writes what a command made under the names and in the coding of another program."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Mapping, Sequence

from ..errors import UsageError
from ..secret import Secret

TYPE_CHECKING = False  # without importing typing, which takes 3 ms
if TYPE_CHECKING:
    from pathlib import Path

    from ..sev.peer_files import LaunchFiles
    from ..sev.peer_forms import OutputFile
    from .new_files import NewFile

# As in sev.peer_forms, which a command without --form needn't import; a test compares them.
FORMS = (
    *("sev-tool", "sev-tool-zip", "sevctl", "sevctl-full"),
    *("qemu", "libvirt", "virtctl", "json", "amd"),
)
_OTHER = "Choose other names or another folder, or remove the old files."


def add_form_option(parser: argparse._ActionsContainer, what: str) -> None:
    """``--form``."""
    parser.add_argument(
        "--form",
        metavar="FORM",
        choices=FORMS,
        help=f"write {what} as another program names and codes it: {', '.join(FORMS)}",
    )


def check_file_name(name: str) -> None:
    """UsageError ``bad-name`` for what can't begin the name of a file."""
    if not name or name.startswith((".", "-")) or any(c in name for c in "/\\\0"):
        raise UsageError(
            "bad-name",
            "Can't use --name",
            f"“{name}” can't begin the name of a file.",
            "Use letters, digits, dots and hyphens, such as vm1.",
        )


def in_form(form: str, files: LaunchFiles, name: str) -> tuple[OutputFile, ...]:
    """The files of a form; raises UsageError ``nothing-to-convert``."""
    from ..sev.peer_forms import Form, files_of_form  # noqa: PLC0415 - for --form alone

    return files_of_form(Form(form), files, name)


def write_in_form(
    outputs: Sequence[OutputFile],
    places: Mapping[bool, tuple[Path, str]],
    beside: Sequence[NewFile] = (),
) -> dict[str, str]:
    """Write the files, keys first, all or none; their paths by what is in them.

    ``places`` has the folder for keys (True) and that for all else (False), each with the option
    that named it; ``beside`` are written first. Raises BadInput as write_new_files and
    refuse_existing do.
    """
    from .new_files import NewFile, refuse_existing, write_new_files  # noqa: PLC0415 - for --form

    ordered = sorted(outputs, key=lambda output: not isinstance(output.data, Secret))
    paths: dict[str, str] = {}
    with contextlib.ExitStack() as lent:
        files = [*beside]
        for output in ordered:
            folder, option = places[isinstance(output.data, Secret)]
            data = output.data
            view = lent.enter_context(data.reveal()) if isinstance(data, Secret) else data
            files.append(NewFile(folder / output.name, view, option))
            paths[_label(output, outputs)] = str(folder / output.name)
        refuse_existing((file.path for file in files), "--out", _OTHER)
        write_new_files(files)
    return paths


def wipe_outputs(outputs: Iterable[OutputFile]) -> None:
    """Erase the keys among the files."""
    for output in outputs:
        if isinstance(output.data, Secret):
            output.data.wipe()


def _label(output: OutputFile, outputs: Sequence[OutputFile]) -> str:
    """What a file holds; its name where two files hold the same."""
    alike = sum(other.parts == output.parts for other in outputs)
    return "-".join(output.parts) if alike == 1 else output.name
