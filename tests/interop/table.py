# SPDX-License-Identifier: Apache-2.0
"""docs/interop.md: what was compared with other programs, in numbers that the tests give.

Each test that compares something holds the document to its own number, so that the check
works for any selection of tests. The document is written anew, by the tests that run,
with WATCHWORD_WRITE_DOCS=1.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from .rows import AGREEMENTS, DIFFERENCES, NOT_COMPARED, Row

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
WRITE = "WATCHWORD_WRITE_DOCS"
REMEDY = f"If that is meant, write the document anew: {WRITE}=1 ./test tests/interop"
UNKNOWN = "not counted yet"

_HEAD = f"""\
# What was compared with other programs

The numbers come from the tests in `tests/interop`, which fail where this page says another one; \
`{WRITE}=1 ./test tests/interop` writes it anew.
"""
_VERSIONS = "Last written with "
_AGREEMENT = """
## Where they agree

In each case counted here the other program and Watchword gave the same bytes, or the same verdict.

| program | what was compared | cases |
|---|---|---|
"""
_DIFFERENCE = """
## Where they differ

Each of these is known, told from the input before either program is asked, and meant.

| program | case | the other program | Watchword | cases |
|---|---|---|---|---|
"""
_NOT = """
## What was not compared

"""


class Counts:
    """Takes what tests compared, and checks docs/interop.md, or collects for writing it."""

    def __init__(self) -> None:
        self._written = _read()
        self._writing = bool(os.environ.get(WRITE))
        self._found: dict[str, int] = {}

    def agree(self, key: str, count: int) -> None:
        """In so many cases both gave the same."""
        self._take(AGREEMENTS[key], key, count)

    def differ(self, key: str, count: int) -> None:
        """In so many cases they differed as this row says."""
        self._take(DIFFERENCES[key], key, count)

    def write(self) -> None:
        """Write the document if that was asked for; what did not run keeps its number."""
        if not self._writing:
            return
        counts = {**counts_in(self._written), **self._found}
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(render(counts, versions()), encoding="utf-8")

    def _take(self, row: Row, key: str, count: int) -> None:
        assert count > 0, f"{key}: nothing was compared"
        self._found[key] = count
        if not self._writing:
            line = row.line(count)
            assert line in self._written.splitlines(), (
                f"docs/interop.md does not say: {line}\n{REMEDY}"
            )


def render(counts: Mapping[str, int], used: str) -> str:
    """The document with these numbers; ``used`` names the programs' versions."""

    def table(rows: Mapping[str, Row]) -> str:
        lines = (row.line(counts.get(key, UNKNOWN)) for key, row in rows.items())
        return "".join(f"{line}\n" for line in lines)

    return "".join(
        (
            *(_HEAD, f"{_VERSIONS}{used}.\n"),
            *(_AGREEMENT, table(AGREEMENTS)),
            *(_DIFFERENCE, table(DIFFERENCES)),
            *(_NOT, "".join(f"- {line}\n" for line in NOT_COMPARED)),
        )
    )


def counts_in(text: str) -> dict[str, int]:
    """The numbers that a document has."""
    found = {}
    for key, row in {**AGREEMENTS, **DIFFERENCES}.items():
        head, tail = (re.escape(part) for part in row.line("\0").split("\0"))
        match = re.search(rf"^{head}([0-9]+){tail}$", text, re.MULTILINE)
        if match:
            found[key] = int(match[1])
    return found


def versions_in(text: str) -> str:
    """The versions that a document was written with; others may be at hand here."""
    match = re.search(rf"^{_VERSIONS}(.*)\.$", text, re.MULTILINE)
    return match[1] if match else ""


def versions() -> str:
    """The versions that are at hand here."""
    return ", ".join(_versions())


def _versions() -> Iterator[str]:
    query = ["dpkg-query", "-W", "-f", "${Version}", "libvirt-clients-qemu"]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    yield f"`virt-qemu-sev-validate` of libvirt {found.stdout.partition('-')[0] or 'unknown'}"
    yield f"`sev-snp-measure` {importlib.metadata.version('sev-snp-measure')}"
    yield "answers of `sev-tool` 147a4f1 and `sevctl` 0.6.2"


def _read() -> str:
    return DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
