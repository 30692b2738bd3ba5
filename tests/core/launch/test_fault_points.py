# SPDX-License-Identifier: Apache-2.0
"""The registered fault points: every one is passed, and there are no others."""

from __future__ import annotations

import ast
import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.launch import fault_points
from watchword.core.launch.fault_points import FAULT_POINTS, VARIABLE

from .support import Stage, prepared

CORE = Path(fault_points.__file__).resolve().parents[1]


def named_in_the_source():
    """What the calls in the core name; a name that is no literal would be None."""
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "fault_point":
                yield node.args[0].value if isinstance(node.args[0], ast.Constant) else None


def test_the_source_names_registered_points_and_all_of_them():
    assert len(set(FAULT_POINTS)) == len(FAULT_POINTS)
    assert set(named_in_the_source()) == set(FAULT_POINTS)


def test_a_whole_launch_and_one_that_is_abandoned_pass_every_point(office, keys, monkeypatch):
    passed = []
    for name, module in list(sys.modules.items()):
        if name.startswith("watchword.core.launch.") and hasattr(module, "fault_point"):
            monkeypatch.setattr(module, "fault_point", passed.append)

    async def scenario():
        async with Stage(keys) as stage:
            with office.desk(stage) as desk:
                run = desk.new(office.order())
                await run.run(until="session")
                await stage.start(run.material)
                await run.run()
            given_up = await prepared(office, stage, start=False)
            with office.desk(stage) as desk:
                desk.abandon(given_up, "enough of it")

    asyncio.run(scenario())
    in_order = [name for number, name in enumerate(passed) if name not in passed[:number]]
    assert in_order == list(FAULT_POINTS)


SCRIPT = """
from watchword.core.launch.fault_points import fault_point
for _ in range(3):
    fault_point("packet-stored")
    print("passed", flush=True)
"""


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [("packet-stored", 0), ("packet-stored:2", 1), ("packet-in-vault", 3), ("", 3), (None, 3)],
)
def test_the_process_dies_at_the_point_that_is_named(chosen, passes, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    if chosen is not None:
        monkeypatch.setenv(VARIABLE, chosen)
    words = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert ended.stdout == b"passed\n" * passes
    assert ended.returncode == (0 if passes == 3 else -signal.SIGKILL)
