# SPDX-License-Identifier: Apache-2.0
"""WATCH.toml: all that is wrong is told at once with its line, and nothing else is let through."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.guest.approvals import APPROVABLE
from watchword.core.guest.approving import approve
from watchword.core.guest.document import profile_from_document
from watchword.core.guest.store import ProfileStore
from watchword.core.simulator import build_firmware
from watchword.core.watch.settings import (
    FolderTable,
    HostTable,
    LibvirtTable,
    SocketTable,
    WatchFile,
    read_settings,
    schema_text,
    settings_schema,
)
from watchword.core.watch.settings_check import check_settings
from watchword.core.watch.settings_errors import WatchFileInvalid, WatchFileRefused
from watchword.core.watch.settings_values import TcpPlace
from watchword.resources import read_bytes

REGENERATE = (
    "run: python -c 'from watchword.core.watch.settings import schema_text;"
    ' print(schema_text(), end="")\' > resources/watch.schema.json'
)
NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)
HOSTS = '[[hosts]]\nurl = "qmp+unix:///run/vms/*.qmp"\n'
SOUND = 'guests = ["web"]\n' + HOSTS + '[socket]\npath = "ask.sock"\n'


class Folder:
    """A folder with a firmware, guest profiles and settings."""

    def __init__(self, path):
        self.path = path
        self.store = ProfileStore(path / "guests")
        self.firmware = path / "OVMF.fd"
        self.firmware.write_bytes(build_firmware())

    def profile(self, name="web", **values):
        document = {
            "name": name,
            "technology": "sev-es",
            "policy": "default",
            "firmware": str(self.firmware),
            "vcpus": 2,
            "cpu": "EPYC-Milan",
            "ceks": ["ab" * 32],
            "watch": {"instances_at_most": 3},
            **values,
        }
        document = {key: value for key, value in document.items() if value is not None}
        self.store.add(approve(profile_from_document(document, name), APPROVABLE, NOW)[0])

    def check(self, text, entries=None):
        return check_settings(text.encode(), "watch.toml", self.path, self.store, entries)

    def problems(self, text, entries=None):
        """What is wrong: sentences by place and line."""
        try:
            self.check(text, entries)
        except (WatchFileInvalid, WatchFileRefused) as error:
            found = {}
            for one in error.problems:
                found.setdefault((".".join(map(str, one.path)), one.line), []).append(one.sentence)
            return {place: " | ".join(sentences) for place, sentences in found.items()}
        return {}


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    made.profile()
    return made


def test_what_is_set_is_what_counts(folder):
    (folder.path / "requests").mkdir()
    found = folder.check(
        'guests = "web"\njobs = 4\nmost_waiting = 9\nexpire_seconds = 600\napprovals = "a"\n'
        'metrics = "[::1]:9469"\n' + HOSTS + '[folder]\npath = "requests"\ngroup_reads = true\n'
        '[socket]\npath = "ask.sock"\ngroup = 0\n'
        '[[libvirt]]\nurl = "libvirt+qemu:///system"\nguests = { "web-*" = "web" }\n'
    )
    rules = found.rules
    assert list(rules.guests) == ["web"]
    assert (rules.jobs, rules.most_waiting, rules.expire_seconds) == (4, 9, 600)
    assert rules.approvals == folder.path / "a"
    assert rules.host("qmp+unix:///run/vms/vm1.qmp")
    assert rules.host("libvirt+qemu:///system?domain=web-1")
    assert found.folder == folder.path / "requests"
    assert found.folder_group_reads
    assert (found.socket, found.group) == (folder.path / "ask.sock", 0)
    assert found.metrics == TcpPlace("::1", 9469)
    assert found.libvirts[0].guests == (("web-*", "web"),)


def test_nothing_is_made_by_looking(folder):
    before = sorted(folder.path.rglob("*"))
    folder.check('approvals = "a"\n' + SOUND)
    assert sorted(folder.path.rglob("*")) == before


def test_all_problems_are_told_in_one_run_each_with_its_line(folder):
    folder.profile("loose", ceks=None)
    folder.profile("still", watch=None)
    text = """\
format = 1
guests = ["web", "none", "web", "loose", "still"]
jobs = 0
colour = "red"
metrics = "0.0.0.0:9469"
waive_platform = "why not"
passphrase = "x"

[[hosts]]
url = "qmp+tcp://*:4444"

[[hosts]]
url = "qmp+unix:///run/*.qmp"
certificates = "missing.cert"
uri = "x"

[folder]
path = "requests"

[socket]
path = "ask.sock"
group = "no-such-group"
user = 0

[[libvirt]]
url = "qmp+unix:///x"

[[libvirt]]
url = "libvirt+qemu:///system"
guests = { db = "db" }
"""
    found = folder.problems(text)
    places = {
        ("guests.1", 2): "no guest profile",
        ("guests.2", 2): "stands here twice",
        ("guests.3", 2): "names no chips, and a watch launches only on chips",
        ("guests.4", 2): "give it a [watch] table",
        ("jobs", 3): "from 1 to 1000",
        ("colour", 4): "no such key",
        ("metrics", 5): "Only this machine",
        ("waive_platform", 6): "Nothing is waived",
        ("passphrase", 7): "hold no secrets",
        ("hosts.0.url", 10): "hosts are named",
        ("hosts.1.certificates", 14): "no such file",
        ("hosts.1.uri", 15): "Is “url” meant?",
        ("folder.path", 18): "is no folder",
        ("socket.user", 23): "no such key",
        ("libvirt.0.url", 26): "libvirt URL",
        ("libvirt.1.guests.db", 30): "none of those that are served",
    }
    assert found.keys() == places.keys()
    for place, words in places.items():
        assert words in found[place], found[place]


def test_guests_that_nobody_may_launch_unseen_are_a_refusal_of_their_own(folder):
    folder.profile("loose", ceks=None)
    with pytest.raises(WatchFileRefused) as caught:
        folder.check(SOUND.replace('"web"', '"loose"'))
    assert (caught.value.code, int(caught.value.exit_status)) == ("watch-file-refused", 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('guests = ["web"]\n' + HOSTS, "Nobody could ask"),
        ('guests = ["web"]\n[socket]\npath = "s"\n', "No VM could be launched"),
        (SOUND.replace("[socket]", "[folder]"), "is no folder"),
        (SOUND.replace("ask.sock", "OVMF.fd"), "is no socket"),
        (SOUND.replace("ask.sock", "x" * 120), "bytes at most"),
        (SOUND.replace('"web"', '"none"'), "There is no guest profile"),
        (SOUND.replace('["web"]', "[]"), "It takes one at least"),
        (SOUND.replace('guests = ["web"]', ""), "It is missing"),
        ('format = 2\nfuture = "yes"\n' + SOUND, "A newer version of Watchword made this file"),
    ],
)
def test_what_would_serve_nobody_is_refused(folder, text, words):
    [told] = folder.problems(text).values()
    assert words in told


def test_who_is_to_be_asked_needs_a_place_for_questions(folder):
    folder.store.remove("web")
    folder.profile(watch={"instances_at_most": 1, "first_firmware": "ask"})
    [told] = folder.problems(SOUND).values()
    assert "approvals" in told
    assert folder.problems('approvals = "a"\n' + SOUND) == {}


def test_vault_entries_that_are_missing_are_told_where_they_can_be_known(folder):
    folder.profile("db", secrets={"disk-passphrase": "db/disk"})
    text = SOUND.replace('"web"', '"db"')
    assert folder.problems(text) == {}
    assert folder.problems(text, {"db/disk"}) == {}
    assert "db/disk" in str(folder.problems(text, {"other"}))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("qmp+tcp://*:4444", "hosts are named"),
        ("qmp+ssh://user@*/run/vm.sock", "hosts are named"),
        ("*://x/y", "hosts are named"),
        ("exchange:///media/usb/*", "carried by hand"),
        ("EXCHANGE:///media/usb/x", "carried by hand"),
        ("qmp+unix:relative", None),
        ("ftp://x/y", ""),
        ("no url", "It takes a URL"),
        ("qmp+ssh://-oProxyCommand=x/run/vm.sock", ""),
        ("qmp+tcp://user:secret@h:1", "password"),
        ("libvirt+qemu+ext://h/system?command=x", ""),
    ],
)
def test_hosts_are_named_by_urls_that_lead_where_they_say(folder, url, words):
    found = folder.problems(SOUND.replace("qmp+unix:///run/vms/*.qmp", url))
    if words is None:
        assert found == {}
        return
    [told] = found.values()
    assert words in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("place", "sound"),
    [
        ("127.0.0.1:9469", True),
        ("127.8.8.8:1", True),
        ("[::1]:65535", True),
        ("unix:m.sock", True),
        ("0.0.0.0:9469", False),
        ("[::]:9469", False),
        ("192.0.2.1:9469", False),
        ("[::ffff:192.0.2.1]:9469", False),
        ("localhost:9469", False),
        ("127.0.0.1", False),
        ("127.0.0.1:0", False),
        ("127.0.0.1:65536", False),
        ("127.0.0.1.evil.example:80", False),
        ("unix:", False),
        ("http://127.0.0.1:9469", False),
    ],
)
def test_metrics_are_told_on_this_machine_alone(folder, place, sound):
    found = folder.problems(f'metrics = "{place}"\n' + SOUND)
    assert (found == {}) is sound
    assert sound or list(found) == [("metrics", 1)]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_bytes_there_are_they_are_read_or_refused(data):
    try:
        problems = [str(one) for one in read_settings(data).problems]
    except BadInput as error:
        problems = [error.code]
    assert problems  # guests are missing at least


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(WatchFile.model_fields)), _JUNK, max_size=5))
def test_whatever_values_there_are_each_is_sound_or_told(values):
    def without_none(value):
        if isinstance(value, dict):
            return {k: without_none(v) for k, v in value.items() if v is not None}
        if isinstance(value, list):
            return [without_none(one) for one in value if one is not None]
        return value

    text = tomli_w.dumps(without_none(values))
    store = ProfileStore(Path("/nonexistent/guests"))
    with pytest.raises(BadInput) as caught:  # no guest is there
        check_settings(text.encode(), "watch.toml", Path("/nonexistent"), store)
    assert caught.value.code.startswith("watch-file-")


def test_the_published_schema_is_the_one_of_this_code():
    assert read_bytes("watch.schema.json").decode() == schema_text(), REGENERATE


def test_the_schema_knows_every_key_and_no_other():
    schema = settings_schema()
    tables = [(schema, WatchFile)]
    parts = (FolderTable, HostTable, LibvirtTable, SocketTable)
    tables += [(schema["$defs"][part.__name__], part) for part in parts]
    for table, model in tables:
        assert set(table["properties"]) == set(model.model_fields)
        assert table["additionalProperties"] is False
        assert all(part["description"] for part in table["properties"].values())
    assert schema["required"] == ["guests"]
    assert '"null"' not in json.dumps(schema)
