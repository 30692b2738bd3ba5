# SPDX-License-Identifier: Apache-2.0
"""The builder of firmware for tests: where sources come from, what is edited, what comes out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from watchword.core.sev.firmware_approval import approve_firmware
from watchword.core.sev.firmware_contents import Grub, HashMismatch
from watchword.core.sev.firmware_inspection import inspect_firmware

from . import edit_sources
from .artifacts import HERE

DEB822 = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = "# a comment\ndeb [arch=amd64] http://mirror.example/debian bookworm main\n"


@pytest.fixture
def sourced(tmp_path):
    """Runs a line of bash with sources.sh at hand, and apt's folder in ``tmp_path``."""
    (tmp_path / "sources.list.d").mkdir()

    def run(line):
        return subprocess.run(
            ["/bin/bash", "-euc", f'. "{HERE}/sources.sh"; {line}'],
            env={"PATH": os.environ["PATH"], "WATCHWORD_APT_FOLDER": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_machines_own_list_is_asked_for_sources_too(sourced, tmp_path):
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    assert sourced("derive_list .").returncode == 0
    made = (tmp_path / "debian.sources").read_text()
    assert made == DEB822.replace("Types: deb", "Types: deb deb-src")


def test_a_list_of_the_older_form_will_do(sourced, tmp_path):
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert sourced("derive_list .").returncode == 0
    lines = (tmp_path / "debian.list").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["deb", "deb-src"]
    assert {line.split(" ", 1)[1] for line in lines} == {
        "[arch=amd64] http://mirror.example/debian bookworm main"
    }


def test_a_machine_without_a_list_is_told_apart_from_a_failed_build(sourced):
    done = sourced("use_debians_sources state")
    assert done.returncode == 75
    assert done.stderr.startswith("no sources: neither ")


def test_a_machine_that_reaches_no_archive_is_told_apart_too(sourced, tmp_path):
    nobody = DEB822.replace("mirror.example", "127.0.0.1:9")
    (tmp_path / "sources.list.d" / "debian.sources").write_text(nobody)
    done = sourced('use_debians_sources "$PWD/state"')
    assert done.returncode == 75
    assert done.stderr.startswith("no sources: apt-get update failed: E: ")
    assert not (tmp_path / "state" / "refreshed").exists()


def test_no_source_of_packages_is_named_in_the_builder():
    for path in HERE.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert "://" not in path.read_text(encoding="utf-8"), path


def test_an_unknown_flavour_is_a_usage_error():
    done = subprocess.run(
        [HERE / "build", "windows"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: build FLAVOUR" in done.stderr


def test_an_edit_is_made_where_its_anchor_stands(tmp_path):
    (tmp_path / "a.c").write_text("one\nanchor\ntwo\n")
    edit_sources.edit_file(edit_sources.Edit("a.c", "anchor\n", "{}more\n"), tmp_path)
    assert (tmp_path / "a.c").read_text() == "one\nanchor\nmore\ntwo\n"


@pytest.mark.parametrize("text", ["nothing\n", "anchor\nanchor\n"])
def test_an_edit_that_does_not_fit_ends_the_build(tmp_path, text):
    (tmp_path / "a.c").write_text(text)
    with pytest.raises(SystemExit):
        edit_sources.edit_file(edit_sources.Edit("a.c", "anchor\n", "{}more\n"), tmp_path)
    assert (tmp_path / "a.c").read_text() == text


@pytest.mark.parametrize("tree", ["grub2", "edk2"])
def test_every_file_that_is_copied_is_there(tree):
    assert all((HERE / ours).is_file() for ours in edit_sources.COPIES[tree])


def test_what_becomes_part_of_grub_is_under_its_licence():
    for path in (HERE / "grub").glob("*.[ch]"):
        assert "SPDX-License-Identifier: GPL-3.0-or-later" in path.read_text(), path
    for path in (HERE / "edk2").iterdir():
        assert "SPDX-License-Identifier: BSD-2-Clause-Patent" in path.read_text(), path


@pytest.mark.slow
def test_our_firmware_halts_asks_nobody_and_needs_no_waiver(own_firmware: Path):
    inspection = inspect_firmware(own_firmware.read_bytes())
    assert inspection.hash_mismatch.value is HashMismatch.HALTS
    assert inspection.grub.value is Grub.SILENT
    assert approve_firmware([("ours", inspection.findings)], kernel_hashes=True).warnings == ()


def test_the_proof_of_concepts_firmware_is_a_no_go_for_both_reasons(shared_artifacts: Path):
    inspection = inspect_firmware((shared_artifacts / "OVMF.amdsev.fd").read_bytes())
    assert {finding.code for finding in inspection.findings if finding.waivable} == {
        "hash-mismatch-falls-through",
        "grub-prompts",
    }
