# SPDX-License-Identifier: Apache-2.0
"""``watchword doctor``: words, JSON, exit status, and that nothing is asked of anybody."""

from __future__ import annotations

import pytest

from watchword.core.doctor import checks
from watchword.core.doctor.checks import Check, Standing

from .support import finish, start

OK = Check("python", True, Standing.OK, "3.11", "Runs it.")
LESS = Check("ssh", False, Standing.MISSING, "no ssh", "Reaches hosts.", "apt install ssh")
BAD = Check("roots", True, Standing.PROBLEM, "They don't verify", "Needed.", "Install it again.")


@pytest.fixture
def doctor(command, monkeypatch):
    """The doctor's visit to a machine with these checks."""

    def visit(*results, json=False):
        monkeypatch.setattr(checks, "examine", lambda: results)
        return command("doctor", *(["--json"] if json else []))

    return visit


def test_optional_parts_that_are_missing_are_told_and_no_failure(doctor):
    shown = doctor(OK, LESS)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[:3] == [
        "ok       python: 3.11",
        "missing  ssh: no ssh. Reaches hosts.",
        "           apt install ssh",
    ]


def test_a_required_part_that_is_missing_is_a_failure(doctor):
    shown = doctor(OK, BAD)
    assert shown.status == 1
    assert "PROBLEM  roots: They don't verify. Needed." in shown.out
    assert "can't work without: roots" in shown.out


def test_the_json_names_every_check(doctor):
    shown = doctor(OK, LESS, BAD, json=True)
    assert (shown.status, shown.err) == (1, "")
    assert (shown.json["ok"], shown.json["missing"]) == (False, ["roots"])
    assert shown.json["checks"][1] == {
        "name": "ssh",
        "required": False,
        "status": "missing",
        "found": "no ssh",
        "use": "Reaches hosts.",
        "remedy": "apt install ssh",
    }


def test_a_real_visit_finds_this_machine_fit_and_core_dumps_off(tmp_path):
    environment = {"WATCHWORD_HOME": str(tmp_path)}
    shown = finish(start("doctor", "--json", env=environment))
    assert (shown.status, shown.err) == (0, "")
    found = {check["name"]: check for check in shown.json["checks"]}
    assert found["core-dumps"]["status"] == "ok"
    assert found["amd-roots"]["status"] == "ok"
    assert list(tmp_path.iterdir()) == []
