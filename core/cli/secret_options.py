# SPDX-License-Identifier: Apache-2.0
"""The options that name secrets, and how these are read: from files, stdin or descriptors."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
from collections.abc import Callable, Iterator

from ..errors import BadInput, UsageError
from ..files import read_secret
from ..launch.sev_plan import SecretOrder
from ..secret import Secret
from ..sev.secret_table import KVM_LIMIT, Route, parse_secret_name
from .secret_input import ask, read_descriptor

_STDIN = "--secret (stdin)"
# What a shell writes for <(…) is a descriptor by another name, and no regular file.
_DESCRIPTOR = re.compile(r"(?:fd:|/dev/fd/|/proc/self/fd/)([0-9]{1,9})", re.ASCII)


def add_secret_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """``--secret``, ``--test-secret`` and ``--route``."""
    group = parser.add_argument_group("secrets")
    group.add_argument(
        "--secret",
        metavar="NAME=FILE",
        action="append",
        default=[],
        required=required,
        help="a GUID or name (disk-passphrase, …) and the file with the secret;"
        " - for stdin, fd:N for a file descriptor; may be repeated",
    )
    group.add_argument(
        "--test-secret",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="a secret of no worth, the only kind for a platform that is not proven",
    )
    group.add_argument(
        "--route",
        choices=[route.value for route in Route],
        help="who reads the disk passphrase: grub wants a NUL after it; default: kernel"
        " where a kernel is measured, else grub",
    )


def load_secret_orders(arguments: argparse.Namespace) -> tuple[SecretOrder, ...]:
    """The secrets that the options name; nothing is read yet."""
    named = [(text, False) for text in arguments.secret]
    named += [(text, True) for text in arguments.test_secret]
    return tuple(_secret_order(text, test=test) for text, test in named)


def chosen_route(arguments: argparse.Namespace, *, direct_boot: bool) -> Route:
    """The route that was named, or the one that what is measured suggests."""
    if arguments.route is not None:
        return Route(arguments.route)
    return Route.KERNEL if direct_boot else Route.GRUB


def _secret_order(text: str, *, test: bool) -> SecretOrder:
    name, equals, source = text.partition("=")
    if not equals or not source:
        raise UsageError(
            "bad-secret-option",
            "Can't read --secret",
            "It takes NAME=FILE.",
            "Write --secret disk-passphrase=FILE; the secret itself never goes there.",
        )
    return SecretOrder(name, parse_secret_name(name), _loader(source), test)


def _loader(source: str) -> Callable[[], Secret]:
    if source in ("-", "/dev/stdin"):
        return _read_stdin
    if (descriptor := _DESCRIPTOR.fullmatch(source)) is not None:
        number = int(descriptor[1])
        return lambda: _read_descriptor(number, f"--secret ({source})")
    return lambda: _read_file(source)


def _read_file(source: str) -> Secret:
    """The secret in a file; the name is not repeated, for it may be the secret itself."""
    try:
        return read_secret(source, "--secret", limit=KVM_LIMIT)
    except BadInput as error:
        what = error.message.replace(source, "What follows NAME=")
        raise BadInput(
            error.code,
            "--secret",
            what,
            "It takes NAME=FILE, the file that holds the secret; `-` reads stdin.",
        ) from None


def _read_stdin() -> Secret:
    """All of stdin; a person at a terminal is asked, and what he types is not shown."""
    if sys.stdin is None:
        raise _nothing_to_read(_STDIN)
    if not sys.stdin.isatty():
        return _read_descriptor(sys.stdin.fileno(), _STDIN)
    with _interruptible():
        typed = ask("Secret (not shown)")
    if typed is None:
        raise _nothing_to_read(_STDIN)
    return typed


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a read at once.

    While asyncio runs, its handler only marks the task, which is noticed at the next
    await: a read that blocks has none. What was marked before the read counts too.
    """
    import asyncio  # noqa: PLC0415 - only for what blocks

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.suppress(RuntimeError):  # no loop runs
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise KeyboardInterrupt
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _read_descriptor(descriptor: int, field: str) -> Secret:
    """All that comes from a descriptor, at most what a packet can carry, byte for byte."""
    with _interruptible():
        return read_descriptor(descriptor, field, KVM_LIMIT)


def _nothing_to_read(field: str) -> BadInput:
    return BadInput(
        "descriptor-unreadable",
        field,
        "Nothing can be read from it.",
        "Open it for reading in the calling process, and keep it open.",
    )
