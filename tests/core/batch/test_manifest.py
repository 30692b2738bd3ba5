# SPDX-License-Identifier: Apache-2.0
"""Manifests as TOML: every key, and every problem of the form at once with its place."""

from __future__ import annotations

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.batch.manifest import (
    LARGEST_MANIFEST,
    MOST_LAUNCHES,
    LaunchEntry,
    read_manifest,
)
from watchword.core.errors import BadInput

FULL = """\
format = 1
description = "the web servers"

[defaults]
host = "qmp+unix:///run/{name}.sock"
certificates = "rack1.cert"
inject = true
wait = 30
out = "give"
start = ["./start", "--name={name}", "{godh}", "{session}", "{policy}", "{out}", "{{x}}"]
start_seconds = 90

[[launch]]
name = "web1"
guest = "web"

[[launch]]
name = "web2"
host = "exchange:///media/usb/web2"
certificates = ["a.cert", "/srv/{name}.cert"]
inject = false

[launch.profile]
technology = "sev"
"""


def problems(text):
    read = read_manifest(text.encode())
    located = read.locate(list(read.problems))
    return {(".".join(map(str, one.path)), one.line): one.sentence for one in located}


def test_a_full_manifest_is_read():
    read = read_manifest(FULL.encode())
    assert (read.problems, read.partial) == ((), frozenset())
    assert read.defaults.host == "qmp+unix:///run/{name}.sock"
    assert read.defaults.certificates == ("rack1.cert",)
    assert (read.defaults.wait, read.defaults.start_seconds) == (30, 90)
    assert read.defaults.start[1] == "--name={name}"
    assert [entry.name for entry in read.entries.values()] == ["web1", "web2"]
    assert read.entries[0].guest == "web"
    assert read.entries[1].inject is False
    assert read.entries[1].profile == {"technology": "sev"}


def test_all_problems_of_the_form_come_at_once_with_place_and_line():
    found = problems(
        "format = 1\n"
        "jobs = 4\n"
        "[defaults]\n"
        'host = "qmp+unix:///run/{nmae}.sock"\n'
        'waive_platform = "trust me"\n'
        "[[launch]]\n"
        'name = "web/1"\n'
        'gest = "web"\n'
        "[[launch]]\n"
        'name = "web2"\n'
        'guest = "../web"\n'
        'host = "qmp+tcp://user:word@host:1"\n'
        "wait = 3601\n"
        'inject = "yes"\n'
        'start = "./start web2"\n'
        'out = ""\n'
        'certificates = ["a", 3]\n'
        "[[launch]]\n"
        'start = ["./{name}"]\n'
        'profile = "web"\n'
        'passphrase = "hunter2"\n'
    )
    assert set(found) == {
        ("jobs", 2),
        ("defaults.host", 4),
        ("defaults.waive_platform", 5),
        ("launch.0.name", 7),
        ("launch.0.gest", 8),
        ("launch.1.guest", 11),
        ("launch.1.host", 12),
        ("launch.1.wait", 13),
        ("launch.1.inject", 14),
        ("launch.1.start", 15),
        ("launch.1.out", 16),
        ("launch.1.certificates.1", 17),
        ("launch.2.name", 18),
        ("launch.2.start", 19),
        ("launch.2.profile", 20),
        ("launch.2.passphrase", 21),
    }
    assert "there is {name}" in found["defaults.host", 4]
    assert "waived in a batch" in found["defaults.waive_platform", 5]
    assert "“guest”" in found["launch.0.gest", 8]
    assert "password" in found["launch.1.host", 12]
    assert "no shell" in found["launch.1.start", 15]
    assert "holds no secrets" in found["launch.2.passphrase", 21]
    assert "hunter2" not in str(found)


def test_what_is_sound_in_a_launch_is_kept_beside_what_is_not():
    read = read_manifest(
        b'[[launch]]\nname = "a/b"\nguest = "web"\nwait = -1\n[[launch]]\nname = "c"\n'
    )
    assert read.partial == {0}
    assert read.entries[0] == LaunchEntry.model_validate({"name": "unnamed", "guest": "web"})
    assert read.entries[1].name == "c"


def test_defaults_that_are_not_sound_are_none():
    read = read_manifest(b'[defaults]\nwait = -1\n[[launch]]\nname = "a"\nguest = "web"\n')
    assert read.defaults is None
    assert read.partial == frozenset()


@pytest.mark.parametrize("text", ["", "launch = []\n", "launch = 3\n", 'launch = ["web"]\n'])
def test_a_manifest_has_launches(text):
    assert next(place for place, _ in problems(text)).startswith("launch")


def test_there_are_only_so_many_launches():
    text = "".join(f'[[launch]]\nname="n{i}"\nguest="web"\n' for i in range(MOST_LAUNCHES + 1))
    assert problems(text) == {("launch", 1): "It has 10001 entries; 10000 are the most."}


def test_of_a_newer_format_nothing_else_is_judged():
    assert list(problems('format = 2\nfuture = 1\n[[launch]]\nname = "/"\n')) == [("format", 1)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b" " * (LARGEST_MANIFEST + 1), "manifest-too-large"),
        (b"# \xff", "manifest-not-text"),
        (b"[[launch]\n", "manifest-not-toml"),
        (b"a = " + b"[" * 100, "manifest-not-toml"),
    ],
)
def test_what_is_no_manifest_is_refused_in_words(data, code):
    with pytest.raises(BadInput) as caught:
        read_manifest(data, "fleet.toml")
    assert (caught.value.code, caught.value.field) == (code, "fleet.toml")
    assert "profile" not in f"{caught.value.message} {caught.value.remedy}"


KEYS = sorted({*LaunchEntry.model_fields, "format", "defaults", "launch", "nmae", ""})
scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-5, 1 << 70),
    st.booleans(),
    st.floats(),
    st.dates(),
    st.sampled_from(["web", "{name}", "{", "qmp+unix:///run/{name}", "/x", "exchange:///x"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6))
@settings(max_examples=60)
def test_any_toml_is_answered_in_words_fit_for_people(document):
    read = read_manifest(tomli_w.dumps(document).encode())
    for one in read.locate(list(read.problems)):
        assert str(one).isprintable()
        assert not [word for word in ("pydantic", "Input should", "NoneType") if word in str(one)]


@given(st.binary(max_size=300))
def test_any_bytes_give_a_manifest_or_our_error(data):
    try:
        read_manifest(data)
    except BadInput:
        return
