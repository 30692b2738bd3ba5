# SPDX-License-Identifier: Apache-2.0
"""Searches for the deviations that explain a measurement: single ones, then pairs, then threes.

Each launch digest costs at most one more page to hash than the one before it, and each
MAC goes on from a copy of a keyed state.
"""

from __future__ import annotations

import hmac as standard_hmac
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product

from cryptography.hazmat.primitives import hashes, hmac

from .diagnosis_contents import firmware_alternatives, table_alternatives
from .diagnosis_mac import MacSpace, MacVariant
from .diagnosis_question import Alternative, Deviation, Question
from .diagnosis_vcpus import Change, VcpuForm, vcpu_forms
from .digest import VcpuSetup
from .firmware import FirmwareImage

DEEPEST = 3
"""The most deviations that are tried together."""
MACS_MOST = 200_000
PAGES_MOST = 120_000
"""Bounds of one search, whatever it is asked: MACs, and VMSA pages (4096 bytes) hashed."""

Explanation = tuple[Deviation, ...]
"""Deviations that explain a measurement together."""


class _LimitReachedError(Exception):
    """The search has made as many MACs as it may."""


@dataclass(frozen=True, slots=True)
class Source:
    """A firmware image that may have been loaded, or a launch digest (32 bytes) as it is."""

    image: FirmwareImage | bytes
    change: Alternative[FirmwareImage] | Alternative[bytes] | None = None

    @property
    def depth(self) -> int:
        """The most deviations together in which it is tried."""
        return self.change.depth if self.change else DEEPEST


@dataclass(frozen=True, slots=True)
class Contents:
    """One way in which a VM may have been loaded, the number of vCPUs apart."""

    source: Source
    table: bytes
    form: VcpuForm
    changed_files: tuple[Alternative[FirmwareImage] | Alternative[bytes], ...]

    @property
    def changes(self) -> tuple[Alternative[FirmwareImage] | Alternative[bytes] | Change, ...]:
        """In what they differ from the approved ones."""
        return (*self.changed_files, *self.form.changes)


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """All that may have been otherwise, each with the approved value first where there is one."""

    sources: tuple[Source, ...]
    approved_table: bytes
    tables: tuple[Alternative[bytes], ...]
    forms: tuple[VcpuForm, ...]
    mac: MacSpace

    @classmethod
    def of(cls, question: Question) -> SearchSpace:
        """What may have been otherwise than in the question."""
        contents = question.contents
        boot = contents.boot if contents else None
        return cls(
            sources=tuple(_sources(question)),
            approved_table=boot.table() if boot else b"",
            tables=table_alternatives(boot),
            forms=vcpu_forms(contents.vcpus if contents else None),
            mac=MacSpace.of(question.policy, question.version, tek_known=question.tek is not None),
        )

    def contents(self, level: int) -> list[Contents]:
        """The contents with up to ``level`` changes, fewest first."""
        found = [*self._contents(level)]
        found.sort(key=lambda one: len(one.changes))
        return found

    def _contents(self, level: int) -> Iterator[Contents]:
        sources = [source for source in self.sources if source.depth >= level]
        tables = [None, *(table for table in self.tables if table.depth >= level)]
        forms = [form for form in self.forms if form.depth >= level]
        for source, table in product(sources, tables):
            files = tuple(change for change in (source.change, table) if change is not None)
            if isinstance(source.image, bytes):
                if table is None and len(files) <= level:
                    yield Contents(source, b"", self.forms[0], files)
                continue
            for form in forms:
                if len(files) + len(form.changes) <= level:
                    value = table.value if table else self.approved_table
                    yield Contents(source, value, form, files)


def _sources(question: Question) -> Iterator[Source]:
    contents, image = question.contents, None
    if contents is not None:
        image = contents.firmware
        yield Source(image)
    elif isinstance(question.approved, bytes):
        yield Source(question.approved)
        backwards = Alternative(question.approved[::-1], DEEPEST, (_reversed_digest,))
        yield Source(backwards.value, backwards)
    for other in firmware_alternatives(image, question.other_firmware):
        yield Source(other.value, other)


def _reversed_digest() -> Deviation:
    return Deviation(
        "launch-digest-reversed",
        "The launch digest is given with its bytes in reverse order.",
        "Give it as sha256sum and `watchword digest` print it, the first byte first.",
    )


class _Chain:
    """The launch digests of the same files, with 0, 1, 2… vCPUs of the same kind."""

    def __init__(
        self, image: FirmwareImage, table: bytes, pages: tuple[bytes, bytes | None]
    ) -> None:
        self._running = image.hash_state()
        self._running.update(table)
        self._first, self._other = pages
        self.digests = [self._running.digest()]

    def grow(self, count: int) -> int:
        """Make the digests for up to ``count`` vCPUs, as far as there are; how many were new."""
        before = len(self.digests)
        while len(self.digests) <= count:
            page = self._first if len(self.digests) == 1 else self._other
            if page is None:
                break
            self._running.update(page)
            self.digests.append(self._running.digest())
        return len(self.digests) - before


class Search:
    """One search; ``run`` it once.

    ``tried``         MACs made and compared
    ``pages_hashed``  VMSA pages (4096 bytes)
    ``complete``      False if MACS_MOST or PAGES_MOST kept it from trying all
    """

    def __init__(self, question: Question) -> None:
        self.space = SearchSpace.of(question)
        self.tried = 0
        self.complete = True
        self._question = question
        self._reported = question.reported.measurement
        self._nonce = question.reported.nonce
        self._keyed: list[hmac.HMAC] = []
        self._chains: dict[object, _Chain] = {}
        self._pages: dict[object, tuple[bytes, bytes | None]] = {}
        self.pages_hashed = 0

    def run(self) -> tuple[Explanation, ...]:
        """The explanations with the fewest deviations; none if nothing explains it.

        More than one are different words for the same bytes. An explanation without
        deviations says that the measurement is the expected one.
        Raises UsageError ``secret-wiped`` if a key is gone.
        """
        question = self._question
        with ExitStack() as lent:
            for key in (question.tik, question.tek):
                if key is not None:
                    view = lent.enter_context(key.reveal())
                    self._keyed.append(hmac.HMAC(view, hashes.SHA256()))
            try:
                for level in range(DEEPEST + 1):
                    if found := self._search(level):
                        return found
                    if level == 1 and (found := self._search_versions()):
                        return found
            except _LimitReachedError:
                self.complete = False
            finally:
                self._keyed.clear()
        return ()

    def _search(self, level: int) -> tuple[Explanation, ...]:
        """Try everything with exactly ``level`` deviations."""
        macs = _MacLists(self.space.mac, level)
        for contents in self.space.contents(level):
            changed = len(contents.changes)
            for more, count, digest in self._digests(contents, level):
                partners = macs.partners(level - changed - more, contents.form)
                if mac := self._match(digest, partners):
                    return _explanations(contents, count if more else None, mac)
        return ()

    def _search_versions(self) -> tuple[Explanation, ...]:
        """Try what was approved with any version of the firmware: much, and not likely."""
        contents = self.space.contents(0)[0]
        variants = [*self.space.mac.of_any_version()]
        for _, _, digest in self._digests(contents, 0):
            if mac := self._match(digest, variants):
                return _explanations(contents, None, mac)
        return ()

    def _digests(self, contents: Contents, level: int) -> Iterator[tuple[int, int, bytes]]:
        """Deviations that the number of vCPUs adds (0 or 1), that number, and launch digest."""
        source, form = contents.source.image, contents.form
        if isinstance(source, bytes):
            yield 0, 0, source
            return
        expected = _expected_count(form)
        most = form.counts[level - 1] if len(contents.changes) < level else 0
        chain = self._chain(source, contents.table, form.setup)
        if expected is not None:
            self._grow(chain, expected)
            if expected < len(chain.digests):
                yield 0, expected, chain.digests[expected]
        if most:
            self._grow(chain, most)
        for count in range(1, min(most + 1, len(chain.digests))):
            if count != expected:
                yield 1, count, chain.digests[count]

    def _chain(self, image: FirmwareImage, table: bytes, setup: VcpuSetup | None) -> _Chain:
        key = (image.sha256, table, setup)
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chains[key] = _Chain(image, table, self._pages_of(image, setup))
        return chain

    def _pages_of(
        self, image: FirmwareImage, setup: VcpuSetup | None
    ) -> tuple[bytes, bytes | None]:
        """The pages of the first vCPU and of the others, which not every firmware can start."""
        if setup is None:
            return b"", None
        address = image.reset_address
        key = (setup, address)
        pages = self._pages.get(key)
        if pages is None:
            other = None if address is None else setup.other_page(address)
            pages = self._pages[key] = setup.first_page(), other
        return pages

    def _grow(self, chain: _Chain, count: int) -> None:
        """Make a chain longer, unless that is too much; the rest of the search goes on."""
        missing = max(0, count + 1 - len(chain.digests))
        if self.pages_hashed + missing > PAGES_MOST:
            self.complete = False
        else:
            self.pages_hashed += chain.grow(count)

    def _match(self, digest: bytes, macs: Sequence[MacVariant]) -> MacVariant | None:
        if self.tried + len(macs) > MACS_MOST:
            raise _LimitReachedError
        ending = digest + self._nonce
        for tried, mac in enumerate(macs, start=1):
            running = self._keyed[mac.key].copy()
            running.update(mac.prefix + ending)
            if standard_hmac.compare_digest(running.finalize(), self._reported):
                self.tried += tried
                return mac
        self.tried += len(macs)
        return None


class _MacLists:
    """The variants of the MAC that go with contents, by the number of their changes."""

    def __init__(self, space: MacSpace, level: int) -> None:
        self._all = [list(space.variants(changes, level)) for changes in range(level + 1)]
        self._es_kept = [[mac for mac in macs if not mac.without_es] for macs in self._all]
        self._es_lost = [[mac for mac in macs if mac.without_es] for macs in self._all]

    def partners(self, changes: int, form: VcpuForm) -> Sequence[MacVariant]:
        """Those with so many changes.

        vCPUs are measured if the policy says ES: where the policy lost it, that no vCPU
        was measured is no deviation of its own.
        """
        if form.setup is not None:
            return self._es_kept[changes]
        if form.approved is None:
            return self._all[changes]
        more = self._es_lost[changes + 1] if changes + 1 < len(self._es_lost) else []
        return self._es_kept[changes] + more


def _expected_count(form: VcpuForm) -> int | None:
    """How many vCPU pages are no deviation in this form; None: any number is one."""
    if form.setup is None:
        return 0
    return form.setup.count if form.approved is not None else None


def _explanations(
    contents: Contents, count: int | None, mac: MacVariant
) -> tuple[Explanation, ...]:
    form = contents.form
    # Without ES nobody expects the vCPUs to be measured.
    measured = () if mac.without_es else form.changes
    changes = (*contents.changed_files, *measured, *mac.changes)
    counted = () if count is None else (form.count_deviation(count),)
    return tuple(
        (*counted, *(reason() for reason in reasons))
        for reasons in product(*(change.reasons for change in changes))
    )
