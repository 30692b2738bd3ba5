# SPDX-License-Identifier: Apache-2.0
"""``watchword evidence``: list, export, redact, open, verify, and the owner's own key."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from dataclasses import dataclass

import pytest

from watchword.core.cli import secret_input, vault_options
from watchword.core.evidence.store import EvidenceStore
from watchword.core.records.database import Records
from watchword.core.rehearsal.rehearse import RehearsedGuest
from watchword.core.sev.policy import approve_policy, parse_policy
from watchword.core.vault.key_stretching import Scrypt

from ..evidence import made
from .support import finish, modes, start

PASSPHRASE = "five words chosen by chance"


class CheapScrypt:
    """Stands for the class of parameters and makes the least of them."""

    NAME = Scrypt.NAME

    def __new__(cls):
        return Scrypt(14, 1)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home of its own, no keyring, no terminal, and little work for a passphrase."""
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    for variable in ("DBUS_SESSION_BUS_ADDRESS", "WATCHWORD_VAULT_PASSPHRASE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(vault_options, "Scrypt", CheapScrypt)
    monkeypatch.setattr(secret_input, "_has_terminal", lambda: False)
    return tmp_path / "home"


@dataclass(frozen=True)
class Owner:
    """An owner with a vault, a signing key, and the records of one launch."""

    seed: bytes
    signer: str
    options: tuple[object, ...]


@pytest.fixture
def options(tmp_path):
    """What opens the vault."""
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return ("--passphrase-file", path)


@pytest.fixture
def owner(command, options):
    assert command("vault", "init", "--open-with", "passphrase", *options).status == 0
    signer = command("evidence", "signer", "--new", "--json", *options).json["signer"]
    shown = command("vault", "show", "evidence/signing-key", "--reveal", "--json", *options)
    return Owner(base64.b64decode(shown.json["value_base64"]), signer, options)


@pytest.fixture(scope="module")
def launch(keys):
    policy = approve_policy(parse_policy("nodbg,noks,nosend,sev,min-api=0.17"))
    return made.play(RehearsedGuest(policy=policy), keys)


@pytest.fixture
def document(launch, owner, home):
    """The launch's document, in the records."""
    data = launch.document(owner.seed)
    with Records.open(home) as records:
        EvidenceStore(records).add("launch-7", data)
    return data


@pytest.fixture
def file(document, tmp_path):
    path = tmp_path / "launch.json"
    path.write_bytes(document)
    return path


@pytest.fixture
def root(platform):
    return ("--trust-root", platform / "ark.cert")


# -- signer ----------------------------------------------------------------------------


def test_the_signer_is_the_hash_of_the_public_key_and_stays_the_same(command, owner):
    assert owner.signer == made.fingerprint(owner.seed)
    again = command("evidence", "signer", "--new", *owner.options)
    assert again.status == 0
    assert again.out.splitlines()[0] == owner.signer


def test_without_a_key_the_signer_says_how_to_get_one(command, options):
    assert command("vault", "init", "--open-with", "passphrase", *options).status == 0
    outcome = command("evidence", "signer", "--json", *options)
    assert outcome.status == 5
    assert outcome.code == "no-signing-key"
    assert "--new" in outcome.error["remedy"]


# -- list ------------------------------------------------------------------------------


def test_without_records_there_is_no_evidence_and_none_is_made(command, home):
    outcome = command("evidence", "list")
    assert outcome.status == 0
    assert outcome.out == "There is no evidence.\n"
    assert not home.exists()


def test_documents_are_listed_with_launch_and_hash(command, document):
    listed = command("evidence", "list", "--json").json["evidence"]
    assert [(entry["id"], entry["launch"]) for entry in listed] == [(1, "launch-7")]
    assert listed[0]["sha256"] == hashlib.sha256(document).hexdigest()
    assert "launch-7" in command("evidence", "list", "--launch", "launch-7").out
    assert command("evidence", "list", "--launch", "x", "--json").json["evidence"] == []


# -- export ----------------------------------------------------------------------------


def test_a_document_is_exported_as_it_was_signed_for_its_owner_alone(command, document, tmp_path):
    for number, name in enumerate(("launch-7", "1", hashlib.sha256(document).hexdigest())):
        out = tmp_path / f"out{number}"
        assert command("evidence", "export", name, "--out", out).status == 0
        assert out.read_bytes() == document
        assert out.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten_and_nothing_unknown_exported(command, document, tmp_path):
    out = tmp_path / "out"
    out.write_text("mine")
    outcome = command("evidence", "export", "1", "--out", out, "--json")
    assert (outcome.status, outcome.code) == (6, "file-exists")
    assert out.read_text() == "mine"
    outcome = command("evidence", "export", "launch-8", "--out", tmp_path / "new", "--json")
    assert (outcome.status, outcome.code) == (2, "evidence-missing")
    assert not (tmp_path / "new").exists()


def test_a_page_is_exported_verified_and_of_another_root_only_if_that_is_trusted(
    command, document, tmp_path, root
):
    out = tmp_path / "launch.html"
    outcome = command("evidence", "export", "1", "--html", "--out", out, "--json")
    assert (outcome.status, outcome.code) == (3, "untrusted-root")
    assert not out.exists()
    assert command("evidence", "export", "1", "--html", "--out", out, *root).status == 0
    page = out.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "SIMULATED" in page
    assert "PEK-signed" in page


def test_redacting_leaves_salts_beside_it_that_open_the_commitments(
    command, owner, document, tmp_path, root
):
    out = tmp_path / "redacted.json"
    done = command("evidence", "export", "1", "--redact", "--out", out, "--json", *owner.options)
    assert done.status == 0, done.out
    salts = tmp_path / "redacted.json.salts"
    assert done.json["salts"] == str(salts)
    assert salts.stat().st_mode & 0o777 == 0o600
    for name in (made.HOST, "kvm17", made.ENTRY):
        assert name not in made.payload_of(out.read_bytes()).decode()
    verified = command("evidence", "verify", out, "--signer", owner.signer, *root)
    assert verified.status == 0, verified.err
    assert "REDACTED" in verified.out
    assert made.HOST not in verified.out
    opened = command("evidence", "open", out, "--salts", salts, "--json").json["opened"]
    assert {"field": "host", "text": made.HOST} in opened
    assert {"field": "secrets[0].entry", "text": made.ENTRY} in opened
    assert done.json["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_salts_of_another_document_or_changed_ones_open_nothing(command, owner, document, tmp_path):
    for name in ("a", "b"):
        words = ("evidence", "export", "1", "--redact", "--out", tmp_path / name)
        assert command(*words, *owner.options).status == 0
    foreign = command("evidence", "open", tmp_path / "a", "--salts", tmp_path / "b.salts", "--json")
    assert (foreign.status, foreign.code) == (6, "bad-salts")
    good = json.loads((tmp_path / "a.salts").read_text())
    for number, change in enumerate(
        (
            {"openings": [{**good["openings"][0], "text": "another"}]},
            {"openings": [{**good["openings"][0], "salt": "00"}]},
            {"openings": [{**good["openings"][0], "field": "secrets[99999].entry"}]},
            {"openings": [{**good["openings"][0], "field": "a[9].b" * 400}]},
            {"openings": [7]},
            {"format": 2},
        )
    ):
        path = tmp_path / f"changed{number}"
        path.write_text(json.dumps({**good, **change}))
        outcome = command("evidence", "open", tmp_path / "a", "--salts", path, "--json")
        assert (outcome.status, outcome.code) == (6, "bad-salts"), change


def test_salts_go_nowhere_near_the_document(command, owner, document, tmp_path):
    out = tmp_path / "out"
    words = ("evidence", "export", "1", "--out", out, "--salts", out, "--json")
    assert command(*words, "--redact", *owner.options).code == "contradicting-options"
    assert command(*words).code == "salts-without-redact"
    assert not out.exists()


def test_another_owners_document_is_not_redacted(command, launch, owner, home, tmp_path):
    with Records.open(home) as records:
        EvidenceStore(records).add("launch-8", launch.document(made.OTHER_SEED))
    out = tmp_path / "out"
    outcome = command(
        "evidence", "export", "launch-8", "--redact", "--out", out, "--json", *owner.options
    )
    assert (outcome.status, outcome.code) == (3, "not-your-evidence")
    assert not out.exists()
    assert not (tmp_path / "out.salts").exists()


# -- verify ----------------------------------------------------------------------------


def test_a_document_is_verified_with_nothing_but_the_file(
    command, owner, file, firmware, root, monkeypatch, tmp_path
):
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "elsewhere"))
    outcome = command(
        "evidence", "verify", file, "--signer", owner.signer, "--firmware", firmware, *root
    )
    assert outcome.status == 0, outcome.err
    assert "launch.json: verified" in outcome.out
    assert "SIMULATED" in outcome.out
    assert "[recomputed  ]  what it is made of" in outcome.out
    assert "[PEK-signed  ]  launch digest" in outcome.out
    assert "[owner's word]  measurement" in outcome.out
    assert "[PEK-signed  ]  policy" in outcome.out
    assert "What SEV cannot prove:" in outcome.out
    assert not (tmp_path / "elsewhere").exists()


def test_without_the_firmware_the_digest_is_said_to_be_not_recomputed(command, owner, file, root):
    outcome = command("evidence", "verify", file, "--signer", owner.signer, *root)
    assert outcome.status == 0
    assert "not recomputed: that takes --firmware FILE" in outcome.out


def test_the_signer_may_be_written_in_groups_and_capitals(command, owner, file, root):
    text = " ".join(owner.signer[i : i + 8] for i in range(0, 64, 8)).upper()
    assert command("evidence", "verify", file, "--signer", text, *root).status == 0
    assert command("evidence", "verify", file, "--signer", "xyz", *root).status == 2


def test_an_unknown_signer_is_refused_unless_accepted(command, file, root):
    outcome = command("evidence", "verify", file, "--json", *root)
    assert outcome.status == 3
    assert outcome.code == "unknown-signer"
    other = command("evidence", "verify", file, "--signer", "00" * 32, *root)
    assert other.status == 3
    assert "NOT VERIFIED" in other.out
    accepted = command("evidence", "verify", file, "--accept-unknown-signer", *root)
    assert accepted.status == 0
    assert "NOBODY HERE VOUCHES FOR" in accepted.out


def test_another_firmware_file_is_refused(command, owner, file, firmware, root, tmp_path):
    other = tmp_path / "other.fd"
    other.write_bytes(bytes([firmware.read_bytes()[0] ^ 1]) + firmware.read_bytes()[1:])
    words = ("evidence", "verify", file, "--signer", owner.signer, *root)
    outcome = command(*words, "--firmware", other, "--json")
    assert (outcome.status, outcome.code) == (3, "firmware-differs")
    assert command(*words, "--firmware", other, "--firmware", firmware).status == 0
    kernel = command(*words, "--kernel", other, "--json")
    assert (kernel.status, kernel.code) == (3, "kernel-not-measured")


def test_each_of_several_files_gets_its_verdict_and_the_worst_one_counts(
    command, owner, file, launch, tmp_path, root
):
    paths = {"good": file, "missing": tmp_path / "missing.json"}
    waived = made.forged(
        file.read_bytes(), lambda p: p["waivers"].update(measurement="bench"), owner.seed
    )
    contents = {
        "waived": waived,
        "junk": b"\x1b[2J not json",
        "tampered": file.read_bytes()[:-9] + b"A" + file.read_bytes()[-8:],
        "stranger": launch.document(made.OTHER_SEED),
    }
    for name, data in contents.items():
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_bytes(data)

    def verify(*names):
        words = [paths[name] for name in names]
        return command("evidence", "verify", *words, "--signer", owner.signer, "--json", *root)

    assert verify("good", "good").status == 0
    assert verify("good", "waived").status == 8
    assert verify("waived", "junk", "good").status == 6
    assert verify("missing").status == 6
    everything = verify("good", "waived", "junk", "missing", "tampered", "stranger")
    assert everything.status == 3
    verdicts = [
        (document["ok"], document.get("error", {}).get("code"))
        for document in everything.json["documents"]
    ]
    assert verdicts[:2] == [(True, None), (True, None)]
    assert [ok for ok, _ in verdicts[2:]] == [False] * 4
    assert verdicts[3][1] == "file-missing"
    assert verdicts[5][1] == "unknown-signer"


def test_what_a_document_says_never_reaches_the_terminal_raw(
    command, owner, launch, tmp_path, root
):
    nasty = "\x1b]0;owned\x07\u202ehost"
    path = tmp_path / "nasty.json"
    path.write_bytes(launch.document(owner.seed, host=nasty, guest=nasty))
    outcome = command("evidence", "verify", path, "--signer", owner.signer, *root)
    assert outcome.status == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert "\u202e" not in outcome.out
    assert "\\x1b]0;owned\\x07" in outcome.out


# -- nothing leaks ---------------------------------------------------------------------


def test_the_signing_key_is_in_nothing_that_is_written_or_shown(
    command, owner, document, tmp_path, root, caplog
):
    caplog.set_level(logging.DEBUG)
    seen = []
    for words in (
        ("list",),
        ("signer", *owner.options),
        ("export", "1", "--out", tmp_path / "plain"),
        ("export", "1", "--html", "--out", tmp_path / "page", *root),
        ("export", "1", "--redact", "--out", tmp_path / "redacted", *owner.options),
        ("verify", tmp_path / "plain", "--signer", owner.signer, *root),
        ("verify", tmp_path / "redacted", "--json", *root),
    ):
        outcome = command("evidence", *words)
        seen += [outcome.out.encode(), outcome.err.encode()]
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    seen += [
        base64.b64decode(json.loads(path.read_bytes())["payload"])
        for path in (tmp_path / "plain", tmp_path / "redacted")
    ]
    seen.append(caplog.text.encode())
    ways = {owner.seed, owner.seed.hex().encode()}
    ways |= {base64.b64encode(bytes(lead) + owner.seed)[4:-4] for lead in range(3)}
    for text in seen:
        assert not [way for way in ways if way in text]
    assert set(modes(tmp_path).values()) <= {0o600, 0o644}
    for name in ("plain", "page", "redacted", "redacted.salts"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_real_process_verifies_without_warnings(file, owner, root):
    words = ("evidence", "verify", file, "--signer", owner.signer, "--json", *root)
    outcome = finish(start(*words, env={"PATH": os.environ["PATH"]}))
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    assert outcome.json["documents"][0]["outcome"] == "running"
