# SPDX-License-Identifier: Apache-2.0
"""Takes a pasted answer: judges it with what came before, and saves it among the turn's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from . import exchange_answers as answers
from . import exchange_errors as errors
from .command_errors import explain_refusal
from .exchange_folder import ExchangeFolder
from .exchange_replies import MEASUREMENT, REPORT, VCPUS
from .exchange_turns import Turn
from .limits import MESSAGE_BYTES

PASTED: Final = "The pasted text"
_PASTED_MAX: Final = 32
_VERSION: Final = ("api-major", "api-minor", "build-id")
_BELONGS: Final[Mapping[Turn, frozenset[str]]] = {
    Turn.MEASUREMENT: frozenset({*_VERSION, MEASUREMENT, VCPUS, "policy"}),
    Turn.RUNNING: frozenset({REPORT, "running", "state"}),
}


@dataclass(frozen=True, slots=True)
class Understood:
    """What a pasted text said, in words for a person; nothing of it is verified.

    ``found``    pairs of a name and a value
    ``missing``  what the turn still lacks
    ``path``     the file that the text was saved to
    """

    turn: Turn
    found: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    path: str

    @property
    def complete(self) -> bool:
        """Whether the turn has all that it needs."""
        return not self.missing

    def as_json(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "turn": int(self.turn),
            "found": dict(self.found),
            "missing": list(self.missing),
            "path": self.path,
        }


def take_pasted(folder: ExchangeFolder, turn: Turn, text: str) -> Understood:
    """Judge a text as an answer of turn 1, 3 or 5 and save it; nothing is saved if it is none.

    Raises HostError (``exchange-reply-unusable``, ``exchange-reply-contradicts``, …),
    VerificationRefused ``reply-of-another-launch``, UsageError ``exchange-folder-taken``;
    AnswerPending for the word that the VM does not run yet.
    """
    content = text.encode("utf-8", "surrogatepass")
    if len(content) > MESSAGE_BYTES:
        raise errors.too_much(PASTED, f"{MESSAGE_BYTES} bytes")
    known = folder.read(turn) if folder.exists() else {}
    alone, whole = {PASTED: content}, {**known, PASTED: content}
    if turn is Turn.PLATFORM:
        found, missing = _platform(alone, whole, folder.launch_id)
    else:
        found, missing = _guest(turn, alone, whole, folder)
    return Understood(turn, found, missing, _saved(folder, turn, content, known))


_Found = tuple[tuple[str, str], ...]


def _platform(
    alone: Mapping[str, bytes], whole: Mapping[str, bytes], launch_id: str
) -> tuple[_Found, tuple[str, ...]]:
    names = answers.read_platform(alone, launch_id).found
    if not names:
        raise errors.nothing_found(Turn.PLATFORM, PASTED)
    missing = answers.read_platform(whole, launch_id).missing
    return tuple((name, "given") for name in names), missing


def _guest(
    turn: Turn, alone: Mapping[str, bytes], whole: Mapping[str, bytes], folder: ExchangeFolder
) -> tuple[_Found, tuple[str, ...]]:
    answer = answers.read_answer(turn, alone, folder.launch_id)
    if not _BELONGS[turn] & answer.said.fields.keys():
        if refusal := answer.said.refusal_of("the command"):
            raise explain_refusal(refusal)
        raise errors.nothing_found(turn, PASTED)
    found = _measured(answer) if turn is Turn.MEASUREMENT else _running(answer, folder)
    return found, answers.missing_of(answers.read_answer(turn, whole, folder.launch_id))


def _measured(answer: answers.Answer) -> _Found:
    fields = answer.said.fields
    found = []
    if MEASUREMENT in fields:
        found.append(("measurement", answers.measurement(answer).hex()))
    if fields.keys() >= {*_VERSION, "policy"}:
        state = answers.guest_state(answer)
        version = f"{state.api_major}.{state.api_minor} build {state.build}"
        found += [("firmware", version), ("policy", f"0x{state.policy:x}")]
    if (count := answers.vcpu_count(answer)) is not None:
        found.append(("vCPUs", str(count)))
    return tuple(found)


def _running(answer: answers.Answer, folder: ExchangeFolder) -> _Found:
    found = []
    if answers.runs(answer):
        found.append(("running", "host says"))
    report = answers.report(answer)
    if report is not None:
        found.append(("report", f"{len(report)} bytes"))
    if not found:
        answers.check_refused(answer)
        state = answers.standing_still(answer) or "paused"
        raise errors.not_running_yet(folder.path(Turn.RUNNING), state)
    return tuple(found)


def _saved(folder: ExchangeFolder, turn: Turn, content: bytes, known: Mapping[str, bytes]) -> str:
    """Where the text is: the same text pasted again is kept once."""
    for path, other in known.items():
        if other == content:
            return path
    names = {path.rpartition("/")[2] for path in known}
    for number in range(1, _PASTED_MAX + 1):
        name = f"pasted-{number}.txt"
        if name not in names:
            return folder.add(turn, name, content)
    raise errors.too_much(folder.path(turn), f"{_PASTED_MAX} pasted texts")
