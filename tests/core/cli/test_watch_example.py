# SPDX-License-Identifier: Apache-2.0
"""The example and the page of the documentation, held against the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from watchword.core.guest.watch_limits import WatchLimits
from watchword.core.watch.metrics import WatchMetrics
from watchword.core.watch.settings import (
    FolderTable,
    HostTable,
    LibvirtTable,
    SocketTable,
    WatchFile,
)

from .batch_support import lines
from .watch_support import LIMITS

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "watch.example.toml"
PAGE = (ROOT / "docs" / "watch.md").read_text()


@pytest.fixture
def example(batch_home, folder, platform):
    """The example, with what it names where it is in this test."""
    batch_home.store.remove("web")
    for name in ("web", "db"):
        batch_home.profile(name, watch=LIMITS)
    (folder / "rack1.cert").write_bytes((platform / "full_chain.cert").read_bytes())
    (folder / "requests").mkdir()
    (folder / "watch.toml").write_text(EXAMPLE.read_text())
    return folder / "watch.toml"


def test_the_example_is_in_order(command, example, batch_home):
    words = ("--watch", example, "--dry-run", "--passphrase-file", batch_home.passphrase)
    shown = command(*words)
    assert shown.status == 0, shown.err
    checked = lines(shown.out)[-1]
    assert (checked["ok"], checked["vault_checked"]) == (True, True)
    assert list(checked["guests"]) == ["web", "db"]
    assert checked["hosts"] == ["qmp+unix:///run/vms/*.qmp", "libvirt+qemu:///system?domain=*"]
    assert "2 guests would be served. Nothing was started." in shown.err
    assert not (example.parent / "ask.sock").exists()
    assert not (example.parent / "approvals").exists()


def test_what_the_example_needs_is_what_is_missing_without_it(command, example, batch_home):
    (example.parent / "rack1.cert").unlink()
    batch_home.store.remove("db")
    shown = command("--watch", example, "--dry-run", "--json")
    assert shown.status == 6
    said = {
        ".".join(map(str, one["path"]))
        for one in lines(shown.out)[-1]["error"]["details"]["problems"]
    }
    assert said == {"hosts.0.certificates", "guests.1"}
    assert "line 8, guests[1]: " in shown.err


def test_the_example_and_the_page_name_every_key():
    models = (WatchFile, HostTable, FolderTable, SocketTable, LibvirtTable)
    keys = {key for model in models for key in model.model_fields}
    assert [key for key in keys | set(WatchLimits.model_fields) if f"`{key}`" not in PAGE] == []
    text = EXAMPLE.read_text()
    assert [key for key in keys if not re.search(rf"^(\[+)?{key}\b", text, re.MULTILINE)] == []


def test_the_page_names_every_code_of_the_watch():
    source = "".join(
        (ROOT / "core" / "watch" / name).read_text() for name in ("watch_errors.py", "rules.py")
    )
    codes = set(re.findall(r'(?:Refused|Pending|Input|UsageError)\(\s*"([a-z-]+)"', source))
    assert len(codes) > 15
    assert [code for code in codes if f"`{code}`" not in PAGE] == []


def test_the_page_names_every_event_and_metric():
    text = WatchMetrics().text().decode()
    names = set(re.findall(r"^# TYPE watchword_watch_(\w+) ", text, re.MULTILINE))
    assert [name for name in names if f"`{name}" not in PAGE] == []
    sources = "".join(path.read_text() for path in (ROOT / "core" / "watch").glob("*.py"))
    events = set(re.findall(r'"event": "([a-z-]+)"', sources)) - {"reload-refused"}
    assert [event for event in events if f"`{event}`" not in PAGE] == []
