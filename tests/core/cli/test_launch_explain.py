# SPDX-License-Identifier: Apache-2.0
"""``launch show --explain``: every command that it names is run, and says what it has to."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from watchword.core.records.database import FILE_NAME

from .batch_support import (
    APPROVABLE,
    NOW,
    SECRET,
    approve,
    profile_from_document,
)


@pytest.fixture
def launch(launches):
    made = launches.prepare()
    with launches.vm():
        assert launches("complete", made).status == 0
    return made


def checks(shown):
    return [check for step in shown.json["steps"] for check in step["checks"]]


def run(command, folder):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_command_runs_and_prints_what_it_has_to(launches, launch, program):
    program("openssl", "openssl")
    folder = launches.folder / "opinion"
    shown = launches("show", launch, "--explain", "--out", folder)
    assert shown.status == 0
    found = checks(shown)
    tools = {check["tool"] for check in found}
    assert tools == {"openssl", "coreutils", "sev-snp-measure (PyPI)"}
    assert sum(check["tool"] == "openssl" for check in found) == 7
    for check in found:
        told = run(check["command"], folder)
        assert told.returncode == 0, check["command"] + told.stderr
        assert told.stdout.strip() == check["expected"], check["command"]


def test_one_changed_byte_of_any_file_is_found_by_some_command(launches, launch, program):
    program("openssl", "openssl")
    folder = launches.folder / "opinion"
    shown = launches("show", launch, "--explain", "--out", folder)
    read = {word for check in checks(shown) for word in shlex.split(check["command"])}
    for path in sorted(folder.iterdir()):
        if path.name not in read:
            continue
        good = path.read_bytes()
        path.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
        outcomes = [
            run(check["command"], folder).stdout.strip() == check["expected"]
            for check in checks(shown)
            if path.name in shlex.split(check["command"])
        ]
        assert not all(outcomes), path.name
        path.write_bytes(good)


def test_no_secret_and_no_key_is_in_any_file(launches, launch):
    folder = launches.folder / "opinion"
    launches("show", launch, "--explain", "--out", folder)
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert SECRET not in content
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_while_the_keys_live_the_words_say_how_and_at_what_price(launches):
    prepared = launches.prepare()
    shown = launches.say("show", prepared, "--explain")
    assert shown.status == 0
    assert "openssl dgst" in shown.out
    with launches.vm():
        launches("complete", prepared, "--no-inject")
    (measured,) = [
        step
        for step in launches("show", prepared, "--explain").json["steps"]
        if step["step"] == "measurement"
    ]
    assert "Whoever gets that file can take the secret" in " ".join(measured["sentences"])


@pytest.mark.parametrize("guest", ["web", "plain"])
def test_libvirts_tool_checks_the_measurement_while_the_keys_live(launches, program, guest):
    program("virt-qemu-sev-validate", "libvirt-clients-qemu")
    if guest == "plain":
        words = {"technology": "sev", "policy": "nodbg,noks,nosend,sev,min-api=0.17"}
        document = launches.home.document(guest, **words)
        del document["vcpus"], document["cpu"]
        profile = profile_from_document(document, guest)
        launches.home.store.add(approve(profile, APPROVABLE, NOW)[0])
    prepared = launches.prepare(guest=guest)
    with launches.vm(**({"policy": 0x1100002B} if guest == "plain" else {})):
        launches("complete", prepared, "--no-inject")
    shown = launches("show", prepared, "--explain", "--out", launches.folder / "opinion").json
    (measured,) = [step for step in shown["steps"] if step["step"] == "measurement"]
    (check,) = measured["checks"]
    assert check["tool"] == "libvirt-clients-qemu"
    with launches.home.open_vault() as vault, vault.get(f"launch/{prepared}/tik").reveal() as tik:
        (launches.folder / "opinion" / "tik.bin").write_bytes(tik)
    told = run("/usr/bin/python3 /usr/bin/" + check["command"], launches.folder / "opinion")
    assert told.stdout.strip() == check["expected"], told.stdout + told.stderr
    (launches.folder / "opinion" / "tik.bin").write_bytes(bytes(16))
    told = run("/usr/bin/python3 /usr/bin/" + check["command"], launches.folder / "opinion")
    assert (told.returncode, told.stdout.strip() == check["expected"]) == (1, False)


def test_after_sealing_the_words_say_that_nobody_can_check_the_hmac_again(launches, launch):
    shown = launches.say("show", launch, "--explain")
    assert "TEK and TIK were erased" in shown.out
    assert "With --out DIR" in shown.out


def test_what_is_there_is_not_overwritten(launches, launch):
    folder = launches.folder / "opinion"
    assert launches("show", launch, "--explain", "--out", folder).status == 0
    again = launches("show", launch, "--explain", "--out", folder)
    assert (again.status, again.code) == (6, "file-exists")


def edited(launches, launch, certificates):
    """The launch as somebody who can write the records has edited what they tell of it."""
    path = launches.home.path / FILE_NAME
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "select document from launches where id = ?"
        document = json.loads(connection.execute(query, (launch,)).fetchone()[0])
        document["record"]["told"]["facts"]["platform"]["record"]["certificates"] = certificates
        words = "update launches set document = ? where id = ?"
        connection.execute(words, (json.dumps(document).encode(), launch))
        connection.commit()


def test_an_edited_record_names_no_files_elsewhere(launches, launch):
    edited(launches, launch, {"../elsewhere": "QUJD"})
    folder = launches.folder / "opinion"
    launches("show", launch, "--explain", "--out", folder)
    assert not (launches.folder / "elsewhere.cert").exists()


def test_an_edited_record_is_told_of_in_our_words(launches, launch):
    edited(launches, launch, {"ark": "no base64!"})
    shown = launches("show", launch, "--explain")
    assert (shown.status, shown.code) == (6, "base64-junk")
