# SPDX-License-Identifier: Apache-2.0
"""Rules that every source file keeps: licence line, docstring, no stray exits, short functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "gui", "resources", "tests", ".ci")

LONGEST_FUNCTION = 80
LONGEST_OF_NINE_IN_TEN = 30


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def stray_exits(tree: ast.Module) -> Iterator[str]:
    """Calls that belong to the command line alone: print, sys.exit and their like."""
    for node in ast.walk(tree):
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if name in ("print", "sys.exit", "os._exit", "exit", "quit", "SystemExit"):
            yield f"line {node.lineno}: {name}"


def function_lengths(*folders: str) -> dict[str, int]:
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in sources(*folders)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_begins_with_its_licence_and_says_what_it_is_for(folder: str) -> None:
    lacking = []
    for path in sources(folder):
        text = path.read_text(encoding="utf-8")
        header = text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
        if not header or not ast.get_docstring(ast.parse(text)):
            lacking.append(str(path.relative_to(ROOT)))
    assert lacking == []


def test_the_core_leaves_printing_and_exiting_to_the_command_line() -> None:
    found = [
        f"{path.relative_to(ROOT)} {exit_}"
        for path in sources("core")
        if path.relative_to(ROOT).parts[1] not in ("cli", "__main__.py")
        for exit_ in stray_exits(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code", ["print(1)", "import sys\nsys.exit(1)", "raise SystemExit(1)", "f(on_done=print)"]
)
def test_a_stray_exit_is_caught(code: str) -> None:
    assert len(list(stray_exits(ast.parse(code)))) == 1


def test_no_rule_rests_on_an_assert_that_python_can_leave_out() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("core", "gui", "resources")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_no_function_is_too_long_to_read() -> None:
    lengths = function_lengths("core", "gui", "resources")
    assert [name for name, length in lengths.items() if length > LONGEST_FUNCTION] == []


def test_nine_functions_in_ten_fit_on_a_screen() -> None:
    lengths = sorted(function_lengths("core", "gui", "resources").values())
    assert lengths[len(lengths) * 9 // 10] <= LONGEST_OF_NINE_IN_TEN
