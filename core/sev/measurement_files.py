# SPDX-License-Identifier: Apache-2.0
"""Reads a launch measurement in the form in which a program prints it.

Known: 48 bytes, raw or as base64; QMP's answers, one or several (query-sev-launch-measure,
query-sev); the table of ``virsh domlaunchsecinfo``; the JSON of ``virtctl sev query-measurement``.
All of it is the host's word: version and policy beside a measurement are true only inside
a good MAC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..base64_text import decode_base64, refuse_pem
from ..bounded_json import parse_json
from ..errors import BadInput
from ..frozen import dataclass
from .firmware_version import FirmwareVersion
from .measurement import ReportedMeasurement
from .peer_names import VERSION_FIELDS, known_fields

MEASUREMENT_SIZE: Final = 48
REPORT_SIZE: Final = 208
LARGEST_ANSWER: Final = 64 << 10
"""Bytes of a file with an answer; an honest one has some hundreds."""
_MEASUREMENT_CHARACTERS: Final = 64
_MOST_MESSAGES: Final = 64
_DEEPEST: Final = 8
_ROW: Final = re.compile(r"\s*([A-Za-z][\w-]{0,39})\s*:\s*(\S+)\s*", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,10}|0[xX][0-9A-Fa-f]{1,8}", re.ASCII)
_DATA_KINDS: Final = {MEASUREMENT_SIZE: "measurement", REPORT_SIZE: "report"}


@dataclass(frozen=True, slots=True)
class ToldMeasurement:
    """What a file tells of a launch; None for what it doesn't.

    ``measurement`` has 48 bytes, ``report`` 208; ``policy`` is 32 bits.
    """

    measurement: bytes | None
    version: FirmwareVersion | None
    policy: int | None
    report: bytes | None


NOTHING_TOLD: Final = ToldMeasurement(None, None, None, None)


def read_told(content: bytes, field: str) -> ToldMeasurement:
    """Read a file that holds a measurement or an attestation report, in any form.

    Raises BadInput ``bad-measurement`` for one that holds neither or contradicts itself,
    and as decode_base64 and parse_json do.
    """
    if len(content) > LARGEST_ANSWER:
        raise _bad(field, f"It has {len(content)} bytes, too many for a measurement.")
    if len(content) in _DATA_KINDS and not content.isascii():
        return _told({_DATA_KINDS[len(content)]: content}, field)
    refuse_pem(content, field)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad(field, f"Its {len(content)} bytes are no launch measurement.") from None
    told = told_by(_answers(text, field), field)
    if told.measurement is None and told.report is None:
        raise _bad(field, "It holds no launch measurement.")
    return told


def told_by(answers: Iterable[Mapping[str, object]], field: str) -> ToldMeasurement:
    """What answers tell together. Raises BadInput where one contradicts another."""
    found: dict[str, object] = {}
    for answer in answers:
        for name, value in _fields(answer, field):
            if found.setdefault(name, value) != value:
                raise _bad(field, f"It tells two different values of {name}.")
    return _told(found, field)


def _told(found: Mapping[str, object], field: str) -> ToldMeasurement:
    numbers = [found.get(name) for name in VERSION_FIELDS]
    parts = [number for number in numbers if isinstance(number, int)]
    policy, measurement, report = (found.get(name) for name in ("policy", *_DATA_KINDS.values()))
    if 0 < len(parts) < len(numbers):
        raise _bad(field, "It tells a part of the firmware's version: API major, minor or build.")
    return ToldMeasurement(
        measurement if isinstance(measurement, bytes) else None,
        FirmwareVersion(*parts) if parts else None,
        policy if isinstance(policy, int) else None,
        report if isinstance(report, bytes) else None,
    )


# -- texts into answers ------------------------------------------------------------


def _answers(text: str, field: str) -> Iterator[Mapping[str, object]]:
    if text.lstrip().startswith("{"):
        yield from _messages(text, field)
        return
    rows = [row for row in map(_ROW.fullmatch, text.splitlines()) if row is not None]
    if rows:
        yield from ({row[1]: row[2]} for row in rows)
        return
    yield {"data": "".join(text.split())}


def _messages(text: str, field: str) -> Iterator[Mapping[str, object]]:
    """One JSON object, or one in each line, as QEMU's monitor prints them."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines[:2]):
        if len(lines) > _MOST_MESSAGES:
            raise _bad(field, f"It has more than {_MOST_MESSAGES} messages.")
        values = [parse_json(line, field, deepest=_DEEPEST) for line in lines]
    else:
        values = [parse_json(text, field, deepest=_DEEPEST)]
    for value in values:
        if isinstance(value, dict):
            inner = value.get("return", value)
            if isinstance(inner, dict):
                yield inner


def _fields(answer: Mapping[str, object], field: str) -> Iterator[tuple[str, object]]:
    """The fields that count here, with values of the right type and range."""
    data = answer.get("data")
    if isinstance(data, str):
        yield from _data(data, field)
    known = known_fields(answer)
    for name, greatest in (*((name, 0xFF) for name in VERSION_FIELDS), ("policy", 0xFFFF_FFFF)):
        if name in known:
            yield name, _number(known[name], name, greatest, field)
    for size, name in _DATA_KINDS.items():
        if name in known:
            found = _bytes(known[name], f"{field}: {name}")
            if len(found) != size:
                raise _bad(field, f"Its {name} has {len(found)} bytes instead of {size}.")
            yield name, found


def _data(data: str, field: str) -> Iterator[tuple[str, object]]:
    """QEMU calls both the measurement and the report ``data``: the size tells which it is."""
    found = _bytes(data, field)
    kind = _DATA_KINDS.get(len(found))
    if kind is None:
        raise _bad(
            field,
            f"It has {len(found)} bytes; a reported launch measurement has {MEASUREMENT_SIZE}.",
        )
    yield kind, found


def _bytes(value: object, field: str) -> bytes:
    if not isinstance(value, str):
        raise _bad(field, "It is not text.")
    if len(value) == _MEASUREMENT_CHARACTERS:  # hex digits of a bare MAC are base64 as well
        return ReportedMeasurement.from_base64(value, field).build()
    return decode_base64(value, field, REPORT_SIZE)


def _number(value: object, name: str, greatest: int, field: str) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value, 16 if value[:2].lower() == "0x" else 10)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= greatest:
        raise _bad(field, f"Its {name} is no number from 0 to {greatest}.")
    return value


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(
        "bad-measurement",
        field,
        problem,
        "Give `data` of query-sev-launch-measure, or what `virsh domlaunchsecinfo` or `virtctl sev"
        " query-measurement` printed.",
    )
