# SPDX-License-Identifier: Apache-2.0
"""A plain comparison starts without what costs more time than the comparison itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import watchword.core

HEAVY = ("asyncio", "cryptography", "dataclasses", "difflib", "inspect", "json", "pathlib")
HEAVY += ("typing", "uuid")
CODE = f"""
import gc, sys
sys.path.insert(0, sys.argv.pop(1))
from watchword.core.cli.start import main
status = main()
print(status, gc.isenabled(), sorted(set({HEAVY}) & set(sys.modules)))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder to import from that holds the program alone, as Python finds it without site."""
    (tmp_path / "watchword").mkdir()
    core = Path(watchword.core.__path__[0])
    for name in ("core", "resources"):
        (tmp_path / "watchword" / name).symlink_to(core.with_name(name))
    return tmp_path


@pytest.mark.parametrize(
    "guest",
    [
        pytest.param(("--policy=default", "--vcpus=2", "--cpu=EPYC-Milan"), id="SEV-ES"),
        pytest.param(("--policy=1",), id="SEV"),
    ],
)
def test_a_measurement_is_verified_without_heavy_modules(
    command, firmware, tmp_path, installed, guest
):
    tik = tmp_path / "tik.bin"
    tik.write_bytes(bytes(16))
    words = (f"--tik={tik}", "--api=1.49", "--build=6", f"--firmware={firmware}", *guest)
    blob = command("measurement", "compute", *words, f"--nonce={'00' * 16}", "--json").json["blob"]
    verify = ("measurement", "verify", *words, f"--reported={blob}")
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", CODE, installed, *verify],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.splitlines()[0] == "The measurement matches."
    assert result.stdout.splitlines()[-1] == "0 True []"
