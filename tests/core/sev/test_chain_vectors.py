# SPDX-License-Identifier: Apache-2.0
"""Real chains of AMD's, and the recipes of mutated and synthetic ones with their verdicts."""

from __future__ import annotations

import base64
import json
from functools import cache

import pytest

from watchword.core.amd.roots import amd_roots
from watchword.core.errors import BadInput
from watchword.core.sev.certificates import AmdCertificate, SevCertificate
from watchword.core.sev.chain import PlatformCertificates, Root, examine_chain
from watchword.core.sev.chain_files import recognise

from ...conftest import vectors_folder

ROLES = ("ark", "ask", "cek", "oca", "pek", "pdh")
GENERATIONS = ("naples", "rome", "milan", "genoa", "turin")
_CASES = vectors_folder() / "chains" / "cases.json"
# Where there are none, the fixture `vectors` skips the tests with the reason.
CASES = json.loads(_CASES.read_text())["cases"] if _CASES.is_file() else [{"name": "absent"}]
SILENT = "pdh-sig-s-negated"


@cache
def base_files(generation):
    folder = vectors_folder() / "chains" / generation
    return {role: (folder / f"{role}.cert").read_bytes() for role in ROLES}


def edited(case):
    """The six files of a case, its edits applied."""
    files = dict(base_files(case["base"]))
    for edit in case["edits"]:
        name, offset = edit["file"], edit.get("offset", 0)
        data, value = bytearray(files[name]), bytes.fromhex(edit.get("value", ""))
        if edit["op"] == "xor":
            value = bytes(a ^ b for a, b in zip(data[offset:], value, strict=False))
        if edit["op"] in ("xor", "set"):
            data[offset : offset + len(value)] = value
        elif edit["op"] == "truncate":
            del data[offset:]
        elif edit["op"] == "append":
            data += value
        elif edit["op"] == "replace":
            data = base64.b64decode(edit["b64"])
        else:
            assert edit["op"] == "swap"
            other = edit["other"]
            files[other], data = bytes(data), files[other]
        files[name] = bytes(data)
    return files


def by_slot(files):
    return PlatformCertificates(**files)


def from_files(files):
    return recognise((f"{role}.cert", data) for role, data in files.items())


def judge(certificates, expected):
    """Hold a chain against the verdict that its case expects."""
    report = examine_chain(certificates, amd_roots())
    if expected in ("valid", "malleable", "valid-unless-oca-pinned"):
        assert report.ok, report.first_problem()
        assert (report.root, report.generation) == (Root.AMD, "naples")
    else:
        assert not report.ok
    if expected == "valid-unless-oca-pinned":
        pin = SevCertificate.parse(base_files("naples")["oca"]).fingerprint()
        pinned = examine_chain(certificates, amd_roots(), oca_pin=pin)
        assert pinned.first_problem().certificate.value == "oca"
    if "if-root-trusted" in expected:
        trusted = examine_chain(
            certificates, amd_roots(), trusted_roots=[AmdCertificate.parse(certificates.ark)]
        )
        assert trusted.root is Root.NOT_AMD
        assert trusted.ok is (expected == "valid-if-root-trusted")
        if not trusted.ok:
            assert trusted.first_problem().certificate.value != "ark"
    return report


def test_every_case_is_there(vectors):
    assert len(CASES) == 72


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_certificates_in_their_places(vectors, case):
    report = judge(by_slot(edited(case)), case["expected"])
    if report.ok:
        odd = case["expected"] == "malleable" and case["name"] != SILENT
        assert bool(report.warnings) is odd
    changed = {edit["file"] for edit in case["edits"]}
    if case["expected"] == "invalid" and len(changed) == 1:
        bad = [link for link in report.links if link.verdict.value != "ok"]
        assert changed & {link.certificate.value for link in bad}


FILES = [case for case in CASES if not case["name"].startswith("swap-")]


@pytest.mark.parametrize("case", FILES, ids=[case["name"] for case in FILES])
def test_certificates_recognised_from_files(vectors, case):
    files = edited(case)
    try:
        recognised = from_files(files)
    except BadInput:
        assert case["expected"] in ("invalid", "invalid-file", "invalid-even-if-root-trusted")
        return
    assert case["expected"] != "invalid-file"
    if recognised.certificates.ark is None:
        assert case["expected"] == "invalid-even-if-root-trusted"
    judge(recognised.certificates, case["expected"])


def test_swapped_files_are_recognised_by_content_and_named(vectors):
    for case in CASES:
        if case["name"].startswith("swap-"):
            recognised = from_files(edited(case))
            assert examine_chain(recognised.certificates, amd_roots()).ok
            assert len(recognised.warnings) == 2


@pytest.mark.parametrize("generation", GENERATIONS)
def test_arks_and_asks_of_five_generations_hold(vectors, generation):
    folder = vectors / "chains" / generation
    ask, ark = ((folder / f"{role}.cert").read_bytes() for role in ("ask", "ark"))
    report = examine_chain(PlatformCertificates(ask=ask, ark=ark), amd_roots())
    assert report.generation == generation
    assert [link.verdict.value for link in report.links[:2]] == ["ok", "ok"]
    # Another generation's ASK does not fit under this root.
    other = GENERATIONS[GENERATIONS.index(generation) - 1]
    wrong = (vectors / "chains" / other / "ask.cert").read_bytes()
    mixed = examine_chain(PlatformCertificates(ask=wrong, ark=ark), amd_roots())
    assert mixed.links[1].verdict.value == "failed"


def test_the_real_chain_needs_no_file_of_amds(vectors):
    files = {**base_files("naples"), "ask": None, "ark": None}
    report = examine_chain(by_slot(files), amd_roots())
    assert report.ok
    assert (report.root, report.generation, report.warnings) == (Root.AMD, "naples", ())


def test_amds_naples_root_is_accepted_without_its_signature(vectors):
    files = {**base_files("naples"), "ark": base_files("naples")["ark"][:576]}
    assert examine_chain(by_slot(files), amd_roots()).ok
    assert examine_chain(from_files(files).certificates, amd_roots()).ok


def test_a_made_up_root_is_not_accepted_without_its_signature(vectors):
    [case] = [case for case in CASES if case["name"] == "synthetic-valid"]
    files = edited(case)
    files["ark"] = files["ark"][:576]
    trusted = [AmdCertificate.parse(files["ark"])]
    for roots in ((), trusted):
        assert not examine_chain(by_slot(files), amd_roots(), trusted_roots=roots).ok


def test_the_fake_platform_holds_only_under_its_named_root(vectors):
    folder = vectors / "fake-platform"
    files = {role: (folder / f"{role}.cert").read_bytes() for role in ROLES}
    judge(by_slot(files), "valid-if-root-trusted")
    judge(from_files(files).certificates, "valid-if-root-trusted")
