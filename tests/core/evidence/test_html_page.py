# SPDX-License-Identifier: Apache-2.0
"""The page: self-contained, everything escaped, every statement labelled."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from watchword.core.errors import VerificationRefused
from watchword.core.evidence.facts import LaunchEnd
from watchword.core.evidence.html_page import evidence_page
from watchword.core.evidence.limits import WHAT_SEV_CANNOT_PROVE
from watchword.core.evidence.verify import verify_evidence

from .made import trust

NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=y>\u202egnp.exe\x1b[2J"
EMPTY_ELEMENTS = {"meta"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code"),
    *("table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), set(), []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(es_document, keys):
    return evidence_page(verify_evidence(es_document, trust(keys)))


def test_the_page_has_no_scripts_and_nothing_from_elsewhere(page):
    reader = read(page)
    assert reader.tags == TAGS
    assert reader.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_every_statement_has_its_label_and_the_open_points_are_listed(es_document, keys, page):
    verdict = verify_evidence(es_document, trust(keys))
    text = "".join(read(page).text)
    for finding in verdict.findings:
        assert finding.text in text
    rows = [row for row in page.splitlines() if row.startswith('<tr><td class="basis">')]
    assert len(rows) == len(verdict.findings) + 3
    for limit in WHAT_SEV_CANNOT_PROVE:
        assert limit.text in text
    assert "SIMULATED" in text
    assert verdict.opened.sha256 in text


def test_markup_in_names_is_shown_and_never_obeyed(plain, keys):
    error = VerificationRefused("some-refusal", NASTY, NASTY, "Remedy.")
    document = plain.document(
        end=LaunchEnd.REFUSED, error=error, host=NASTY, guest=NASTY, entries={}
    )
    page = evidence_page(verify_evidence(document, trust(keys)))
    reader = read(page)
    assert reader.tags == TAGS
    assert "onerror" not in reader.attributes
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "<script>alert(1)</script>" in "".join(reader.text)
