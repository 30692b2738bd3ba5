# SPDX-License-Identifier: Apache-2.0
"""Writes what shells and man know of the command line, from its own parser.

Usage: .venv/bin/python .ci/shell_files.py [FOLDER]

FOLDER is resources/ by default; the files go to its folders completion/ and man/.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Final

import shtab

from watchword.core.cli.completion_command import SHELLS
from watchword.core.cli.main import COMMANDS, build_parser

sys.path.insert(0, str(Path(__file__).resolve().parent))
from man_pages import man_page

ROOT: Final = Path(__file__).resolve().parent.parent

_NAMES_A_FILE: Final = ("FILE", "FLEET.toml", "WATCH.toml", "PATH")
_NAMES_A_FOLDER: Final = ("DIR", "FOLDER")


def whole_parser() -> argparse.ArgumentParser:
    """The parser with every command in it; the program itself only loads the one it needs."""
    parser = build_parser(())
    words = _subparsers(parser)
    words._name_parser_map.clear()
    words._choices_actions.clear()
    for word in COMMANDS:
        importlib.import_module(f"watchword.core.cli.{word}_command").declare(words)
    return parser


def _subparsers(parser: argparse.ArgumentParser) -> argparse._SubParsersAction:
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Tell which words are names of files and folders, by what their help calls them."""
    for action in parser._actions:
        shown = " ".join(action.metavar or ()) if isinstance(action.metavar, tuple) else None
        name = shown or action.metavar or ""
        if name.endswith(_NAMES_A_FILE) or name.startswith("FILE"):
            action.complete = shtab.FILE
        elif name.endswith(_NAMES_A_FOLDER):
            action.complete = shtab.DIRECTORY
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_files(below)


def shell_files() -> dict[str, str]:
    """The text of each file by its name below the folder."""
    parser = whole_parser()
    _complete_files(parser)
    texts = {
        name: f"# SPDX-License-Identifier: Apache-2.0\n{shtab.complete(parser, shell)}".rstrip()
        for shell, name in SHELLS.items()
    }
    # zsh wants its own mark in the first line.
    zsh = texts[SHELLS["zsh"]].split("\n")
    texts[SHELLS["zsh"]] = "\n".join([zsh[1], zsh[0], *zsh[2:]])
    batch = build_parser(("--batch",))
    texts["man/watchword.1"] = man_page(parser, see_also=[f"watchword-{w}" for w in COMMANDS])
    texts["man/watchword-batch.1"] = man_page(batch, name="watchword --batch")
    watch = build_parser(("--watch",))
    texts["man/watchword-watch.1"] = man_page(watch, name="watchword --watch")
    for word, below in _subparsers(parser).choices.items():
        texts[f"man/watchword-{word}.1"] = man_page(below, summary=COMMANDS[word])
    return {name: f"{text.rstrip()}\n" for name, text in texts.items()}


def main() -> int:
    """Write all files; what no command has any more is deleted."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "resources"
    texts = shell_files()
    for below in ("completion", "man"):
        (folder / below).mkdir(parents=True, exist_ok=True)
        for old in (folder / below).iterdir():
            if f"{below}/{old.name}" not in texts:
                old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(texts)} files in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
