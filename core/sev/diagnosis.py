# SPDX-License-Identifier: Apache-2.0
"""Why a measurement does not match: names what differs, in words, and never lifts the refusal.

What comes out are sentences. There is no digest, no MAC and nothing verified in them:
whoever wants to go on puts right what is wrong, and has the measurement verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .diagnosis_contents import OTHER_FIRMWARE_MOST, cmdline_alternatives
from .diagnosis_question import (
    ApprovedContents,
    Deviation,
    DirectBoot,
    Question,
)
from .diagnosis_search import Explanation, Search, SearchSpace
from .diagnosis_vcpus import COUNTS, COUNTS_IF_UNKNOWN, SEV_FEATURES

__all__ = [
    "ApprovedContents",
    "Deviation",
    "Diagnosis",
    "DirectBoot",
    "Explanation",
    "Question",
    "diagnose",
]

_NO_DIFFERENCE = Deviation(
    "no-difference",
    "The measurement is what your own values give.",
    "It was refused for another reason, which stands with the refusal.",
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What explains a measurement that was refused, or what was tried.

    ``matches``         explanations, each of one deviation or more; several are different words
    for the same thing; none if nothing that was tried explains it
    ``variants_tried``  how many measurements were computed and compared
    ``tried``, ``not_tried``  in words, the latter with the reason
    ``complete``        False if the bounds of a search left something out
    """

    matches: tuple[Explanation, ...]
    variants_tried: int
    tried: tuple[str, ...]
    not_tried: tuple[str, ...]
    complete: bool

    @property
    def explained(self) -> bool:
        """Whether something explains the measurement; it stays refused either way."""
        return bool(self.matches)

    @property
    def alarm(self) -> bool:
        """Whether the VM has less protection, or other code, than was approved."""
        return any(deviation.alarm for match in self.matches for deviation in match)

    def as_json(self) -> dict[str, object]:
        """The diagnosis as it appears in JSON output, under ``details`` of the refusal.

        ``lines`` are those for people, so that whoever shows the refusal can show them.
        """
        return {
            "explained": self.explained,
            "alarm": self.alarm,
            "matches": [[deviation.as_json() for deviation in match] for match in self.matches],
            "variants_tried": self.variants_tried,
            "tried": list(self.tried),
            "not_tried": list(self.not_tried),
            "complete": self.complete,
            "lines": list(self.lines()),
        }

    def lines(self) -> tuple[str, ...]:
        """The diagnosis for people, to be printed below the refusal."""
        return tuple(self._lines_of_matches() if self.matches else self._lines_without_match())

    def _lines_of_matches(self) -> Iterator[str]:
        for number, match in enumerate(self.matches):
            yield "Or:" if number else "What differs, and nothing else does:"
            for deviation in match:
                yield f"- {'ALARM: ' if deviation.alarm else ''}{deviation.text}"
                yield f"  {deviation.remedy}"
        yield "This explains the refusal. It does not lift it."

    def _lines_without_match(self) -> Iterator[str]:
        yield f"None of {self.variants_tried} usual mistakes explains it. Tried were:"
        yield from (f"- {words}" for words in self.tried)
        if self.not_tried:
            yield "Not tried:"
            yield from (f"- {words}" for words in self.not_tried)
        if not self.complete:
            yield "The search reached its bounds: there was more to try."
        yield (
            "What is left: the keys of another launch (is it this VM's TIK?), another launch blob,"
            " other files than you approved, an older measurement, or a host that lies. Ask for"
            " sha256sum of the files on the host and for the VM's full command line."
        )


def diagnose(question: Question) -> Diagnosis:
    """Search what people get wrong, alone, in pairs and in threes, for what explains it.

    Takes a fraction of a second at most, and always the same way. The keys must not be
    wiped yet: raises UsageError ``secret-wiped``.
    """
    search = Search(question)
    matches = tuple(match or (_NO_DIFFERENCE,) for match in search.run())
    return Diagnosis(
        matches=matches,
        variants_tried=search.tried,
        tried=tuple(_tried(question, search.space)),
        not_tried=tuple(_not_tried(question)),
        complete=search.complete,
    )


def _tried(question: Question, space: SearchSpace) -> Iterator[str]:
    contents = question.contents
    if contents is None:
        yield "the launch digest in reverse byte order"
    if question.other_firmware:
        names = [name for name, _ in question.other_firmware[:OTHER_FIRMWARE_MOST]]
        yield f"other firmware: {', '.join(names)}"
    if contents is not None and contents.boot is not None:
        yield from _tried_boot(contents.boot)
    if contents is not None and contents.vcpus is not None:
        yield f"1 to {COUNTS[0]} vCPUs, and none measured"
        yield "the CPU models of QEMU, and server CPUs as -cpu host gives them"
        yield "VMSA pages of both generations (legacy, init2)"
        yield f"SEV features {', '.join(f'{value:#x}' for value in SEV_FEATURES)}"
    elif contents is not None or question.other_firmware:
        yield f"SEV-ES with 1 to {COUNTS_IF_UNKNOWN[0]} vCPUs of QEMU's models"
    if question.tek is not None:
        yield "TEK and TIK swapped"
    yield (f"{len(space.mac.policies)} other policies, and what sev-tool and sevctl make of yours")
    yield (
        "other firmware versions: numbers read in hex or decimal or swapped, any build, any API;"
        " and the form before API 0.17"
    )
    yield "the likelier of these also in pairs and in threes"


def _tried_boot(boot: DirectBoot) -> Iterator[str]:
    if not boot.measured:
        yield "kernel hashes on"
        return
    yield "kernel hashes off, no initrd, no command line, kernel and initrd swapped"
    if not isinstance(boot.cmdline, bytes):
        spellings = len(cmdline_alternatives(boot.cmdline))
        yield f"{spellings} other spellings of the command line: blanks, newlines, NUL, quotes"


def _not_tried(question: Question) -> Iterator[str]:
    contents = question.contents
    boot = contents.boot if contents else None
    if contents is None:
        yield "kernel, command line and vCPUs: only the launch digest is known, not its contents"
    elif boot is None:
        yield "kernel hashes: no kernel is given"
    elif isinstance(boot.cmdline, bytes):
        yield "spellings of the command line: only its hash is given"
    if not question.other_firmware:
        yield "other firmware: no other image is at hand"
    elif len(question.other_firmware) > OTHER_FIRMWARE_MOST:
        yield f"more than {OTHER_FIRMWARE_MOST} other firmware images"
    if question.tek is None:
        yield "TEK and TIK swapped: TEK is not at hand"
