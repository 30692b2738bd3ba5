# SPDX-License-Identifier: Apache-2.0
"""Measures one thing against a floor in turns, so that a busy machine slows both."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Protocol

ROUNDS = 15


class Ratio(Protocol):
    """Runs ``ours`` and ``floor`` in turns and fails if ours takes more than ``most`` times it."""

    def __call__(
        self,
        name: str,
        ours: Callable[[], object],
        floor: Callable[[], object],
        most: float,
        *,
        rounds: int = ROUNDS,
    ) -> None: ...


def best_times(
    ours: Callable[[], object], floor: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """The shortest time of each in seconds: what disturbs a machine only ever adds.

    As with timeit, garbage is not collected meanwhile: when that happens is chance.
    """
    ours(), floor()
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for call, kept in zip((ours, floor), times, strict=True):
                began = time.perf_counter()
                call()
                kept.append(time.perf_counter() - began)
    finally:
        gc.enable()
    return min(times[0]), min(times[1])
