# SPDX-License-Identifier: Apache-2.0
"""Reads what an operator brought as text: QMP answers, virsh's tables and XML, or our form.

One text may mix them, with prompts, commands and remarks between. Known fields are taken
out, each with where it stood; their types and ranges are judged by whoever uses them.
Source: QEMU docs/interop/qmp-spec; libvirt tools/virsh-host.c and virsh-domain.c, which
print ``name : value``; libvirt docs/formatdomaincaps.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ..bounded_json import parse_json
from ..errors import BadInput
from ..sev.peer_names import known_field
from .command_errors import Refusal
from .exchange_errors import contradiction, reply_of_another_launch, unusable
from .exchange_turns import LAUNCH_KEY, MESSAGE_ID_PREFIX
from .limits import JSON_DEPTH, MESSAGES_PER_COMMAND

_ERROR: Final = "error"
MEASUREMENT: Final = "measurement"
REPORT: Final = "report"
VCPUS: Final = "vcpus"
_CHANGING: Final = frozenset({"state", "running"})
"""Fields that a VM changes: of one text the last word counts."""

_REFUSALS_MAX: Final = 8
_BASE64_OF_48: Final = 64
_BASE64_OF_208: Final = 280
_DATA_SIZES: Final[Mapping[int, str]] = MappingProxyType({48: MEASUREMENT, 208: REPORT})
_BARE_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_BARE_HEX: Final = re.compile(rb"[0-9a-fA-F]+")
_NUMBERS: Final = frozenset(
    {"api-major", "api-minor", "build-id", "policy", "cbitpos", "reduced-phys-bits", VCPUS}
)
_FLAGS: Final = frozenset({"enabled", "running"})
_LONG: Final = frozenset({"pdh", "cert-chain", "cpu0-id", REPORT})
"""Values in base64 that a terminal or a mail may have broken into lines."""
_FIELDS: Final = frozenset({*_NUMBERS, *_FLAGS, *_LONG, MEASUREMENT, "state", "sev-type"})
_WORDS: Final[Mapping[str, bool]] = MappingProxyType(
    {"yes": True, "true": True, "no": False, "false": False}
)

_RUN_STATES: Final[Mapping[str, str]] = MappingProxyType({"running": "yes", "paused": "no"})

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_MARKS: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_ROW: Final = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9_-]{0,31})[ \t]*:[ \t]*(\S.*)?", re.ASCII)
_MORE_BASE64: Final = re.compile(r"[ \t]*([A-Za-z0-9+/]+={0,2})[ \t]*", re.ASCII)
_ELEMENT: Final = re.compile(
    r"<(pdh|cert-?chain|cpu0-?id|cbitpos|reduced-?phys-?bits)>([^<>&]*)</\1>", re.ASCII | re.I
)
_DIGITS: Final = re.compile(r"[0-9]{1,10}|0[xX][0-9A-Fa-f]{1,8}", re.ASCII)


@dataclass(slots=True)
class Said:
    """What texts say: fields by QEMU's names, and the errors that QEMU or virsh gave.

    ``where``     for each field the text it came from
    ``refusals``  error class and description, as the host gave them
    ``named``     whether the launch was named
    """

    fields: dict[str, object] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    named: bool = False

    def take(self, name: str, value: object, where: str) -> None:
        """Note a field. Raises HostError ``exchange-reply-contradicts``."""
        known = name in self.fields
        if known and name not in _CHANGING and self.fields[name] != value:
            raise contradiction(name, self.where[name], where)
        self.fields[name] = value
        self.where[name] = where

    def merge(self, other: Said) -> None:
        """Add what another text says; raises as :meth:`take` does, also for a VM's state."""
        for name, value in other.fields.items():
            if name in self.fields and self.fields[name] != value:
                raise contradiction(name, self.where[name], other.where[name])
            self.take(name, value, other.where[name])
        self.refusals += other.refusals
        self.named = self.named or other.named

    def refusal_of(self, command: str) -> Refusal | None:
        """The errors that the host gave, as one refusal of ``command``; None without any."""
        if not self.refusals:
            return None
        words = "; ".join(desc for _, desc in self.refusals[:_REFUSALS_MAX])
        return Refusal(command, self.refusals[0][0], words)

    def __bool__(self) -> bool:
        return bool(self.fields or self.refusals)


def as_text(content: bytes, where: str) -> str:
    """The content as text: UTF-8 with nothing in it that steers a terminal."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise unusable(where, "It is not text in UTF-8.") from None
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise unusable(where, f"It has a control character in line {line}.")
    return text


def read_text(text: str, where: str, launch_id: str) -> Said:
    """The known fields in a text; what is not known is passed over.

    ``where`` names the text in errors. Raises VerificationRefused
    ``reply-of-another-launch``, and HostError ``exchange-reply-unusable`` or
    ``exchange-reply-contradicts``.
    """
    said = Said()
    rest: list[str] = []
    for number, (before, message) in enumerate(_cut(text, where)):
        if number > MESSAGES_PER_COMMAND:
            raise unusable(where, f"It has more than {MESSAGES_PER_COMMAND} messages.")
        rest.append(before)
        if message:
            _take_message(said, _parse(message, where), where, launch_id)
    outside = "\n".join(rest)
    _take_elements(said, outside, where)
    _take_rows(said, outside, where, launch_id)
    return said


def bare_data(content: bytes, where: str) -> Said:
    """What a file says that is nothing but a measurement or a report, raw or in base64.

    64 hex digits are a MAC without its nonce, and no measurement.
    """
    said = Said()
    if len(content) in _DATA_SIZES and not content.isascii():
        said.take(_DATA_SIZES[len(content)], base64.b64encode(content).decode(), where)
        return said
    text = b"".join(content.split())
    sized = len(text) in (_BASE64_OF_48, _BASE64_OF_208)
    if sized and _BARE_BASE64.fullmatch(text) and not _BARE_HEX.fullmatch(text):
        said.take(_kind_of_data(text.decode(), where), text.decode(), where)
    return said


def is_remark(line: str) -> bool:
    """Whether a line of a form is a comment, or only names the launch."""
    row = _ROW.fullmatch(line)
    return line.startswith("#") or (row is not None and row[1].lower() == LAUNCH_KEY)


# -- JSON --------------------------------------------------------------------------


def _cut(text: str, where: str) -> Iterator[tuple[str, str]]:
    """The text in pieces: what stands before each outermost ``{…}``, and that."""
    position = 0
    while (start := text.find("{", position)) >= 0:
        end = _end_of_object(text, start, where)
        yield text[position:start], text[start:end]
        position = end
    yield text[position:], ""


def _end_of_object(text: str, start: int, where: str) -> int:
    depth = 0
    in_string = False
    for match in _MARKS.finditer(text, start):
        mark = match[0]
        if mark == '"':
            in_string = not in_string
        elif not in_string and mark in "{[":
            depth += 1
            if depth > JSON_DEPTH:
                raise unusable(where, f"It is nested deeper than {JSON_DEPTH} levels.")
        elif not in_string and mark in "}]":
            depth -= 1
            if not depth:
                return match.end()
    line = text.count("\n", 0, start) + 1
    raise unusable(where, f"The “{{” in line {line} is never closed: the text is cut short.")


def _parse(message: str, where: str) -> Mapping[str, object]:
    try:
        value = parse_json(message, where, deepest=JSON_DEPTH)
    except BadInput as error:
        raise unusable(where, f"What stands in “{{…}}” is no JSON. {error.message}") from None
    return value if isinstance(value, dict) else {}


def _take_message(said: Said, message: Mapping[str, object], where: str, launch_id: str) -> None:
    """One message of QMP, or an answer without its envelope."""
    identity = message.get("id")
    if isinstance(identity, str) and identity.startswith(MESSAGE_ID_PREFIX):
        _check_launch(said, identity.removeprefix(MESSAGE_ID_PREFIX), where, launch_id)
    error = message.get(_ERROR)
    if isinstance(error, dict):
        said.refusals.append((str(error.get("class", "")), str(error.get("desc", ""))))
    elif "return" in message:
        _take_answer(said, message["return"], where)
    elif not {"QMP", "event", "execute", "exec-oob"} & message.keys():
        _take_answer(said, message, where)


def _take_answer(said: Said, answer: object, where: str) -> None:
    if isinstance(answer, list):
        if answer and all(isinstance(each, dict) and "cpu-index" in each for each in answer):
            said.take(VCPUS, len(answer), where)
        return
    if not isinstance(answer, dict):
        return
    if "data" in answer:
        said.take(_kind_of_data(answer["data"], where), answer["data"], where)
    for name, value in answer.items():
        known = _known(name)
        if known is not None:
            said.take(known, value, where)


def _kind_of_data(data: object, where: str) -> str:
    """QEMU calls both the measurement and the report ``data``: the length tells which it is."""
    if isinstance(data, str) and len(data) == _BASE64_OF_48:
        return MEASUREMENT
    if isinstance(data, str) and len(data) == _BASE64_OF_208:
        return REPORT
    raise unusable(where, "Its `data` is neither a launch measurement nor an attestation report.")


def _known(name: str) -> str | None:
    """QEMU's name for a field that others call otherwise; None for one that is not known."""
    known = known_field(name)
    return known if known in _FIELDS else None


# -- tables, forms, XML ------------------------------------------------------------


def _take_elements(said: Said, text: str, where: str) -> None:
    """The few elements of ``virsh domcapabilities`` that count; nothing else of XML is read."""
    for match in _ELEMENT.finditer(text):
        name = _known(match[1])
        if name is not None:
            said.take(name, _value(name, "".join(match[2].split())), where)


def _take_rows(said: Said, text: str, where: str, launch_id: str) -> None:
    name, parts = "", [""]
    for line in [*text.splitlines(), ""]:
        more = _MORE_BASE64.fullmatch(line) if name in _LONG else None
        if more is not None:
            parts.append(more[1])
            continue
        if name:
            said.take(name, _value(name, "".join(parts)), where)
        name, parts = _row(said, line, where, launch_id)


def _row(said: Said, line: str, where: str, launch_id: str) -> tuple[str, list[str]]:
    """The field that a line begins, and its value so far; no name if it begins none."""
    match = _ROW.fullmatch(line)
    if match is None or match[2] is None:
        return "", [""]
    key, value = match[1].lower(), match[2].strip()
    if key == LAUNCH_KEY:
        _check_launch(said, value, where, launch_id)
    elif key == _ERROR:
        said.refusals.append(("", value))
    elif key == "state":  # virsh dominfo says this of the vCPUs, in words of its own
        key, value = "running", _RUN_STATES.get(value, "")
    return (_known(key) or "", [value]) if value else ("", [""])


def _value(name: str, text: str) -> object:
    """A value of a table as QEMU would give it; what is none stays text, and is refused later."""
    if name in _NUMBERS and _DIGITS.fullmatch(text):
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    if name in _FLAGS:
        return _WORDS.get(text.lower(), text)
    return text


def _check_launch(said: Said, theirs: str, where: str, launch_id: str) -> None:
    if theirs != launch_id:
        raise reply_of_another_launch(launch_id, theirs, where)
    said.named = True
