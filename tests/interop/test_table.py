# SPDX-License-Identifier: Apache-2.0
"""docs/interop.md is whole: every row has a number, and every row has a test that gives it."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from .mutations import KNOWN_DIFFERENCES
from .rows import AGREEMENTS, DIFFERENCES
from .table import DOCUMENT, REMEDY, WRITE, Counts, counts_in, render, versions_in
from .verdicts import Verdict


@pytest.fixture
def document() -> str:
    if os.environ.get(WRITE):
        pytest.skip("the document is being written")
    return DOCUMENT.read_text(encoding="utf-8")


def test_it_is_what_the_tests_write_from_its_own_numbers(document: str) -> None:
    counts = counts_in(document)
    assert counts.keys() == AGREEMENTS.keys() | DIFFERENCES.keys(), REMEDY
    assert render(counts, versions_in(document)) == document, REMEDY


def counted_in_tests() -> set[str]:
    """The rows that tests name, literally or by a list that they go through."""
    keys = {f"verdict-{verdict.value}" for verdict in Verdict} | set(KNOWN_DIFFERENCES)
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("agree", "differ"):
                keys |= _names(node.args[0])
    return keys


def _names(argument: ast.expr) -> set[str]:
    """A literal key, or a key for each tool."""
    if isinstance(argument, ast.Constant):
        return {argument.value}
    if isinstance(argument, ast.JoinedStr) and ast.unparse(argument).endswith("{tool}'"):
        return {f"{argument.values[0].value}{tool}" for tool in ("sev-tool", "sevctl")}
    return set()


def test_every_row_has_a_test_and_every_count_a_row() -> None:
    assert counted_in_tests() == AGREEMENTS.keys() | DIFFERENCES.keys()


def test_a_number_that_the_document_does_not_have_fails_the_test_that_gives_it(
    document: str,
) -> None:
    counts = Counts()
    right = counts_in(document)["validate-sev"]
    counts.agree("validate-sev", right)
    with pytest.raises(AssertionError, match=WRITE):
        counts.agree("validate-sev", right + 1)
    with pytest.raises(AssertionError, match="nothing was compared"):
        counts.agree("validate-sev", 0)
