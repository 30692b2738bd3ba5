# SPDX-License-Identifier: Apache-2.0
"""``watchword vault``: where secrets rest, and the commands over what is in it."""

from __future__ import annotations

import argparse
import base64
import sys

from ..errors import BadInput, UsageError
from ..files import read_secret
from ..secret import Secret
from ..vault.entries import (
    LARGEST_VALUE,
    EntryInfo,
    EntryKind,
    generate_disk_passphrase,
    parse_kind,
)
from .command import Parser, Subparsers, add_command, add_group, whole_number
from .output import Console, Result, table
from .secret_input import ask_twice, read_descriptor
from .vault_key_commands import declare_key_commands
from .vault_options import add_vault_options, opened_vault

_GENERATED = (
    EntryKind.DISK_SECRET,
    EntryKind.GUEST_SECRET,
    EntryKind.TEST_SECRET,
    EntryKind.RECOVERY,
)
_REMAINS = (
    "Backups and snapshots of the vault file that were made before still hold what was erased;"
    " they open with the key, passphrase or recovery code of their time."
)


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``vault init|status|list|add|generate|show|remove|rotate|recovery|restore``."""
    group = add_group(subparsers, "vault", "keep secrets, and the keys of launches")
    declare_key_commands(group)
    listing = add_command(
        group,
        "list",
        summary="list names, kinds and times of the entries; no secret",
        example="watchword vault list",
        run=_list,
    )
    add_vault_options(listing)
    _declare_add(group)
    _declare_generate(group)
    _declare_show(group)
    remove = add_command(
        group,
        "remove",
        summary="erase entries; copies of the vault file made before still hold them",
        example="watchword vault remove web1/disk",
        run=_remove,
    )
    remove.add_argument("names", metavar="NAME", nargs="+")
    add_vault_options(remove)


def _declare_add(group: Subparsers[Parser]) -> None:
    add = add_command(
        group,
        "add",
        summary="store a secret from stdin, a file, a descriptor or a prompt, byte for byte",
        example="watchword vault add web1/disk --from-file passphrase",
        run=_add,
    )
    add.add_argument("name", metavar="NAME", help="such as web1/disk; never the secret itself")
    _add_kind_option(add, tuple(EntryKind))
    source = add.add_mutually_exclusive_group()
    source.add_argument("--from-file", metavar="FILE", help="the file that holds the secret")
    source.add_argument("--from-fd", type=whole_number, metavar="N", help="read descriptor N")
    add.add_argument(
        "--strip-newline", action="store_true", help="leave out one newline at the end"
    )
    _add_replace_option(add)
    add_vault_options(add)


def _declare_generate(group: Subparsers[Parser]) -> None:
    generate = add_command(
        group,
        "generate",
        summary="make a disk passphrase, 33 random bytes in base64 without newline, and store it",
        example="watchword vault generate web1/disk",
        run=_generate,
    )
    generate.add_argument("name", metavar="NAME", help="such as web1/disk")
    _add_kind_option(generate, _GENERATED)
    _add_replace_option(generate)
    add_vault_options(generate)


def _declare_show(group: Subparsers[Parser]) -> None:
    show = add_command(
        group,
        "show",
        summary="write a secret to stdout, byte for byte and nothing else",
        example="watchword vault show web1/disk --reveal | cryptsetup open disk.img web1 -d -",
        run=_show,
    )
    show.add_argument("name", metavar="NAME")
    show.add_argument("--reveal", action="store_true", help="yes, the secret itself")
    add_vault_options(show)


def _add_kind_option(parser: argparse.ArgumentParser, kinds: tuple[EntryKind, ...]) -> None:
    parser.add_argument(
        "--kind",
        choices=[kind.value for kind in kinds],
        default=EntryKind.DISK_SECRET.value,
        help="what it is for, default disk-secret; test-secret: of no worth",
    )


def _add_replace_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replace", action="store_true", help="give an entry that exists a new value"
    )


def _list(arguments: argparse.Namespace, console: Console) -> Result:
    with opened_vault(arguments, console) as vault:
        entries = vault.list()
    rows = [(entry.name, f"{entry.kind.value:14} {entry.created}") for entry in entries]
    lines = table(rows, indent="") or ("The vault is empty.",)
    return Result({"entries": [entry.as_json() for entry in entries]}, lines)


def _add(arguments: argparse.Namespace, console: Console) -> Result:
    value = _read_value(arguments)
    try:
        size = len(value)
        ends_with_newline = _ends_with_newline(value)
        with opened_vault(arguments, console) as vault:
            kind = parse_kind(arguments.kind)
            info = vault.add(arguments.name, kind, value, replace=arguments.replace)
    finally:
        value.wipe()
    if ends_with_newline and info.kind in (EntryKind.DISK_SECRET, EntryKind.RECOVERY):
        console.note(
            "warning: the secret ends with a newline, which is part of it. If that came from an"
            " editor or from echo, the disk won't unlock: add it again with --strip-newline"
            " --replace."
        )
    return _stored(info, size)


def _generate(arguments: argparse.Namespace, console: Console) -> Result:
    value = generate_disk_passphrase()
    try:
        size = len(value)
        with opened_vault(arguments, console) as vault:
            kind = parse_kind(arguments.kind)
            info = vault.add(arguments.name, kind, value, replace=arguments.replace)
    finally:
        value.wipe()
    return _stored(info, size)


def _stored(info: EntryInfo, size: int) -> Result:
    line = f"Stored {info.name} ({info.kind.value}), {size} bytes."
    return Result({**info.as_json(), "size": size}, (line,))


def _show(arguments: argparse.Namespace, console: Console) -> Result:
    if not arguments.reveal:
        raise UsageError(
            "reveal-needed",
            "The secret is not shown just like that",
            "It would be on the screen, or wherever stdout goes.",
            "If that is what you want, say --reveal.",
        )
    with opened_vault(arguments, console) as vault:
        info, value = vault.info(arguments.name), vault.get(arguments.name)
    try:
        if info.kind is EntryKind.TRANSPORT_KEY:
            _record_export(info, console)
        if not console.as_json:
            _write_raw(value, console)
            return Result({}, ())
        with value.reveal() as view:
            encoded = base64.b64encode(view).decode()
        return Result({**info.as_json(), "size": len(value), "value_base64": encoded}, ())
    finally:
        value.wipe()


def _record_export(info: EntryInfo, console: Console) -> None:
    """TEK and TIK never leave without a trace, nor without a word."""
    from .exported_keys import exported_from_vault, record_exported_keys  # noqa: PLC0415

    launch_id, body = exported_from_vault(info.name, "stdout")
    record_exported_keys(body, launch_id)
    console.note(
        "warning: whoever has this key and the packet can take the secret; the ledger notes that"
        " it was shown."
    )


def _write_raw(value: Secret, console: Console) -> None:
    """The bytes to stdout, and nothing after them; a reader that has gone away lost nothing."""
    try:
        with value.reveal() as view:
            sys.stdout.buffer.write(view)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass
    except OSError:
        console.output_lost = True


def _remove(arguments: argparse.Namespace, console: Console) -> Result:
    names = list(dict.fromkeys(arguments.names))
    with opened_vault(arguments, console) as vault:
        vault.remove(*names)
    lines = (
        f"Erased {', '.join(names)}.",
        _REMAINS,
    )
    return Result({"removed": names}, lines)


def _read_value(arguments: argparse.Namespace) -> Secret:
    value = _read_source(arguments)
    if not arguments.strip_newline:
        return value
    try:
        with value.reveal() as view:
            return Secret(view[: len(view) - _ends_with_newline(value)])
    finally:
        value.wipe()


def _ends_with_newline(value: Secret) -> bool:
    with value.reveal() as view:
        return len(view) > 0 and view[-1] == ord("\n")


def _read_source(arguments: argparse.Namespace) -> Secret:
    if arguments.from_file is not None:
        return read_secret(arguments.from_file, "--from-file", LARGEST_VALUE)
    if arguments.from_fd is not None:
        return read_descriptor(arguments.from_fd, "--from-fd", LARGEST_VALUE)
    if sys.stdin is not None and not sys.stdin.isatty():
        return read_descriptor(sys.stdin.fileno(), "stdin", LARGEST_VALUE)
    typed = ask_twice(f"Secret for {arguments.name} (not shown)")
    if typed is None:
        raise BadInput(
            "descriptor-unreadable",
            "stdin",
            "There is nothing to read, and no terminal to ask at.",
            "Give the secret on stdin, or with --from-file or --from-fd.",
        )
    return typed
