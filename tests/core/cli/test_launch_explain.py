# SPDX-License-Identifier: Apache-2.0
"""``launch show --explain``: every command that it names is run, and says what it has to."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .batch_support import SECRET


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


def test_after_sealing_the_words_say_that_nobody_can_check_the_hmac_again(launches, launch):
    shown = launches.say("show", launch, "--explain")
    assert "TEK and TIK were erased" in shown.out
    assert "With --out DIR" in shown.out


def test_what_is_there_is_not_overwritten(launches, launch):
    folder = launches.folder / "opinion"
    assert launches("show", launch, "--explain", "--out", folder).status == 0
    again = launches("show", launch, "--explain", "--out", folder)
    assert (again.status, again.code) == (6, "file-exists")
