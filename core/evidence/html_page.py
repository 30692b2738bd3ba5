# SPDX-License-Identifier: Apache-2.0
"""A verified document as one HTML page to read and print: no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from .limits import WHAT_SEV_CANNOT_PROVE
from .verdict import Basis, EvidenceVerdict, Finding

_STYLE: Final = """
body { font: 11pt/1.4 sans-serif; color: #111; background: #fff; max-width: 60em;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 1.6em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-top: 1px solid #bbb; padding: .25em .6em .25em 0; text-align: left;
  vertical-align: top; }
td.text, p.hash { overflow-wrap: anywhere; }
td.basis { white-space: nowrap; font-weight: bold; }
p.loud { border: 2px solid #111; padding: .5em .8em; font-weight: bold; }
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; } }
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_MEANINGS: Final = (
    (Basis.RECOMPUTED, "worked out again from the document's certificates and hashes, and files"),
    (Basis.PEK_SIGNED, "signed by the platform's PEK, whose certificate chain was verified"),
    (Basis.OWNERS_WORD, "rests on the signature of the guest's owner alone"),
)


def evidence_page(verdict: EvidenceVerdict) -> str:
    """The page (HTML 5, self-contained); every value is escaped."""
    return "\n".join(_parts(verdict)) + "\n"


def _parts(verdict: EvidenceVerdict) -> Iterator[str]:
    yield from (
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>Launch evidence</title><style>{_STYLE}</style></head><body>",
        "<h1>Evidence of a confidential VM's launch</h1>",
    )
    yield from (f'<p class="loud">{_text(line)}</p>' for line in verdict.summary())
    yield (
        "<p>This page is for reading. What counts is the signed document with the SHA-256 below:"
        " check it with <code>watchword evidence verify</code>.</p>"
    )
    yield f'<p class="hash"><code>{_text(verdict.opened.sha256)}</code></p>'
    yield "<h2>What it says, and what each statement rests on</h2>"
    yield from _table(("", "about", "statement"), map(_finding, verdict.findings))
    meanings = (_row(("basis", basis.value), ("text", words)) for basis, words in _MEANINGS)
    yield from _table(("mark", "meaning"), meanings)
    yield from _list("Warnings", verdict.warnings)
    redaction = verdict.predicate.redaction
    if redaction is not None:
        yield from _list("What was taken out", (*redaction.fields, *redaction.notes))
    yield from _list("What SEV cannot prove", (limit.text for limit in WHAT_SEV_CANNOT_PROVE))
    yield "</body></html>"


def _finding(finding: Finding) -> str:
    return _row(("basis", finding.basis.value), ("", finding.subject), ("text", finding.text))


def _row(*cells: tuple[str, str]) -> str:
    inner = "".join(
        f'<td class="{name}">{_text(value)}</td>' if name else f"<td>{_text(value)}</td>"
        for name, value in cells
    )
    return f"<tr>{inner}</tr>"


def _table(heads: tuple[str, ...], rows: Iterable[str]) -> Iterator[str]:
    yield "<table><thead><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr></thead>"
    yield "<tbody>"
    yield from rows
    yield "</tbody></table>"


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = tuple(lines)
    if lines:
        yield f"<h2>{title}</h2><ul>"
        yield from (f"<li>{_text(line)}</li>" for line in lines)
        yield "</ul>"


def _text(value: str) -> str:
    """Escaped, and with characters that are not seen, or turn the text around, written out."""
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in value
    )
    return escape(visible, quote=True)
