# SPDX-License-Identifier: Apache-2.0
"""Counts, and writes them as Prometheus reads them: text, exposition format 0.0.4."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_MOST_SERIES: Final = 5000
"""Label values of one family; further ones are counted together, under OTHER."""
OTHER: Final = "(other)"
_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Family:
    """Values of one name, told apart by labels: ``add`` makes a counter, ``put`` a gauge.

    ``kind``    counter or gauge
    ``labels``  names of the labels, in the order in which their values are given
    """

    def __init__(self, name: str, kind: str, purpose: str, labels: Sequence[str] = ()) -> None:
        if any(_NAME.fullmatch(one) is None for one in (name, *labels)):
            raise ValueError(f"{name} or a label of it is no name for a metric")
        self.name = name
        self._head = (f"# HELP {name} {_help(purpose)}", f"# TYPE {name} {kind}")
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count one more, or several."""
        key = self._key(labels)
        self._values[key] = self._values.get(key, 0) + by

    def put(self, value: float, *labels: str) -> None:
        """State a value anew."""
        self._values[self._key(labels)] = value

    def get(self, *labels: str) -> float:
        """The value, 0 where there is none yet."""
        return self._values.get(labels, 0)

    def clear(self) -> None:
        """Forget all, before gauges are stated anew."""
        self._values.clear()

    def lines(self) -> Iterator[str]:
        """What Prometheus reads of it."""
        yield from self._head
        for key in sorted(self._values):
            yield f"{self.name}{_braces(self._labels, key)} {_number(self._values[key])}"

    def _key(self, labels: Sequence[str]) -> tuple[str, ...]:
        key = tuple(labels)
        if len(key) != len(self._labels):
            raise ValueError(f"{self.name} takes {len(self._labels)} labels")
        if key not in self._values and len(self._values) >= _MOST_SERIES:
            return (OTHER,) * len(key)
        return key


class Histogram:
    """How long something took, by upper bounds in seconds."""

    def __init__(self, name: str, purpose: str, bounds: Sequence[float]) -> None:
        self.name = name
        self._head = (f"# HELP {name} {_help(purpose)}", f"# TYPE {name} histogram")
        self._bounds = tuple(sorted(bounds))
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Note one."""
        self._counts[bisect.bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def lines(self) -> Iterator[str]:
        """What Prometheus reads of it."""
        yield from self._head
        total = 0
        bounds: Mapping[str, int] = {
            **{
                _number(bound): count
                for bound, count in zip(self._bounds, self._counts, strict=False)
            },
            "+Inf": self._counts[-1],
        }
        for bound, count in bounds.items():
            total += count
            yield f'{self.name}_bucket{{le="{bound}"}} {total}'
        yield f"{self.name}_sum {_number(self._sum)}"
        yield f"{self.name}_count {total}"


def exposition(families: Sequence[Family | Histogram]) -> bytes:
    """All of them, as the body of an answer with CONTENT_TYPE."""
    lines = [line for family in families for line in family.lines()]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (
        f'{name}="{value.translate(_ESCAPED)}"' for name, value in zip(names, values, strict=True)
    )
    return "{" + ",".join(pairs) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
