# SPDX-License-Identifier: Apache-2.0
"""What became known to be weak, and whether a launch had to do with it: yes, no or not recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeVar

from ..amd.advisories import published_advisories
from ..amd.roots import amd_roots
from ..errors import UsageError
from ..sev.advisories import Advisories, Advisory
from ..sev.firmware_version import FirmwareVersion
from ..vault.entries import check_entry_name
from .entries import is_hash

_T = TypeVar("_T")
_BUILD: Final = re.compile(r"(<=|<)?([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})", re.ASCII)


@dataclass(slots=True)
class LaunchFacts:
    """What the entries of one launch say of where it ran and what was approved for it.

    Sets, because a host may have said one thing and later another; empty: not recorded.
    ``versions`` were inside a measurement that was verified; ``claimed`` are a host's word;
    ``entries`` of the vault were handed over.
    """

    ceks: set[str] = field(default_factory=set)
    generations: set[str] = field(default_factory=set)
    firmware: set[str] = field(default_factory=set)
    versions: set[FirmwareVersion] = field(default_factory=set)
    claimed: set[FirmwareVersion] = field(default_factory=set)
    entries: set[str] = field(default_factory=set)

    def with_claims(self) -> Self:
        """The facts as they are if all that hosts claimed is true."""
        return replace(self, versions=self.versions | self.claimed)


@dataclass(frozen=True, slots=True)
class BuildRange:
    """Firmware of secure processors: one build, all of an API, or all up to one.

    ``1.49.3`` is build 3 of API 1.49; ``1.49`` every build of that API; ``3`` a build 3 of
    any API; ``<=1.49.3`` and ``<1.55.24`` that and everything older, other APIs too.
    """

    parts: tuple[int, ...]
    relation: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The range of its text. Raises UsageError ``bad-build``."""
        match = _BUILD.fullmatch(text.replace(" ", ""))
        parts = tuple(map(int, match[2].split("."))) if match else ()
        relation = (match[1] or "") if match else ""
        if not parts or max(parts) > 255 or (relation and len(parts) == 1):
            raise UsageError(
                "bad-build",
                "This is no firmware build",
                f"{text[:40]!r} is not of the form MAJOR.MINOR.BUILD, each 0 to 255 in decimal.",
                "Give one such as 1.49.3, all of an API as 1.49, a build of any API as 3, or"
                " everything older as '<1.55.24' or '<=1.49.3' (in quotes, for the shell).",
            )
        return cls(parts, relation)

    def holds(self, version: FirmwareVersion) -> bool:
        """Whether this version is one of them."""
        if len(self.parts) == 1:
            return version.build == self.parts[0]
        own = (version.api_major, version.api_minor, version.build)[: len(self.parts)]
        if self.relation == "<":
            return own < self.parts
        return own == self.parts or (self.relation == "<=" and own < self.parts)

    def __str__(self) -> str:
        return self.relation + ".".join(map(str, self.parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What is searched for; a launch must answer to all that is given.

    ``cek``         fingerprint of a CEK: SHA-256 (hex) of its signed 0x414 bytes
    ``generation``  AMD's processor generation, such as ``milan``
    ``firmware``    SHA-256 (hex) of a guest's firmware file
    ``build``       builds of the secure processor's firmware
    ``advisory``    a published weakness: its generations, or its builds
    ``entry``       the vault's entry whose secret was handed over
    """

    cek: str | None = None
    generation: str | None = None
    firmware: str | None = None
    build: BuildRange | None = None
    advisory: Advisory | None = None
    entry: str | None = None

    @classmethod
    def parse(
        cls,
        *,
        cek: str | None = None,
        generation: str | None = None,
        firmware: str | None = None,
        build: str | None = None,
        advisory: str | None = None,
        entry: str | None = None,
        advisories: Advisories | None = None,
    ) -> Self:
        """Criteria from words. Raises UsageError ``bad-fingerprint``, ``unknown-generation``,
        ``bad-build``, ``unknown-advisory``, ``bad-entry-name`` and ``nothing-to-search``.
        """
        if all(word is None for word in (cek, generation, firmware, build, advisory, entry)):
            raise UsageError(
                "nothing-to-search",
                "There is nothing to search for",
                "A search takes a CEK, a generation, a firmware, a build, an advisory or an entry"
                " of the vault.",
                "Say what became known to be weak.",
            )
        known = advisories or published_advisories()
        return cls(
            cek=None if cek is None else _fingerprint(cek, "the CEK's fingerprint"),
            generation=None if generation is None else _generation(generation),
            firmware=None if firmware is None else _fingerprint(firmware, "the firmware's hash"),
            build=None if build is None else BuildRange.parse(build),
            advisory=None if advisory is None else find_advisory(advisory, known),
            entry=None if entry is None else check_entry_name(entry),
        )

    def judge(self, facts: LaunchFacts) -> bool | None:
        """Whether the launch answers to all of it; None where that was not recorded."""
        answers = list(self._answers(facts))
        if False in answers:
            return False
        return None if None in answers else True

    def _answers(self, facts: LaunchFacts) -> Iterable[bool | None]:
        if self.cek is not None:
            yield _any(facts.ceks, self.cek.__eq__)
        if self.generation is not None:
            yield _any(facts.generations, self.generation.__eq__)
        if self.firmware is not None:
            yield _any(facts.firmware, self.firmware.__eq__)
        if self.build is not None:
            yield _any(facts.versions, self.build.holds)
        if self.advisory is not None:
            yield _concerned(self.advisory, facts)
        if self.entry is not None:
            yield _any(facts.entries, self.entry.__eq__)

    def as_json(self) -> dict[str, object]:
        """What is searched for, with stable field names."""
        return {
            "cek": self.cek,
            "generation": self.generation,
            "firmware": self.firmware,
            "build": None if self.build is None else str(self.build),
            "advisory": None if self.advisory is None else self.advisory.name,
            "entry": self.entry,
        }


def find_advisory(text: str, advisories: Advisories) -> Advisory:
    """The advisory of this name, or of the only name that holds this text; letters' case aside.

    Raises UsageError ``unknown-advisory``.
    """
    wanted = text.casefold().strip()
    named = [entry for entry in advisories.entries if entry.name.casefold() == wanted]
    found = named or [entry for entry in advisories.entries if wanted in entry.name.casefold()]
    if wanted and len(found) == 1:
        return found[0]
    which = "More than one advisory is" if wanted and found else "No advisory is"
    names = "; ".join(entry.name for entry in advisories.entries)
    raise UsageError(
        "unknown-advisory",
        "There is no such advisory",
        f"{which} called {text[:80]!r} in the table of {advisories.as_of}.",
        f"Choose one of: {names}.",
    )


def _concerned(advisory: Advisory, facts: LaunchFacts) -> bool | None:
    answers: list[bool | None] = []
    if advisory.generations:
        answers.append(_any(facts.generations, advisory.generations.__contains__))
    if advisory.first_good_build is not None:
        answers.append(_any(facts.versions, advisory.affects_build))
    if True in answers:
        return True
    return None if None in answers else False


def _any(found: Set[_T], fits: Callable[[_T], object]) -> bool | None:
    return any(map(fits, found)) if found else None


def _fingerprint(text: str, field: str) -> str:
    digits = "".join(text.split()).lower()
    if is_hash(digits):
        return digits
    raise UsageError(
        "bad-fingerprint",
        f"Can't read {field}",
        f"It takes 64 hex digits (SHA-256); {len(digits)} characters were given.",
        "Copy the value again, whole.",
    )


def _generation(text: str) -> str:
    known = sorted({keys.generation for keys in amd_roots()})
    wanted = text.strip().lower()
    if wanted in known:
        return wanted
    raise UsageError(
        "unknown-generation",
        "There is no such processor generation",
        f"{text[:40]!r} is not the name of one.",
        f"Choose one of {', '.join(known)}.",
    )
