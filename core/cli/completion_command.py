# SPDX-License-Identifier: Apache-2.0
"""``watchword completion``: prints what a shell needs to complete the command line."""

from __future__ import annotations

import argparse

from ... import resources
from .command import Parser, Subparsers, add_command
from .output import Console, Result

SHELLS = {
    "bash": "completion/watchword.bash",
    "zsh": "completion/_watchword",
    "fish": "completion/watchword.fish",
}
"""Shells and their files in the resources, written by .ci/shell_files.py."""


def declare(subparsers: Subparsers[Parser]) -> None:
    """Add ``completion``."""
    parser = add_command(
        subparsers,
        "completion",
        summary="print what a shell needs to complete the words of Watchword's command line",
        example="watchword completion bash > ~/.local/share/bash-completion/completions/watchword",
        run=_completion,
    )
    parser.add_argument("shell", choices=tuple(SHELLS), help="whose language to print it in")


def _completion(arguments: argparse.Namespace, console: Console) -> Result:
    del console
    text = resources.read_bytes(SHELLS[arguments.shell]).decode("utf-8")
    return Result({"shell": arguments.shell, "script": text}, tuple(text.splitlines()))
