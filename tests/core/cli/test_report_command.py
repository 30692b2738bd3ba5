# SPDX-License-Identifier: Apache-2.0
"""``report verify``: reports of running guests, and whose key signed them."""

from __future__ import annotations

import base64
import json

import pytest


@pytest.fixture
def verify(command, vectors, fake):
    """Verifies a report against the platform that signed the vectors."""

    def run(path, *words, nonce=None, trust=True):
        good = (vectors / "legacy-attestation" / "good.bin").read_bytes()
        trusted = ("--trust-root", fake["ark"]) if trust else ()
        return command(
            *("report", "verify", path, "--platform", *fake.values(), *trusted),
            *("--nonce", good[:16].hex() if nonce is None else nonce, "--json", *words),
        )

    return run


@pytest.fixture
def good(vectors):
    return vectors / "legacy-attestation" / "good.bin"


def test_the_reports_of_the_vectors(vectors, verify):
    folder = vectors / "legacy-attestation"
    cases = json.loads((folder / "manifest.json").read_text())["cases"]
    for case in cases:
        shown = verify(folder / case["file"])
        if case["expected"] in ("valid", "malleable"):
            assert shown.status == 0, case
            assert len(shown.json["warnings"]) == (2 if case["expected"] == "malleable" else 1)
        elif (folder / case["file"]).stat().st_size != 208:
            assert shown.status == 6, case
        else:
            assert shown.status == 3, case
            assert shown.code.startswith("report-")
    assert len(cases) == 14


def test_the_json_tells_what_was_checked(verify, good):
    data = good.read_bytes()
    shown = verify(good)
    assert shown.json == {
        "ok": True,
        "platform": "foreign-root",
        "root": "not-amd",
        "launch_digest": data[16:48].hex(),
        "policy": 5,
        "nonce": data[:16].hex(),
        "checked": {"launch_digest": False, "policy": False},
        "warnings": ["The root is not AMD's: you named it as trusted."],
    }
    assert "not AMD's" in shown.err
    more = verify(good, "--launch-digest", data[16:48].hex(), "--policy", "5")
    assert more.json["checked"] == {"launch_digest": True, "policy": True}


def test_base64_as_hosts_give_it_is_read_too(verify, good, tmp_path):
    path = tmp_path / "report.b64"
    path.write_bytes(base64.encodebytes(good.read_bytes()))
    assert verify(path).status == 0


def test_anything_but_what_was_asked_for_is_refused(verify, good):
    assert verify(good, nonce="00" * 16).code == "report-nonce"
    assert verify(good, "--launch-digest", "00" * 32).code == "report-digest"
    shown = verify(good, "--policy", "default")
    assert (shown.status, shown.code) == (3, "report-policy")


def test_a_report_of_a_platform_that_does_not_verify_is_refused(verify, good):
    shown = verify(good, trust=False)
    assert (shown.status, shown.code) == (3, "chain-refused")


def test_another_platforms_key_did_not_sign_it(command, good, platform):
    shown = command(
        *("report", "verify", good, "--platform", platform / "full_chain.cert", "--json"),
        *("--trust-root", platform / "ark.cert", "--nonce", good.read_bytes()[:16].hex()),
    )
    assert (shown.status, shown.code) == (3, "report-signature")


def test_what_was_verified_is_what_is_used(command, good, fake, platform, tmp_path, monkeypatch):
    """The files are read once: whoever can change them in between gains nothing by it."""
    from watchword.core.cli import platform_options

    genuine, reads = platform_options.read_file, []

    def read_file(path, *arguments, **options):
        reads.append(str(path))
        return genuine(path, *arguments, **options)

    monkeypatch.setattr(platform_options, "read_file", read_file)
    shown = command(
        *("report", "verify", good, "--platform", *fake.values(), "--json"),
        *("--trust-root", fake["ark"], "--nonce", good.read_bytes()[:16].hex()),
    )
    assert shown.status == 0
    assert reads.count(str(fake["pek"])) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "no-platform"),
        (("--oca", "11" * 32), "no-platform"),
        (("--nonce", "00"), "bad-hex"),
        (("--launch-digest", "00"), "bad-hex"),
        (("--policy", "x"), "bad-policy"),
    ],
)
def test_usage_errors(command, good, words, code):
    shown = command("report", "verify", good, "--nonce", "00" * 16, "--json", *words)
    assert (shown.status, shown.code) == (2, code)


def test_files_that_are_no_report_are_bad_input(verify, tmp_path):
    path = tmp_path / "report"
    for content in (b"", b"x", bytes(207), bytes(209), bytes(1184), b"AAAA", b"-----BEGIN X-----"):
        path.write_bytes(content)
        shown = verify(path)
        assert (shown.status, shown.error["details"]["field"]) == (6, "FILE")
    for other in (tmp_path, tmp_path / "missing", "/dev/zero"):
        assert verify(other).status == 6


def test_the_words_say_whose_platform_it_is(command, good, fake):
    shown = command(
        *("report", "verify", good, "--platform", *fake.values()),
        *("--trust-root", fake["ark"], "--nonce", good.read_bytes()[:16].hex()),
    )
    assert shown.status == 0
    assert "signed this report for your nonce (platform: foreign-root)." in shown.out
    assert "policy         0x5" in shown.out
