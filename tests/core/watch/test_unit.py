# SPDX-License-Identifier: Apache-2.0
"""The systemd units: systemd reads them without a complaint, and finds little to attack."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.vault.credential_way import DEFAULT_NAME

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "resources" / "systemd"
SYSTEM = FOLDER / "watchword-watch.service"
USER = FOLDER / "user" / "watchword-watch.service"
OLD = FOLDER / "systemd-252.conf"
HIGHEST_EXPOSURE = 2.0


def run(*words, **more):
    words = tuple(map(str, words))
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **more},
    )  # fmt: skip


@pytest.fixture
def analyze(program):
    return program("systemd-analyze", "systemd")


def installed(analyze, unit, folder):
    """The unit as it is installed here: with a program, and a drop-in for an old systemd."""
    text = unit.read_text()
    assert text.count("ExecStart=/usr/bin/watchword ") == 1
    path = folder / unit.name
    path.write_text(text.replace("ExecStart=/usr/bin/watchword ", "ExecStart=/bin/true "))
    version = int(re.search(r"\d+", run(analyze, "--version").stdout)[0])
    if version < 253:
        drop_ins = folder / f"{unit.name}.d"
        drop_ins.mkdir()
        (drop_ins / OLD.name).write_text(OLD.read_text())
        # What the drop-in overrules is complained of all the same.
        path.write_text(path.read_text().replace("Type=notify-reload\n", ""))
    return path


@pytest.mark.parametrize(("unit", "whose"), [(SYSTEM, "--system"), (USER, "--user")])
def test_systemd_reads_the_unit_without_a_complaint(analyze, tmp_path, unit, whose):
    path = installed(analyze, unit, tmp_path)
    told = run(analyze, whose, "verify", "--man=no", path, XDG_RUNTIME_DIR=str(tmp_path))
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_there_is_little_to_attack(analyze, tmp_path):
    path = installed(analyze, SYSTEM, tmp_path)
    words = ("security", "--offline=yes", f"--threshold={int(HIGHEST_EXPOSURE * 10)}")
    told = run(analyze, *words, "--json=short", path)
    assert told.returncode == 0, told.stdout + told.stderr
    weak = {
        one["json_field"]: one["exposure"]
        for one in json.loads(told.stdout)
        if one["set"] is False and float(one["exposure"] or 0) >= 0.3
    }
    # It has to reach hosts; everything else of weight is taken from it.
    assert set(weak) <= {"PrivateNetwork", "RestrictAddressFamilies_AF_INET_INET6"}


def settings(unit):
    """The values of [Service], the last of each key."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit.read_text())
    return dict(parser["Service"])


@pytest.mark.parametrize("unit", [SYSTEM, USER])
def test_the_unit_is_watched_and_leaves_no_trace_of_secrets(unit):
    found = settings(unit)
    assert found["Type"] == "notify-reload"
    assert int(found["WatchdogSec"]) > 0
    assert (found["UMask"], found["LimitCORE"]) == ("0077", "0")
    assert found["NoNewPrivileges"] == found["MemoryDenyWriteExecute"] == "yes"


def test_the_credential_of_the_unit_is_the_one_that_a_vault_is_made_with():
    name, _, path = settings(SYSTEM)["LoadCredentialEncrypted"].partition(":")
    assert name == DEFAULT_NAME
    page = (ROOT / "docs" / "watch.md").read_text()
    assert f"--credential-out {path}" in page


def test_the_user_of_the_unit_is_made_by_the_file_for_sysusers(program):
    tool = program("systemd-sysusers", "systemd")
    told = run(tool, "--dry-run", FOLDER / "sysusers" / "watchword.conf")
    assert told.returncode == 0
    user = settings(SYSTEM)["User"]
    assert f"\nu {user} " in (FOLDER / "sysusers" / "watchword.conf").read_text()


NO_NEW_CODE = """\
import ctypes, sys
# What MemoryDenyWriteExecute= asks of the kernel, from Linux 6.3 on.
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
from watchword.core.cli.main import main
sys.exit(main(["rehearse", "--json"]))
"""


@pytest.mark.slow
def test_a_launch_needs_no_memory_that_is_both_written_and_executed(tmp_path):
    told = run(sys.executable, "-c", NO_NEW_CODE, WATCHWORD_HOME=str(tmp_path))
    assert told.returncode == 0, told.stderr
