# SPDX-License-Identifier: Apache-2.0
"""What desktops read about the program: its entry and its metadata, valid and in agreement."""

from __future__ import annotations

import configparser
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "resources"
ID = "local.watchword.Watchword"
ENTRY = RESOURCES / f"{ID}.desktop"
METADATA = RESOURCES / f"{ID}.metainfo.xml"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def entry() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str
    parser.read(ENTRY, encoding="utf-8")
    return parser["Desktop Entry"]


def test_the_desktop_entry_is_valid(program) -> None:
    tool = program("desktop-file-validate", "desktop-file-utils")
    done = subprocess.run([tool, ENTRY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_metadata_is_valid(program) -> None:
    tool = program("appstreamcli", "appstream")
    done = subprocess.run(
        [tool, "validate", "--no-net", METADATA], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "W:" not in done.stdout
    assert "E:" not in done.stdout


def test_both_speak_of_the_same_program() -> None:
    component = ElementTree.parse(METADATA).getroot()
    assert component.findtext("id") == ID
    assert component.findtext("launchable") == ENTRY.name
    assert component.findtext("name") == entry()["Name"] == "Watchword"
    assert entry()["StartupWMClass"] == ID
    assert (RESOURCES / "icons" / f"{entry()['Icon']}.svg").is_file()
    assert component.findtext("summary") == entry()["Comment"]


def test_they_name_commands_and_version_of_the_package() -> None:
    component = ElementTree.parse(METADATA).getroot()
    project = PYPROJECT["project"]
    commands = {**project["scripts"], **project["gui-scripts"]}
    assert {binary.text for binary in component.iter("binary")} == set(commands)
    assert entry()["Exec"] in commands
    assert component.findtext("project_license") == project["license"]
    newest = next(component.iter("release"))
    assert newest.get("version") == project["version"]


def test_no_domain_is_claimed_that_somebody_could_own() -> None:
    assert ID.startswith("local.")
    for text in (ENTRY.read_text(encoding="utf-8"), METADATA.read_text(encoding="utf-8")):
        assert "://" not in text
