# SPDX-License-Identifier: Apache-2.0
"""Names and words that a terminal would obey are never shown as they are."""

from __future__ import annotations

import json

import pytest

from watchword.core.simulator import PlatformKeys, build_firmware

EVIL = "x\x1b[31m\x1b]0;title\x07\u202egnp\u2066\n\r\x9b2J\u200b\udcff"
VCPUS = ("--vcpus", "2", "--cpu", "EPYC-Milan")


@pytest.fixture
def harmless(command):
    """Runs a command with and without ``--json``; nothing of it makes a terminal do anything."""

    def run(*words, status):
        shown = command(*words)
        assert shown.status == status, shown.out + shown.err
        for text in (shown.out, shown.err):
            assert all(character.isprintable() or character == "\n" for character in text)
        return shown

    return run


@pytest.fixture
def evil_file(folder):
    """Writes a file with a hostile name."""

    def write(content):
        path = folder / EVIL
        path.write_bytes(content)
        return path

    return write


def both(harmless, *words, status):
    in_text = harmless(*words, status=status)
    # JSON escapes everything by itself, and is ASCII for whatever reads it.
    shown = harmless(*words, "--json", status=status)
    assert shown.out.isascii()
    json.loads(shown.out)
    return in_text.out + in_text.err


@pytest.mark.parametrize(
    "words",
    [
        ("platform", "verify", EVIL),
        ("platform", "verify", "/dev/null", "--oca", EVIL),
        ("platform", "verify", "/dev/null", "--trust-root", EVIL),
        ("digest", "--firmware", EVIL),
        ("firmware", "inspect", EVIL),
        ("report", "verify", EVIL, "--nonce", "00" * 16),
        ("simulate", "--socket", "/nowhere", "--firmware", EVIL),
        ("rehearse", "--firmware", EVIL),
    ],
    ids=lambda words: " ".join(word for word in words if word != EVIL),
)
def test_names_of_files_that_are_missing(harmless, words):
    both(harmless, *words, status=6)


@pytest.mark.parametrize(
    "words",
    [
        (EVIL,),
        ("digest", EVIL),
        ("digest", f"--{EVIL}"),
        ("digest", "--firmware-sha256", EVIL),
        ("digest", "--firmware", "/dev/null", "--vcpus", EVIL),
        ("rehearse", "--attack", EVIL),
        ("rehearse", "--policy", EVIL),
        ("rehearse", "--min-build", EVIL),
        ("platform", "export", "--out", "x", "--host", EVIL),
        ("platform", "export", "--out", "x", "--host", f"{EVIL}://x"),
    ],
    ids=repr,
)
def test_words_that_make_no_sense(harmless, words):
    both(harmless, *words, status=2)


def test_a_socket_with_a_hostile_name(harmless):
    both(harmless, "platform", "export", "--out", "x", "--host", f"/nowhere/{EVIL}", status=4)


def test_names_of_files_that_are_there(harmless, evil_file, vectors):
    shown = both(harmless, "platform", "verify", evil_file(b"AQAA!AAA"), status=6)
    assert r"\x1b[31m" in shown
    pdh = (vectors / "chains" / "naples" / "pdh.cert").read_bytes()
    both(harmless, "platform", "verify", evil_file(pdh), status=3)
    shown = both(harmless, "firmware", "inspect", evil_file(build_firmware()), status=0)
    assert r"\u202egnp\u2066\n\r" in shown
    both(harmless, "digest", "--firmware", evil_file(build_firmware()), *VCPUS, status=0)


def test_names_of_files_that_are_made(harmless, folder, platform):
    words = (
        *("session", "create", platform / "full_chain.cert", "--policy", "default"),
        *("--trust-root", platform / "ark.cert", "--name", EVIL),
    )
    for number, more in enumerate(((), ("--json",))):
        shown = harmless(
            *words,
            *("--out", folder / f"{EVIL}{number}", "--export-keys", folder / EVIL / "keys"),
            *more,
            status=0 if not number else 6,
        )
        assert r"\x1b[31m" in shown.out or r"\u001b[31m" in shown.out
    assert (folder / EVIL / "keys" / f"{EVIL}_tek.bin").stat().st_size == 16


def test_words_of_a_hostile_host(harmless, monkeypatch, keys):
    monkeypatch.setattr(PlatformKeys, "generate", lambda *_: keys)
    shown = harmless("rehearse", "--attack", "error-with-markup", status=4)
    assert "QEMU said" in shown.err
    assert r"\x1b[2J" in shown.err


def test_certificates_that_name_hostile_things(harmless, folder):
    """Keys of a host's JSON are never echoed."""
    path = folder / "answer.json"
    for answer in ({"pdh": EVIL[:-1]}, {EVIL[:-1]: "x"}, {"return": {"pdh": [EVIL[:-1]]}}):
        path.write_text(json.dumps(answer))
        both(harmless, "platform", "verify", path, status=6)
