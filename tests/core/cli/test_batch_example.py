# SPDX-License-Identifier: Apache-2.0
"""The example manifest of the documentation, through the checker as its readers would."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from watchword.core.batch.manifest import LaunchEntry, Manifest
from watchword.core.batch.results import Outcome

from .batch_support import Home, lines

DOCS = Path(__file__).resolve().parents[3] / "docs"
FIRMWARE = "/srv/firmware/OVMF.amdsev.fd"


@pytest.fixture
def home(monkeypatch, tmp_path, keys, firmware):
    """A home with the guests that the example names."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path))
    made = Home(tmp_path, keys, firmware)
    made.profile("web")
    made.profile("db")
    return made


@pytest.fixture
def example(home, firmware, folder, platform):
    """The example, with the files that it names where they are in this test."""
    text = (DOCS / "fleet.example.toml").read_text()
    content = firmware.read_bytes()
    assert text.count(FIRMWARE) == 1
    text = text.replace(FIRMWARE, str(firmware))
    text, count = re.subn(
        r'sha256 = "[0-9a-f]{64}"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', text
    )
    assert count == 1
    (folder / "fleet.toml").write_text(text)
    (folder / "rack1.cert").write_bytes((platform / "full_chain.cert").read_bytes())
    return folder / "fleet.toml"


def test_the_example_is_in_order(command, example, home):
    shown = command("--batch", example, "--check", "--passphrase-file", home.passphrase)
    assert shown.status == 0, shown.err
    checked = lines(shown.out)[-1]
    assert (checked["launches"], checked["vault_checked"]) == (4, True)
    assert checked["starting"] == ["web1", "web2", "trial"]


def test_what_the_example_needs_is_what_is_missing_without_it(command, example, home):
    (example.parent / "rack1.cert").unlink()
    home.store.remove("db")
    shown = command("--batch", example, "--check", "--passphrase-file", home.passphrase)
    assert shown.status == 6
    said = {
        ".".join(map(str, one["path"]))
        for one in lines(shown.out)[-1]["error"]["details"]["problems"]
    }
    assert said == {"defaults.certificates", "hosts.rack1.certificates", "launch.1.guest"}


def test_the_page_names_every_key_and_every_outcome():
    page = (DOCS / "batch.md").read_text()
    keys = {*Manifest.model_fields, *LaunchEntry.model_fields} - {"defaults", "launch", "profile"}
    assert [key for key in keys if f"`{key}`" not in page] == []
    assert [one.value for one in Outcome if f"`{one.value}`" not in page] == []


def test_the_page_names_every_event():
    core = DOCS.parent / "core"
    sources = [
        *(core / "batch").glob("*.py"),
        *(core / "cli").glob("batch*.py"),
        core / "workers" / "dispatch.py",
    ]
    found = [re.findall(r'"event": "([a-z-]+)"', path.read_text()) for path in sources]
    page = (DOCS / "batch.md").read_text()
    events = {event for some in found for event in some}
    assert {"batch", "result", "summary"} < events
    assert sorted(event for event in events if f"\n| `{event}` | " not in page) == []
