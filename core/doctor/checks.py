# SPDX-License-Identifier: Apache-2.0
"""The checks: each says what there is, what it is for, and the line that gets what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

from ..errors import WatchwordError
from .surroundings import Surroundings

_LEAST_PYTHON: Final = (3, 11)
_LEAST_CRYPTOGRAPHY: Final = 44
_LEAST_FREE: Final = 64 << 20
_PR_GET_DUMPABLE: Final = 3
_YEARS_OF_USE: Final = 50
_KEYRING_SERVICES: Final = ("gnome-keyring-daemon", "kwalletd5", "kwalletd6")


class Standing(StrEnum):
    """How a check ended."""

    OK = "ok"
    MISSING = "missing"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``name`` is kebab-case and stable.

    ``found``   what there is, in a line
    ``use``     what it is for
    ``remedy``  how to get or mend it; None where nothing is to be done
    """

    name: str
    required: bool
    standing: Standing
    found: str
    use: str
    remedy: str | None = None

    def as_json(self) -> dict[str, object]:
        """The check as it appears in JSON output."""
        return {
            "name": self.name,
            "required": self.required,
            "status": self.standing.value,
            "found": self.found,
            "use": self.use,
            "remedy": self.remedy,
        }


def examine(surroundings: Surroundings | None = None) -> tuple[Check, ...]:
    """All checks in their order. Nothing is unlocked, asked, started for good or written."""
    around = surroundings if surroundings is not None else Surroundings()
    return tuple(check(around) for check in _CHECKS)


def lacking(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """Names of what is required and not in order."""
    return tuple(c.name for c in checks if c.required and c.standing is not Standing.OK)


# -- what every command needs ------------------------------------------------------


def _watchword(around: Surroundings) -> Check:
    version = around.version_of("watchword")
    use = "The program itself."
    if version is None:
        found = "It runs from its source folder, without being installed."
        return Check("watchword", False, Standing.OK, found, use)
    return Check("watchword", False, Standing.OK, version, use)


def _python(around: Surroundings) -> Check:
    found = f"{platform.python_version()}, {around.python}"
    use = "Runs Watchword."
    if sys.version_info[:2] >= _LEAST_PYTHON:
        return Check("python", True, Standing.OK, found, use)
    remedy = around.apt("python3-venv", "Python 3.11 or later with its venv module")
    return Check("python", True, Standing.PROBLEM, found, use, remedy)


def _cryptography(around: Surroundings) -> Check:
    use = "Keys, signatures and encryption, through OpenSSL."
    remedy = around.pip(f"cryptography>={_LEAST_CRYPTOGRAPHY}")
    try:
        from cryptography.hazmat.backends.openssl.backend import backend  # noqa: PLC0415

        openssl = backend.openssl_version_text()
    except ImportError:
        return Check("cryptography", True, Standing.MISSING, "It can't be loaded.", use, remedy)
    version = around.version_of("cryptography") or "0"
    found = f"{version} with {openssl}"
    major = version.partition(".")[0]
    if major.isdigit() and int(major) >= _LEAST_CRYPTOGRAPHY:
        return Check("cryptography", True, Standing.OK, found, use)
    return Check("cryptography", True, Standing.PROBLEM, found, use, remedy)


def _qmp(around: Surroundings) -> Check:
    use = "Talks to QEMU (`--host qmp+…`)."
    version = around.version_of("qemu.qmp")
    if version is not None and around.has_module("qemu.qmp"):
        return Check("qemu-qmp", True, Standing.OK, version, use)
    remedy = around.pip("qemu.qmp==0.0.6")
    return Check("qemu-qmp", True, Standing.MISSING, "not there", use, remedy)


def _amd_roots(around: Surroundings) -> Check:
    use = "AMD's root keys, which every chain must lead to."
    try:
        found = _verified_roots()
    except ImportError:
        found = None
    except WatchwordError as error:
        found = None
        use = f"{use} {error.message}"
    if found is not None:
        return Check("amd-roots", True, Standing.OK, found, use)
    remedy = "Install Watchword again."
    if not around.has_module("cryptography"):
        remedy = "They can be checked once cryptography is there."
    return Check("amd-roots", True, Standing.PROBLEM, "They don't verify.", use, remedy)


def _verified_roots() -> str | None:
    """The generations whose ARK and ASK verify here and now; None if one does not."""
    from ..amd.roots import amd_roots  # noqa: PLC0415 - loads cryptography, which may be missing
    from ..sev.chain_rules import ark_problem, ask_problem  # noqa: PLC0415

    roots = amd_roots()
    for keys in roots:
        if ark_problem(keys.ark, keys.ark) or ask_problem(keys.ask, keys.ark):
            return None
    return ", ".join(keys.generation for keys in roots)


# -- what some things need ---------------------------------------------------------


def _display(around: Surroundings) -> Check:
    use = "The window; everything can be done without it."
    names = ("WAYLAND_DISPLAY", "DISPLAY")
    found = next((f"{n}={around.environment[n]}" for n in names if around.environment.get(n)), None)
    if found is None and around.platform in ("darwin", "win32"):
        found = "the system's own"
    if found is not None:
        return Check("display", False, Standing.OK, found, use)
    remedy = "Log in to a desktop, or use `ssh -X`."
    return Check("display", False, Standing.MISSING, "neither X11 nor Wayland", use, remedy)


def _gui(around: Surroundings) -> Check:
    use = "The window (`watchword-gui`)."
    if around.has_module("PySide6"):
        version = around.version_of("PySide6-Essentials") or "of unknown version"
        return Check("pyside6", False, Standing.OK, version, use)
    remedy = around.pip("PySide6-Essentials>=6.8")
    return Check("pyside6", False, Standing.MISSING, "not there", use, remedy)


def _keyring(around: Surroundings) -> Check:
    use = "Keeps the key of the vault between runs; else a passphrase does."
    if not around.has_module("keyring"):
        remedy = around.pip("keyring")
        return Check("keyring", False, Standing.MISSING, "no keyring module", use, remedy)
    version = around.version_of("keyring") or "of unknown version"
    if not around.platform.startswith("linux") or _session_bus(around):
        found = f"{version}; whether it is unlocked is asked when it is used"
        return Check("keyring", False, Standing.OK, found, use)
    if any(map(around.which, _KEYRING_SERVICES)):
        remedy = "Log in to a desktop session, where the keyring is started."
    else:
        remedy = around.apt("gnome-keyring dbus-user-session", "GNOME Keyring or KWallet")
    found = f"{version}, but no D-Bus session to reach a keyring by"
    return Check("keyring", False, Standing.MISSING, found, use, remedy)


def _session_bus(around: Surroundings) -> bool:
    if around.environment.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = around.environment.get("XDG_RUNTIME_DIR")
    return bool(runtime) and (Path(str(runtime)) / "bus").exists()


def _program(
    around: Surroundings, name: str, command: tuple[str, ...], use: str, remedy: str
) -> Check:
    """A program that is found and says its version in time."""
    path = around.which(command[0])
    if path is None:
        return Check(name, False, Standing.MISSING, f"no {command[0]}", use, remedy)
    line = around.first_line((path, *command[1:]))
    if line is None:
        found = f"{path} does not tell its version."
        return Check(name, False, Standing.PROBLEM, found, use, remedy)
    return Check(name, False, Standing.OK, line, use)


def _apt_program(
    name: str, command: tuple[str, ...], use: str, package: str, what: str
) -> Callable[[Surroundings], Check]:
    """The check of a program that a Debian package brings."""
    return lambda around: _program(around, name, command, use, around.apt(package, what))


_qemu: Final = _apt_program(
    "qemu",
    ("qemu-system-x86_64", "--version"),
    "Runs VMs on this machine; not needed to launch on another one.",
    "qemu-system-x86",
    "QEMU for x86",
)
_ssh: Final = _apt_program(
    "ssh",
    ("ssh", "-V"),
    "Reaches hosts over SSH (`--host qmp+ssh://…`, `libvirt+qemu+ssh://…`).",
    "openssh-client",
    "the OpenSSH client",
)
_libvirt: Final = _apt_program(
    "libvirt",
    ("virsh", "--version"),
    "Reaches hosts that run libvirt (`--host libvirt+…`).",
    "libvirt-clients",
    "libvirt's virsh",
)


def _kubevirt(around: Surroundings) -> Check:
    return _program(
        around,
        "kubevirt",
        ("virtctl", "version", "--client"),
        "Reaches VMs of a KubeVirt cluster (`--host kubevirt://…`).",
        "Install virtctl of your cluster's version, from KubeVirt's releases; or use"
        " exchange:///FOLDER.",
    )


# -- where it runs -----------------------------------------------------------------


def _state_folder(around: Surroundings) -> Check:
    use = "Keeps launches, ledger and vault."
    folder = around.state_folder
    # Path.exists raises where the user may not look.
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        free = shutil.disk_usage(existing).free
    except OSError:
        free = 0
    found = f"{folder}, {free >> 20} MiB free"
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        found = f"{folder} can't be written to."
        remedy = "Name a folder of your own in WATCHWORD_HOME."
    elif free < _LEAST_FREE:
        remedy = "Make room there, or name another folder in WATCHWORD_HOME."
    else:
        return Check("state-folder", False, Standing.OK, found, use)
    return Check("state-folder", False, Standing.PROBLEM, found, use, remedy)


def _core_dumps(around: Surroundings) -> Check:
    use = "A core dump would write secrets to disk."
    if around.platform == "win32":
        return Check("core-dumps", False, Standing.OK, "none on this system", use)
    import resource  # noqa: PLC0415 - not on every system

    limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    dumpable = _dumpable() if around.platform.startswith("linux") else 0
    if limit == 0 and dumpable == 0:
        return Check("core-dumps", False, Standing.OK, "off for this process", use)
    remedy = "Type `ulimit -c 0` before Watchword is started."
    return Check("core-dumps", False, Standing.PROBLEM, "they may be written", use, remedy)


def _dumpable() -> int:
    """Whether Linux would write this process out: 0 for no."""
    import ctypes  # noqa: PLC0415 - costs 10 ms where it isn't needed otherwise

    try:
        return int(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))
    except (OSError, AttributeError):
        return 1


def _clock(around: Surroundings) -> Check:
    from ..amd.advisories import published_advisories  # noqa: PLC0415 - reads a resource

    use = "Dates in the records, and waiting times."
    made = date.fromisoformat(published_advisories().as_of)
    found = around.today.isoformat()
    if made <= around.today and around.today.year < made.year + _YEARS_OF_USE:
        return Check("clock", False, Standing.OK, found, use)
    found = f"{found}, but this version was made on {made.isoformat()}"
    remedy = "Set the clock; `timedatectl set-ntp true` keeps it right where systemd does."
    return Check("clock", False, Standing.PROBLEM, found, use, remedy)


_CHECKS: Final[tuple[Callable[[Surroundings], Check], ...]] = (
    _watchword,
    _python,
    _cryptography,
    _qmp,
    _amd_roots,
    _display,
    _gui,
    _keyring,
    _qemu,
    _ssh,
    _libvirt,
    _kubevirt,
    _state_folder,
    _core_dumps,
    _clock,
)
