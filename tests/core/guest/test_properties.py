# SPDX-License-Identifier: Apache-2.0
"""Whatever text is given: a profile or our error; and a profile survives its own TOML."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from watchword.core.errors import BadInput
from watchword.core.guest.document import profile_from_document, profile_text, read_profile
from watchword.core.guest.fields import looks_like_a_value, read_vcpus, write_vcpus
from watchword.core.guest.profile import GuestProfile
from watchword.core.guest.toml_lines import key_lines, line_of, too_deep
from watchword.core.sev.cpu_models import QEMU_MODELS
from watchword.core.sev.secret_table import KNOWN_SECRETS

from .support import PLAIN

KEYS = sorted(GuestProfile.model_fields)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
scalars = st.one_of(
    texts,
    st.integers(-5, 1 << 70),
    st.booleans(),
    st.floats(),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(),
    st.dates(),
    st.sampled_from(["default", "auto", "sev", "sev-es", "grub", "/x", "ab" * 32, "1-8"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "sha256", "size", "approved", "x y", ""]), inner)
    ),
    max_leaves=6,
)
documents = st.dictionaries(st.sampled_from([*KEYS, "nmae", "", "a.b"]), values, max_size=8)


def path_of(entry):
    return entry["path"] if isinstance(entry, dict) else entry


hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
paths = texts.filter(lambda text: "\0" not in text).map(lambda text: f"/{text}x")
approved = st.fixed_dictionaries(
    {"path": paths, "sha256": hashes}, optional={"size": st.integers(0, 9999), "approved": moments}
)
files = st.lists(
    st.one_of(paths, approved),
    min_size=1,
    max_size=3,
    unique_by=(path_of, lambda entry: entry["sha256"] if isinstance(entry, dict) else entry),
)
references = st.dictionaries(
    st.sampled_from([name for name in KNOWN_SECRETS if name != "luks-key"])
    | st.uuids(version=4).map(str),
    st.sampled_from(["disk", "vm1/disk", "a.b@c+d-e"]),
    max_size=3,
)
sound = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True),
        "policy": st.integers(0, 0x3F).map(lambda flags: flags | 0x31010000),
        "firmware": files,
        "kernel": files,
        "vcpus": st.lists(st.integers(1, 64), min_size=1, max_size=8),
        "cpu": st.lists(st.sampled_from([*QEMU_MODELS, "25/1/1", "0xa00f11"]), min_size=1),
    },
    optional={
        "initrd": files,
        "description": texts,
        "minimum_build": st.integers(0, 255),
        "minimum_api": st.sampled_from(["0.17", "1.49", "255.255"]),
        "oca": st.one_of(hashes, paths),
        "ceks": st.lists(hashes | st.fixed_dictionaries({"sha256": hashes, "note": texts})),
        "cmdline": st.lists(
            texts.filter(lambda text: "\0" not in text) | st.fixed_dictionaries({"sha256": hashes}),
            max_size=3,
        ),
        "route": st.sampled_from(["grub", "kernel"]),
        "host": st.sampled_from(["qmp+unix:///run/vm1.sock", "exchange:///media/usb"]),
        "secrets": references,
    },
)


FOREIGN = ("pydantic", "Input should", "validation", "Error", "NoneType", "object at", "(type=")


def read(data):
    """The profile, or None for what is refused, in words fit for people."""
    try:
        return read_profile(data, "vm1.toml")
    except BadInput as error:
        said = f"{error.title} {error.message} {error.remedy}"
    found = [word for word in FOREIGN if word in said and word.encode() not in data]
    assert found == []
    assert said.isprintable()
    return None


@given(st.binary(max_size=400))
def test_any_bytes_give_a_profile_or_our_error(data):
    read(data)


@given(documents)
@settings(max_examples=40)
def test_any_toml_gives_a_profile_or_our_error(document):
    data = tomli_w.dumps(document).encode()
    profile = read(data)
    if profile is not None:
        assert read_profile(profile_text(profile).encode(), "again") == profile


@given(documents)
@settings(max_examples=40)
def test_any_values_for_a_sound_profile_give_a_profile_or_our_error(document):
    read((PLAIN + tomli_w.dumps({k: v for k, v in document.items() if k not in PLAIN})).encode())


@given(st.integers(0, len(PLAIN)), st.integers(0, 12), texts)
def test_a_damaged_profile_is_still_answered_in_words(position, cut, put):
    read((PLAIN[:position] + put + PLAIN[position + cut :]).encode())


@given(sound)
@settings(max_examples=40)
def test_a_profile_survives_its_own_toml(document):
    es = bool(document["policy"] & 4)
    document["technology"] = "sev-es" if es else "sev"
    profile = profile_from_document(document, "x")
    text = profile_text(profile)
    assert tomllib.loads(text)
    again = read_profile(text.encode(), "again")
    assert again == profile
    assert profile_text(again) == text


@given(st.sets(st.integers(1, 8192), min_size=1, max_size=60))
def test_a_set_of_vcpus_survives_being_written(counts):
    assert read_vcpus(write_vcpus(sorted(counts))) == tuple(sorted(counts))


@given(values)
@settings(max_examples=60)
def test_every_key_of_a_toml_text_has_a_line(value):
    text = tomli_w.dumps({"before": 1, "value": value, "after": {"x y": [value]}})
    lines = key_lines(text)

    def walk(place, part):
        assert place in lines, (place, text)
        members = {dict: dict.items, list: enumerate}.get(type(part), lambda _: ())
        for key, inner in members(part):
            walk((*place, key), inner)

    for key, part in tomllib.loads(text).items():
        walk((key,), part)


@given(st.lists(scalars | st.lists(scalars, max_size=3), max_size=5))
def test_lines_are_the_right_ones(members):
    text, expected = "", {}
    for number, member in enumerate(members):
        text += "# k = 1\n\n"
        expected[(f"k{number}",)] = text.count("\n") + 1
        text += tomli_w.dumps({f"k{number}": member})
    lines = key_lines(text)
    assert {place: lines[place] for place in expected} == expected


@given(st.text(max_size=200))
def test_lines_of_any_text_are_found_without_harm(text):
    lines = key_lines(text)
    assert line_of(("no such key",), lines) == lines.get(("no such key",))
    too_deep(text)


@given(st.randoms(use_true_random=False))
def test_hex_keys_are_never_taken_for_names(random):
    assert looks_like_a_value(random.randbytes(16).hex())
    assert looks_like_a_value(random.randbytes(33).hex().upper())


def test_nearly_all_generated_passphrases_are_taken_for_what_they_are():
    import base64
    import random

    source = random.Random(1)
    found = [
        looks_like_a_value(base64.b64encode(source.randbytes(33)).decode()) for _ in range(500)
    ]
    assert sum(found) > 480


def test_names_that_people_give_are_not_taken_for_secrets():
    for name in (
        "vm1/disk",
        "web1/production/database1/Disk/Main",
        "vm1DiskKey2026prod",
        "LUKS-root-of-mailserver-2026-11-23",
        "80000000-0000-0000-ab54-a98ceb1f0ad2",
        "launch/7/tek",
    ):
        assert not looks_like_a_value(name)
