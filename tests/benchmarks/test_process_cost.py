# SPDX-License-Identifier: Apache-2.0
"""What a plain command costs as a process: against libvirt's tool, and against bare Python.

Measured is what people install: the wheel, in a venv of its own. The editable install of
a working tree starts more slowly, but so does every Python in its venv.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from watchword.core.cli.main import COMMANDS

from .ratio import Ratio

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "docs", "gui", "resources")
FILES = ("pyproject.toml", "README.md", "LICENSE")
NONCE = "00" * 16
GUEST = ("--api", "1.49", "--build", "6", "--policy", "1")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """As an installed program runs: with compiled modules kept, and from where it is installed."""
    unusual = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    kept = {k: v for k, v in os.environ.items() if k not in unusual}
    return {**kept, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


@pytest.fixture
def process(environment: dict[str, str]) -> Callable[[Sequence[object]], str]:
    def run(words: Sequence[object]) -> str:
        command = [str(word) for word in words]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return result.stdout

    return run


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``bin`` of a new venv in which Watchword's wheel is all that is installed."""
    made = tmp_path_factory.mktemp("installed")
    source = made / "source"  # a copy, because setuptools leaves files where it builds
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-cache-dir"]
    offline = ["--no-index", "--no-deps"]
    wheel = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", made, source]
    subprocess.run(wheel, check=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made / "venv"], check=True)
    into = [*pip, "--python", made / "venv" / "bin" / "python", "install", *offline]
    subprocess.run([*into, *made.glob("*.whl")], check=True, timeout=300)
    return made / "venv" / "bin"


@pytest.fixture
def watchword(programs: Path) -> Path:
    """The installed command."""
    return programs / "watchword"


@pytest.fixture
def question(vectors: Path, tmp_path: Path, watchword: Path, process) -> tuple[list[object], str]:
    """Options for a right measurement of Debian's firmware, and what the host reports."""
    keys = tmp_path / "tk.bin"
    keys.write_bytes(bytes(range(32)))
    firmware = vectors / "firmware" / "OVMF_CODE_4M.fd"
    options: list[object] = ["--tk", keys, "--firmware", firmware]
    compute = (watchword, "measurement", "compute", *options, *GUEST, "--nonce", NONCE, "--json")
    return options, json.loads(process(compute))["blob"]


def verify_command(watchword: Path, question: tuple[list[object], str]) -> list[object]:
    options, blob = question
    return [watchword, "measurement", "verify", *options, *GUEST, "--reported", blob]


def test_verifying_takes_a_fraction_of_libvirts_tool(
    question, watchword: Path, process, program, ratio: Ratio
) -> None:
    options, blob = question
    tool = program("virt-qemu-sev-validate", "libvirt-clients-qemu")
    peer = ["/usr/bin/python3", tool, *options, "--measurement", blob]
    peer += ["--api-major", 1, "--api-minor", 49, "--build-id", 6, "--policy", 1]
    ours = verify_command(watchword, question)
    ratio(
        "measurement verify / virt-qemu-sev-validate",
        lambda: process(ours),
        lambda: process(peer),
        0.6,
    )


def test_verifying_takes_a_small_multiple_of_bare_python(
    question, programs: Path, watchword: Path, process, ratio: Ratio
) -> None:
    bare = [programs / "python", "-c", "import argparse, hashlib, hmac"]
    ours = verify_command(watchword, question)
    ratio("measurement verify / bare Python", lambda: process(ours), lambda: process(bare), 2.0)


def test_what_each_commands_own_imports_cost_is_listed(process) -> None:
    script = (
        "import sys, time; began = time.perf_counter(); import importlib;"
        "importlib.import_module('watchword.core.cli.' + sys.argv[1]);"
        "print(1000 * (time.perf_counter() - began))"
    )
    for module in (f"{word}_command" for word in COMMANDS):
        times = [float(process([sys.executable, "-c", script, module])) for _ in range(3)]
        print(f"\nimports of {module}: {min(times):.0f} ms", end="")
        assert min(times) > 0
