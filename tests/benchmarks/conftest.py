# SPDX-License-Identifier: Apache-2.0
"""The fixture ``ratio``, which keeps each figure for pytest-benchmark's table as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .ratio import ROUNDS, Ratio, best_times

ATTEMPTS = 6


@pytest.fixture
def ratio(benchmark, record_property: Callable[[str, object], None]) -> Ratio:
    """Compare with a floor; the benchmark table shows ours, its extra info floor and ratio."""

    def compare(
        name: str,
        ours: Callable[[], object],
        floor: Callable[[], object],
        most: float,
        *,
        rounds: int = ROUNDS,
    ) -> None:
        # What disturbs a machine hits one side by chance, so a miss is measured again.
        for _ in range(ATTEMPTS):
            mine, least = best_times(ours, floor, rounds)
            found = mine / least
            if found <= most:
                break
        benchmark.extra_info.update(name=name, ratio=round(found, 3), most=most)
        record_property(name, f"{found:.3f} (at most {most})")
        benchmark.pedantic(ours, rounds=1, iterations=1)
        print(f"\n{name}: {found:.2f} (at most {most}); ours {mine * 1e3:.2f} ms")
        assert found <= most, f"{name}: {found:.2f}, more than {most}"

    return compare
