# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds on made-up machines, and the line it gives for what is missing."""

from __future__ import annotations

import dataclasses
import errno
import os
import shlex
import sys
from datetime import date

import pytest

from watchword.core.doctor import checks
from watchword.core.doctor.checks import Standing, examine, lacking
from watchword.core.doctor.surroundings import Surroundings, system_families
from watchword.core.errors import BadInput
from watchword.core.records.database import records_folder
from watchword.core.vault.vault_file import default_folder

NAMES = [
    "watchword",
    "python",
    "cryptography",
    "qemu-qmp",
    "amd-roots",
    "display",
    "pyside6",
    "keyring",
    "qemu",
    "ssh",
    "libvirt",
    "kubevirt",
    "state-folder",
    "core-dumps",
    "clock",
]
VERSIONS = {"watchword": "0.1.0", "cryptography": "45.1", "qemu.qmp": "0.0.6", "keyring": "25"}


@pytest.fixture
def rich(tmp_path):
    """A machine that has everything."""
    return Surroundings(
        environment={
            "DISPLAY": ":0",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/bus",
            "WATCHWORD_HOME": str(tmp_path),
        },
        families=frozenset({"debian"}),
        platform="linux",
        today=date(2027, 1, 1),
        python="/opt/my python/bin/python3",
        has_module=lambda name: True,
        version_of=VERSIONS.get,
        which=lambda name: f"/usr/bin/{name}",
        first_line=lambda command: f"{command[0]} 1.2.3",
    )


@pytest.fixture
def poor(rich, tmp_path):
    """A machine that has nothing but Python."""
    return dataclasses.replace(
        rich,
        environment={"WATCHWORD_HOME": str(tmp_path / "a" / "b")},
        has_module=lambda name: False,
        version_of=lambda name: None,
        which=lambda name: None,
    )


@pytest.fixture(autouse=True)
def _hardened(monkeypatch):
    """As in a real run, where the process has given up core dumps."""
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (0, 0))
    monkeypatch.setattr(checks, "_dumpable", lambda: 0)


def found(surroundings):
    return {check.name: check for check in examine(surroundings)}


def test_the_names_are_stable(rich, poor):
    assert [check.name for check in examine(rich)] == NAMES
    assert [check.name for check in examine(poor)] == NAMES


def test_where_everything_is_there_nothing_is_to_be_done(rich):
    result = examine(rich)
    assert {check.standing for check in result} == {Standing.OK}
    assert {check.remedy for check in result} == {None}
    assert lacking(result) == ()


def test_what_is_missing_is_named_with_its_use_and_the_line_that_gets_it(poor):
    result = found(poor)
    assert lacking(tuple(result.values())) == ("cryptography", "qemu-qmp")
    for name in ("pyside6", "keyring", "qemu", "ssh", "libvirt", "kubevirt", "display"):
        check = result[name]
        assert (check.standing, check.required) == (Standing.MISSING, False)
        assert check.use
    assert result["qemu"].remedy == "apt install qemu-system-x86"
    assert result["ssh"].remedy == "apt install openssh-client"
    assert result["libvirt"].remedy == "apt install libvirt-clients"
    assert "KubeVirt's releases" in result["kubevirt"].remedy


def test_lines_for_pip_name_the_python_that_runs_this(poor):
    for name in ("pyside6", "keyring", "qemu-qmp"):
        assert shlex.split(found(poor)[name].remedy)[:4] == [poor.python, "-m", "pip", "install"]


def test_on_other_systems_no_apt_line_is_given(poor):
    other = found(dataclasses.replace(poor, families=frozenset({"fedora"})))
    assert all("apt" not in (check.remedy or "") for check in other.values())
    assert "QEMU" in other["qemu"].remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_ID=12\n", {"debian"}),
        (
            'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n',
            {"linuxmint", "ubuntu", "debian"},
        ),
        ("ID='arch'\nBUILD_ID=rolling", {"arch"}),
        ("", set()),
        ("\0\xff=\n====", set()),
    ],
)
def test_the_system_is_known_by_its_os_release(tmp_path, text, expected):
    path = tmp_path / "os-release"
    path.write_text(text, encoding="latin-1")
    assert system_families(str(path)) == expected
    assert system_families(str(tmp_path / "gone")) == frozenset()


# -- each check --------------------------------------------------------------------------


def test_an_old_cryptography_is_a_problem(rich):
    old = dataclasses.replace(rich, version_of=lambda name: "43.0.3")
    check = found(old)["cryptography"]
    assert (check.standing, check.required) == (Standing.PROBLEM, True)
    assert "cryptography>=44" in check.remedy


def test_cryptography_that_can_not_be_loaded_is_missing(rich, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.backends.openssl.backend", None)
    result = examine(rich)
    assert lacking(result)[0] == "cryptography"


def test_amds_roots_verify_here_and_now(rich):
    assert found(rich)["amd-roots"].found == "naples, rome, milan, genoa, turin"


def test_damaged_roots_are_a_problem(rich, monkeypatch):
    def broken():
        raise BadInput("damaged-roots", "x", "The rome ARK is not the one.", "Install it again.")

    monkeypatch.setattr("watchword.core.amd.roots.amd_roots", broken)
    check = found(rich)["amd-roots"]
    assert (check.standing, check.required) == (Standing.PROBLEM, True)
    assert "rome" in check.use


def test_a_root_that_does_not_verify_is_a_problem(rich, monkeypatch):
    monkeypatch.setattr("watchword.core.sev.chain_rules.ask_problem", lambda ask, ark: "forged")
    assert lacking(examine(rich)) == ("amd-roots",)


@pytest.mark.parametrize(
    ("environment", "platform", "standing"),
    [
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", Standing.OK),
        ({"DISPLAY": ""}, "linux", Standing.MISSING),
        ({}, "darwin", Standing.OK),
    ],
)
def test_a_display_is_x11_wayland_or_the_systems_own(rich, environment, platform, standing):
    there = {**environment, "WATCHWORD_HOME": rich.environment["WATCHWORD_HOME"]}
    machine = dataclasses.replace(rich, environment=there, platform=platform)
    assert found(machine)["display"].standing is standing


def test_a_session_bus_may_be_a_socket_in_the_runtime_folder(rich, tmp_path):
    (tmp_path / "bus").touch()
    machine = dataclasses.replace(rich, environment={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found(machine)["keyring"].standing is Standing.OK


def test_without_a_session_the_remedy_fits_what_is_installed(rich):
    headless = dataclasses.replace(rich, environment={})
    assert "Log in" in found(headless)["keyring"].remedy
    bare = dataclasses.replace(headless, which=lambda name: None)
    assert found(bare)["keyring"].remedy == "apt install gnome-keyring dbus-user-session"


def test_nothing_is_imported_to_see_whether_it_is_there(rich):
    real = dataclasses.replace(rich, has_module=Surroundings().has_module)
    before = {name for name in sys.modules if name.startswith(("PySide6", "keyring", "libvirt"))}
    examine(real)
    after = {name for name in sys.modules if name.startswith(("PySide6", "keyring", "libvirt"))}
    assert after == before


def test_a_program_that_does_not_answer_is_a_problem(rich):
    silent = dataclasses.replace(rich, first_line=lambda command: None)
    check = found(silent)["qemu"]
    assert check.standing is Standing.PROBLEM
    assert "does not tell" in check.found


def test_hosts_are_reached_by_programs_and_each_is_looked_for(rich):
    """libvirt's Python binding is of no use: virsh is what reaches it."""
    asked = []

    def first_line(command):
        asked.append(tuple(command[1:]))
        return f"{command[0]} 1.2.3"

    result = found(dataclasses.replace(rich, first_line=first_line))
    assert result["ssh"].found == "/usr/bin/ssh 1.2.3"
    assert result["libvirt"].found == "/usr/bin/virsh 1.2.3"
    assert result["kubevirt"].found == "/usr/bin/virtctl 1.2.3"
    assert ("version", "--client") in asked  # and no cluster is asked
    without = dataclasses.replace(rich, which=lambda name: None)
    assert found(without)["libvirt"].standing is Standing.MISSING


def test_a_state_folder_that_can_not_be_made_is_a_problem(rich, tmp_path):
    (tmp_path / "file").write_text("")
    machine = dataclasses.replace(
        rich, environment={"WATCHWORD_HOME": str(tmp_path / "file" / "x")}
    )
    assert found(machine)["state-folder"].standing is Standing.PROBLEM


def test_a_full_disk_is_a_problem(rich, monkeypatch):
    monkeypatch.setattr(checks, "_LEAST_FREE", 1 << 80)
    assert "Make room" in found(rich)["state-folder"].remedy


def test_the_state_folder_is_where_records_and_vault_are_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("WATCHWORD_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for home in (None, tmp_path / "w"):
        if home is not None:
            monkeypatch.setenv("WATCHWORD_HOME", str(home))
        folder = Surroundings(environment=os.environ).state_folder
        assert folder == records_folder()
        assert folder / "vault" == default_folder()


def test_a_state_folder_that_can_not_be_looked_at_is_told_of(rich, tmp_path, monkeypatch):
    hidden = tmp_path / "hidden"
    real = os.stat

    def stat(path, *more, **named):
        if str(path).startswith(f"{hidden}{os.sep}"):
            raise PermissionError(errno.EACCES, "denied")
        return real(path, *more, **named)

    monkeypatch.setattr(os, "stat", stat)
    machine = dataclasses.replace(rich, environment={"WATCHWORD_HOME": str(hidden / "w")})
    assert str(hidden / "w") in found(machine)["state-folder"].found


@pytest.mark.parametrize(("limit", "dumpable"), [(1, 0), (0, 1)])
def test_core_dumps_that_may_be_written_are_a_problem(rich, monkeypatch, limit, dumpable):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    monkeypatch.setattr(checks, "_dumpable", lambda: dumpable)
    check = found(rich)["core-dumps"]
    assert (check.standing, check.remedy) == (
        Standing.PROBLEM,
        "Type `ulimit -c 0` before Watchword is started.",
    )


@pytest.mark.parametrize("today", [date(1970, 1, 1), date(2026, 11, 22), date(2100, 1, 1)])
def test_a_clock_from_another_time_is_a_problem(rich, today):
    check = found(dataclasses.replace(rich, today=today))["clock"]
    assert check.standing is Standing.PROBLEM
    assert today.isoformat() in check.found
