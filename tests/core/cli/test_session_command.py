# SPDX-License-Identifier: Apache-2.0
"""``session create``: the launch blob, its keys, and platforms and policies that are refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from watchword.core.ledger.entries import EntryKind
from watchword.core.ledger.ledger import Ledger
from watchword.core.records.database import Records, records_folder

from ..sev.firmware_side import unwrap
from .support import modes, spellings

DEFAULT = 0x1100002F


@pytest.fixture
def create(command, fake, tmp_path):
    """Makes a session for the platform whose PDH key is known; returns the outcome."""

    def run(*words, policy="default", trust=True, name="vm1"):
        trusted = ("--trust-root", fake["ark"]) if trust else ()
        return command(
            *("session", "create", *fake.values(), "--policy", policy, "--json", *trusted),
            *("--out", tmp_path / "out", "--export-keys", tmp_path / "keys", "--name", name),
            *words,
        )

    return run


@pytest.fixture(scope="session")
def pdh_key(vectors):
    manifest = json.loads((vectors / "fake-platform" / "manifest.json").read_text())
    return ec.derive_private_key(int(manifest["pdh_private_hex"], 16), ec.SECP384R1())


def read(files):
    return {kind: Path(path).read_bytes() for kind, path in files.items()}


def test_the_platforms_secure_processor_opens_what_was_written(create, pdh_key):
    shown = create("--raw")
    assert shown.status == 0
    made = read(shown.json["files"])
    assert set(made) == {"tek", "tik", "godh", "session", "godh_raw", "session_raw"}
    opened = unwrap(pdh_key, made["godh_raw"], made["session_raw"], DEFAULT)
    assert (opened.tek, opened.tik) == (made["tek"], made["tik"])
    assert base64.b64decode(made["godh"], validate=True) == made["godh_raw"]
    assert base64.b64decode(made["session"], validate=True) == made["session_raw"]


@pytest.mark.parametrize(
    ("policy", "value"), [("0x3100002f", 0x3100002F), ("nodbg,sev,min-api=1.49", 0x31010021)]
)
def test_the_blob_is_bound_to_every_bit_of_the_policy(create, pdh_key, policy, value):
    shown = create("--raw", policy=policy)
    assert shown.json["policy"] == value
    made = read(shown.json["files"])
    assert unwrap(pdh_key, made["godh_raw"], made["session_raw"], value).tik == made["tik"]
    with pytest.raises(AssertionError, match="policy"):
        unwrap(pdh_key, made["godh_raw"], made["session_raw"], value ^ 1 << 24)


def test_files_are_for_their_owner_alone(create, tmp_path):
    assert create().status == 0
    assert modes(tmp_path) == {
        "keys/README_vm1.txt": 0o600,
        "keys/vm1_tek.bin": 0o600,
        "keys/vm1_tik.bin": 0o600,
        "out/vm1_godh.b64": 0o600,
        "out/vm1_session.b64": 0o600,
    }
    for folder in (tmp_path / "keys", tmp_path / "out"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_json_names_paths_policy_and_platform(create, tmp_path):
    made = create().json
    assert made["files"] == {
        "tek": str(tmp_path / "keys" / "vm1_tek.bin"),
        "tik": str(tmp_path / "keys" / "vm1_tik.bin"),
        "godh": str(tmp_path / "out" / "vm1_godh.b64"),
        "session": str(tmp_path / "out" / "vm1_session.b64"),
    }
    assert made["keys_note"] == str(tmp_path / "keys" / "README_vm1.txt")
    assert (made["policy"], made["policy_names"]) == (
        DEFAULT,
        "nodbg,noks,es,nosend,sev,min-api=0.17",
    )
    assert (made["platform"], made["root"], made["waivers"]) == ("foreign-root", "not-amd", {})
    assert made["warnings"] == ["The root is not AMD's: you named it as trusted."]


def test_a_real_platform_is_verified(command, naples, tmp_path):
    shown = command(
        *("session", "create", *naples.values(), "--policy", "default", "--json"),
        *("--out", tmp_path, "--export-keys", tmp_path, "--name", "vm1"),
    )
    assert shown.status == 0
    made = shown.json
    assert (made["platform"], made["root"], made["generation"]) == ("verified", "amd", "naples")


def test_two_sessions_share_nothing(create):
    first, second = (read(create("--raw", name=name).json["files"]) for name in ("a", "b"))
    for kind in ("tek", "tik", "godh", "session"):
        assert first[kind] != second[kind]
    assert first["session_raw"][:16] != second["session_raw"][:16]


def test_files_of_an_earlier_launch_are_never_overwritten(create, tmp_path):
    before = read(create().json["files"])
    shown = create()
    assert (shown.status, shown.code) == (6, "file-exists")
    assert "README_vm1.txt" in shown.error["message"]
    for name in ("README_vm1.txt", "vm1_tek.bin", "vm1_tik.bin"):
        (tmp_path / "keys" / name).rename(tmp_path / name)
    # Even if only one of them is left, and even if it is a link to nowhere.
    assert create().code == "file-exists"
    (tmp_path / "out" / "vm1_godh.b64").unlink()
    (tmp_path / "out" / "vm1_session.b64").unlink()
    (tmp_path / "out" / "vm1_session.b64").symlink_to("nowhere")
    assert create().code == "file-exists"
    assert not list((tmp_path / "keys").iterdir())
    assert (tmp_path / "vm1_tek.bin").read_bytes() == before["tek"]


def test_no_file_is_left_where_one_cant_be_written(command, fake, create, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for out, keys in (("file", "keys"), ("out", "file"), ("file/x", "keys"), ("out", "/dev/null")):
        shown = command(
            *("session", "create", *fake.values(), "--trust-root", fake["ark"]),
            *("--policy", "default", "--json", "--name", "vm1"),
            *("--out", tmp_path / out, "--export-keys", tmp_path / keys),
        )
        assert (shown.status, shown.code) == (6, "bad-folder")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
    # A name that is too long only with the longest of the endings: the keys come first.
    name = "n" * (255 - len("_tek.bin"))
    assert create(name=name).code == "file-not-written"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("failing", range(7))
def test_nothing_is_left_when_writing_fails_half_way(create, tmp_path, monkeypatch, failing):
    from watchword.core.cli import new_files

    genuine, written = new_files.write_file, []

    def write_file(path, data, **options):
        if len(written) == failing:
            raise KeyboardInterrupt
        written.append(path)
        genuine(path, data, **options)

    monkeypatch.setattr(new_files, "write_file", write_file)
    assert create("--raw").status == 130
    assert len(written) == failing
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-n", "a/b", "../x", "a\\b"])
def test_names_that_lead_elsewhere_are_refused(create, tmp_path, name):
    shown = create(f"--name={name}")
    assert (shown.status, shown.code) == (2, "bad-name")
    assert not list(tmp_path.iterdir())


# -- refusals and waivers ----------------------------------------------------------


@pytest.mark.parametrize("policy", ["0", "1", "0x2e", "0x2f", "nodbg,noks,es,min-api=0.17"])
def test_a_weak_policy_is_refused_and_can_be_waived(create, tmp_path, policy):
    shown = create(policy=policy)
    assert (shown.status, shown.code) == (3, "policy-refused")
    assert not list(tmp_path.iterdir())
    waived = create("--waive-policy", "a test bench", policy=policy)
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["waivers"] == {"policy": "a test bench"}
    assert waived.json["warnings"]


@pytest.mark.parametrize("policy", ["", "x", "0x", "0x40", "1 2", "nodbg,", "-1", "99999999999"])
def test_what_is_no_policy_is_a_usage_error(create, tmp_path, policy):
    shown = create(f"--policy={policy}")
    assert (shown.status, shown.code) == (2, "bad-policy")


def test_a_policy_is_never_changed_silently(create):
    shown = create("--waive-policy", "a test bench", policy="0x1")
    assert (shown.json["policy"], shown.json["policy_names"]) == (1, "nodbg")


def test_a_platform_that_does_not_verify_is_refused_and_can_be_waived(create, tmp_path):
    shown = create(trust=False)
    assert (shown.status, shown.code) == (3, "chain-refused")
    assert not list(tmp_path.iterdir())
    waived = create("--waive-platform", "a test bench", trust=False)
    assert (waived.status, waived.json["ok"]) == (8, True)
    assert waived.json["platform"] == "waived"
    assert waived.json["waivers"] == {"platform": "a test bench"}
    assert waived.json["warnings"][0].startswith("The platform is not verified. ARK under itself:")
    assert "The platform is not verified." in waived.err


def test_both_waivers_are_told(command, create):
    words = ("--waive-platform", "no chain yet", "--waive-policy", "old host")
    shown = create(*words, policy="1", trust=False)
    assert shown.status == 8
    assert shown.json["waivers"] == {"platform": "no chain yet", "policy": "old host"}


def test_waivers_that_nothing_needs_are_not_used(create):
    shown = create("--waive-platform", "just in case", "--waive-policy", "just in case")
    assert (shown.status, shown.json["waivers"]) == (0, {})


@pytest.mark.parametrize("reason", ["", " ", "\t", "x", "\x1b[0m", "a\nb"])
def test_a_reason_has_to_say_something(create, tmp_path, reason):
    for words in ((f"--waive-platform={reason}",), (f"--waive-policy={reason}", "--policy=1")):
        shown = create(*words, trust=False)
        assert (shown.status, shown.code) == (2, "empty-waiver")
    assert not list(tmp_path.iterdir())


def test_without_a_pdh_no_waiver_helps(command, fake, tmp_path):
    shown = command(
        *("session", "create", fake["pek"], "--policy", "default", "--json", "--name", "vm1"),
        *("--out", tmp_path, "--export-keys", tmp_path, "--waive-platform", "a test bench"),
    )
    assert (shown.status, shown.code) == (6, "missing-pdh")


def test_the_words_say_which_files_are_for_whom(command, fake, tmp_path):
    shown = command(
        *("session", "create", *fake.values(), "--policy", "1", "--name", "vm1"),
        *("--out", tmp_path, "--export-keys", tmp_path, "--waive-policy", "a test bench"),
        *("--trust-root", fake["ark"]),
    )
    assert shown.status == 8
    host, own = shown.out.split("To keep to yourself")
    assert "vm1_godh.b64" in host
    assert "tek" not in host
    assert "vm1_tik.bin" in own
    assert "WAIVED policy: a test bench" in own
    assert "warning: The root is not AMD's" in shown.err


@pytest.mark.parametrize("pin", ["--oca", "--pin-cek"])
def test_a_platform_that_is_not_the_pinned_one_gets_no_session(create, tmp_path, pin):
    refused = create(pin, "00" * 32)
    assert (refused.status, refused.code) == (3, "chain-refused")
    assert not (tmp_path / "keys").exists()


# -- what leaves the program is recorded -----------------------------------------------


def exports():
    """The entries about exported keys, in a ledger that verifies."""
    folder = records_folder()
    if not Records.exists(folder):
        return []
    with Records.open(folder) as records:
        ledger = Ledger(records)
        ledger.verify()
        return list(ledger.entries(kinds=(EntryKind.KEYS_EXPORTED,)))


def test_keys_are_exported_with_an_entry_that_says_for_which_platform(create, tmp_path):
    made = create("--raw").json
    (entry,) = exports()
    body = entry.body
    blob = hashlib.sha256(Path(made["files"]["session_raw"]).read_bytes()).hexdigest()
    assert (body["policy"], body["blob_sha256"]) == (made["policy"], blob)
    assert (body["platform"], body["pdh_sha256"]) == ("foreign-root", made["pdh_sha256"])
    assert body["folder"] == str(tmp_path / "keys")
    assert body["files"] == "vm1_tek.bin, vm1_tik.bin"
    for kind in ("tek", "tik"):
        key = Path(made["files"][kind]).read_bytes()
        assert not [form for form in spellings(key) if form in json.dumps(dict(body)).encode()]


def test_what_was_waived_stands_in_the_entry(create):
    create("--waive-platform", "a test bench", trust=False)
    (entry,) = exports()
    assert entry.body["waivers"] == {"platform": "a test bench"}


def test_the_entry_is_written_before_any_key(create, tmp_path, monkeypatch):
    from watchword.core.cli import session_command

    genuine, seen = session_command.write_new_files, []

    def write_new_files(files):
        assert not list(tmp_path.rglob("*_t?k.bin"))
        seen.append(len(exports()))
        genuine(files)

    monkeypatch.setattr(session_command, "write_new_files", write_new_files)
    assert create().status == 0
    assert seen == [1]


def test_where_nothing_can_be_recorded_nothing_is_exported(create, tmp_path, monkeypatch):
    home = tmp_path / "file"
    home.write_bytes(b"")
    monkeypatch.setenv("WATCHWORD_HOME", str(home))
    shown = create()
    assert shown.status == 6
    assert "has to be recorded first" in shown.error["message"]
    assert "WATCHWORD_HOME" in shown.error["remedy"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_exported_over_a_records_file_that_is_none(create, tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHWORD_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "records.sqlite3").write_bytes(b"no database at all" * 100)
    shown = create()
    assert (shown.status, shown.code) == (6, "records-damaged")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_refused_session_leaves_no_entry(create):
    create(policy="1")
    create(trust=False)
    assert exports() == []


def test_beside_the_keys_lies_what_they_can_do(create, tmp_path):
    create()
    note = (tmp_path / "keys" / "README_vm1.txt").read_text()
    assert "Whoever has this and the packet can take the secret" in note
