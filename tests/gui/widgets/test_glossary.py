# SPDX-License-Identifier: Apache-2.0
"""Every word of the field that the window uses can be looked up, in plain words and in full."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from watchword.core.sev.chain import Role
from watchword.core.sev.policy import PolicyFlag
from watchword.gui.widgets.policy_words import glossary_key
from watchword.resources.glossary import Term, term, terms

ROOT = Path(__file__).resolve().parents[3]
# fmt: off
ASKED_FOR = [
    "pdh", "pek", "oca", "cek", "ask", "ark", "godh", "launch-blob", "session", "tek",
    "tik", "policy", "launch-digest", "launch-measurement", "nonce", "api-and-build",
    "vmsa", "kernel-hashes", "firmware", "secret-area", "packet", "chip-id",
    "attestation-report", "waiver", "simulated", "evidence", "ledger", "vault",
    "recovery-code",
]
# fmt: on


def test_the_terms_of_the_field_are_explained() -> None:
    assert set(ASKED_FOR) - set(terms()) == set()
    assert [key for key, entry in terms().items() if entry.key != key] == []


@pytest.mark.parametrize("flag", PolicyFlag)
def test_every_bit_of_the_policy_is_explained(flag: PolicyFlag) -> None:
    assert term(glossary_key(flag)).short == flag.name


@pytest.mark.parametrize("role", Role)
def test_every_certificate_is_explained(role: Role) -> None:
    assert term(role.value).short == role.name


def faults_of(entry: Term) -> list[str]:
    faults = [] if entry.short and entry.name else ["no name"]
    for sentence, longest in ((entry.plain, 160), (entry.expert, 260)):
        begins_well = sentence[0].isupper() or sentence[0] in "“0123456789"
        if not (begins_well and sentence.endswith((".", "”")) and sentence.isprintable()):
            faults.append(f"no sentence: {sentence}")
        if len(sentence) > longest:
            faults.append(f"too long: {sentence}")
    return faults


def test_each_has_a_sentence_for_beginners_and_one_for_experts() -> None:
    assert {key: faults for key, entry in terms().items() if (faults := faults_of(entry))} == {}


def test_beginners_meet_no_abbreviation_that_is_not_explained_to_them() -> None:
    """A plain sentence may speak of AMD, SEV and Linux, not of PDH or HMAC."""
    known = {"AMD", "SEV", "SIMULATED", "VM", "RAM", "A", "JSON", "UTF"}
    words = {
        (entry.key, word.strip(".,:;()“”'"))
        for entry in terms().values()
        for word in entry.plain.replace("-", " ").split()
    }
    strange = {(key, w) for key, w in words if len(w) > 1 and w.isupper() and w not in known}
    assert strange == set()


def test_a_term_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        term("no-such-term")


def test_every_term_that_the_window_asks_for_is_there() -> None:
    asked = set()
    for path in (ROOT / "gui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            named = [k.value for k in node.keywords if k.arg == "term"]
            if ast.unparse(node.func) in ("ExplainButton", "Explained", "term"):
                named += node.args[:1]
            asked |= {n.value for n in named if isinstance(n, ast.Constant) and n.value}
    assert {"policy", "generation"} <= asked
    assert asked - set(terms()) == set()
