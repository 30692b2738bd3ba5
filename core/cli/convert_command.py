# SPDX-License-Identifier: Apache-2.0
"""``watchword convert``: the files of a launch in the forms and names that other tools expect."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..base64_text import decode_base64, refuse_pem
from ..errors import BadInput, UsageError
from ..files import read_file, read_secret
from ..secret import Secret
from ..sev.certificates import AmdCertificate
from ..sev.chain_files import LARGEST_FILE
from ..sev.peer_files import (
    GivenFile,
    RecognisedFiles,
    is_key_size,
    is_text,
    recognise_files,
)
from ..sev.peer_forms import Form, OutputFile, as_base64, cautions, files_of_form, left_out
from ..sev.peer_names import Kind
from .command import Parser, Subparsers, add_command, whole_number
from .exported_keys import exported_copy, record_exported_keys
from .new_files import NewFile, refuse_existing, write_new_files
from .output import Console, Result, table
from .peer_folder import with_folders
from .peer_output import check_file_name

_RAW, _BASE64 = "raw", "base64"
_ONE_BY_ONE = (_RAW, _BASE64)
_FORMS = (*_ONE_BY_ONE, *(form.value for form in Form))
_KEY_WARNING = "To keep to yourself; whoever has them and the packet can take the secret:"


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``convert``."""
    convert = add_command(
        subparsers,
        "convert",
        summary="write certificates, launch material and packets as other tools expect them",
        example="watchword convert godh.cert launch_blob.bin tmp_tk.bin --to sevctl --name vm1"
        " --out .",
        run=_convert,
    )
    convert.add_argument(
        "files",
        nargs="+",
        metavar="IN",
        help="files in any form, told apart by content, size and name; a folder with the files"
        " of another program; or KIND=FILE, where KIND"
        f" is one of {', '.join(kind.value for kind in Kind)}",
    )
    convert.add_argument(
        "--to",
        metavar="FORM",
        required=True,
        choices=_FORMS,
        help=f"{', '.join(_FORMS)}; raw and base64 take each file by itself",
    )
    convert.add_argument("--out", metavar="DIR", required=True, help="where to write")
    convert.add_argument(
        "--name", metavar="N", default="vm", help="how the files' names begin, default vm"
    )
    convert.add_argument(
        "--wrap",
        metavar="N",
        type=whole_number,
        default=0,
        help="break base64 into lines of N characters",
    )


def _convert(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    _check_options(arguments)
    if arguments.to in _ONE_BY_ONE:
        recoded = _recoded(arguments)
        _write_all(arguments.out, recoded)
        return _result(arguments, recoded, None)
    given = with_folders(arguments.files, "IN")
    recognised = recognise_files(_given(text) for text in given)
    outputs: tuple[OutputFile, ...] = ()
    try:
        form = Form(arguments.to)
        outputs = files_of_form(form, recognised.files, arguments.name, arguments.wrap)
        _write_all(arguments.out, outputs)
        return _result(arguments, outputs, recognised)
    finally:
        recognised.files.wipe()
        for output in outputs:
            if isinstance(output.data, Secret):
                output.data.wipe()


def _check_options(arguments: argparse.Namespace) -> None:
    check_file_name(arguments.name)
    if not (arguments.wrap == 0 or 4 <= arguments.wrap <= 1000):
        raise UsageError(
            "bad-wrap",
            "Can't use --wrap",
            "Lines of base64 have 4 to 1000 characters.",
            "Leave it out for one line, or give 64 or 76 as other tools do.",
        )


def _given(text: str) -> GivenFile:
    """A file as it was named, perhaps with its kind in front; keys are read as a Secret."""
    kind, path = _split_kind(text)
    if _size_of(path) is not None and is_key_size(_size_of(path) or 0):
        return GivenFile(path, read_secret(path, f"IN {path}", LARGEST_FILE), kind)
    return GivenFile(path, read_file(path, f"IN {path}", LARGEST_FILE), kind)


def _split_kind(text: str) -> tuple[Kind | None, str]:
    word, equals, path = text.partition("=")
    if equals and path and word in set(Kind):
        return Kind(word), path
    return None, text


def _size_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None  # reading it says what is wrong


# -- raw and base64 ----------------------------------------------------------------


def _recoded(arguments: argparse.Namespace) -> tuple[OutputFile, ...]:
    """Each file by itself, in the other coding; what is in it does not matter."""
    outputs = []
    for text in arguments.files:
        _, path = _split_kind(text)
        field = f"IN {path}"
        if is_key_size(_size_of(path) or 0):
            raise BadInput(
                "keys-stay-raw",
                field,
                "It has the size of transport keys, which are kept in binary only.",
                "For sev-tool's and sevctl's forms of keys use --to sev-tool or --to sevctl.",
            )
        data = _decoded(read_file(path, field, LARGEST_FILE), field)
        stem = Path(path).name
        if stem.endswith(".b64"):
            stem = stem.removesuffix(".b64") + _ending(data)
        if arguments.to == _BASE64:
            name = Path(stem).with_suffix(".b64").name
            outputs.append(OutputFile(name, as_base64(data, arguments.wrap), (path,)))
        else:
            outputs.append(OutputFile(stem, data, (path,)))
    return tuple(outputs)


def _decoded(content: bytes, field: str) -> bytes:
    """What base64 text stands for; anything that is no text is binary already."""
    refuse_pem(content, field)
    return decode_base64(content, field, LARGEST_FILE) if is_text(content) else content


def _ending(data: bytes) -> str:
    """``.cert`` for what begins like a certificate in one of AMD's binary forms."""
    is_sev = len(data) % 2084 == 0 and data.startswith(b"\1\0\0\0")
    return ".cert" if is_sev or AmdCertificate.size_at(data) is not None else ".bin"


# -- writing -----------------------------------------------------------------------


def _write_all(out: str, outputs: Sequence[OutputFile]) -> None:
    """Write all files or none, keys too; what is there already is never replaced."""
    names = [output.name for output in outputs]
    if len(set(names)) < len(names):
        raise UsageError(
            "same-name",
            "Two files would have the same name",
            f"In {out} there can be only one of each of: {', '.join(names)}.",
            "Convert them into different folders.",
        )
    folder = Path(out)
    refuse_existing(
        (folder / name for name in names),
        "--out",
        "Choose another folder or --name, or remove the old file.",
    )
    keys = [output.name for output in outputs if isinstance(output.data, Secret)]
    if keys:
        record_exported_keys(exported_copy(folder, keys))
    with contextlib.ExitStack() as lent:
        write_new_files(
            [NewFile(folder / output.name, _lend(output.data, lent), "--out") for output in outputs]
        )


def _lend(data: bytes | Secret, lent: contextlib.ExitStack) -> bytes | memoryview:
    return lent.enter_context(data.reveal()) if isinstance(data, Secret) else data


def _result(
    arguments: argparse.Namespace, outputs: Sequence[OutputFile], recognised: RecognisedFiles | None
) -> Result:
    folder = Path(arguments.out)
    files = [
        {
            "file": str(folder / output.name),
            "parts": list(output.parts),
            "secret": isinstance(output.data, Secret),
        }
        for output in outputs
    ]
    read = recognised.read if recognised is not None else ()
    missing = left_out(recognised.files, outputs) if recognised is not None else ()
    warnings: tuple[str, ...] = ()
    if recognised is not None:
        warnings = (*recognised.warnings, *cautions(Form(arguments.to), recognised.files))
    payload: dict[str, object] = {
        "form": arguments.to,
        "files": files,
        "read": [{"file": name, "kind": kind} for name, kind in read],
        "left_out": list(missing),
        "warnings": list(warnings),
    }
    return Result(payload, (*_describe(folder, outputs), *_afterwards(missing, warnings)))


def _describe(folder: Path, outputs: Sequence[OutputFile]) -> Iterator[str]:
    for heading, secret in (("Wrote:", False), (_KEY_WARNING, True)):
        rows = [
            (str(folder / output.name), ", ".join(output.parts))
            for output in outputs
            if isinstance(output.data, Secret) is secret
        ]
        if rows:
            yield heading
            yield from table(rows)


def _afterwards(missing: Sequence[str], warnings: Sequence[str]) -> Iterator[str]:
    if missing:
        yield f"Left out, for want of a place in that form: {', '.join(missing)}."
    for warning in warnings:
        yield f"warning: {warning}"
