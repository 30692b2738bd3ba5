# SPDX-License-Identifier: Apache-2.0
"""Where profiles are kept: one TOML file each, replaced whole, and never over a newer one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput, UsageError
from ..files import make_folder, read_file, write_file
from .document import LARGEST_PROFILE, profile_text, read_profile
from .fields import NAME
from .problems import Problem, ProfileInvalid
from .profile import GuestProfile

_SUFFIX: Final = ".toml"
_LOCK: Final = ".lock"
_LOCK_SECONDS: Final = 5.0
_LOCK_PAUSE: Final = 0.02


def profiles_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``$WATCHWORD_HOME/guests`` where that is set, else ``guests`` in the user's data folder."""
    variables = os.environ if environment is None else environment
    if variables.get("WATCHWORD_HOME"):
        return Path(variables["WATCHWORD_HOME"]) / "guests"
    import platformdirs  # noqa: PLC0415 - not needed where the variable is set

    return platformdirs.user_data_path("watchword", appauthor=False) / "guests"


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile, the file that it came from, and that file's bytes as they were."""

    profile: GuestProfile
    path: Path
    data: bytes


class ProfileStore:
    """The profiles under ``folder``, which is made (mode 0700) when there is one to keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> tuple[str, ...]:
        """The names of all profiles, sound or not, in order; files of other kinds are none."""
        try:
            found = [path for path in self.folder.iterdir() if path.suffix == _SUFFIX]
        except FileNotFoundError:
            return ()
        except OSError:
            raise BadInput(
                "bad-folder",
                "the folder of guest profiles",
                f"{self.folder} can't be read.",
                "Give yourself permission to read it, or set WATCHWORD_HOME to another folder.",
            ) from None
        return tuple(sorted(path.stem for path in found if NAME.fullmatch(path.stem)))

    def path(self, name: str) -> Path:
        """Where the profile of this name is kept; UsageError ``bad-guest-name``."""
        if not NAME.fullmatch(name):
            raise UsageError(
                "bad-guest-name",
                "Not a name for a guest profile",
                f"{name[:80]!r} can't be the name of a profile's file.",
                "Use letters, digits, dots, hyphens and underscores, such as vm1.",
            )
        return self.folder / f"{name}{_SUFFIX}"

    def load(self, name: str) -> StoredProfile:
        """The profile of this name; raises BadInput ``no-such-guest`` or as ``read_profile``."""
        path = self.path(name)
        if not os.path.lexists(path):
            raise self._unknown(name)
        field = f"guest profile {name}"
        data = read_file(path, field, LARGEST_PROFILE)
        mend = f"Mend {path}, or remove it and make the profile anew."
        return StoredProfile(self._named(name, read_profile(data, field, mend)), path, data)

    def add(self, profile: GuestProfile) -> Path:
        """Keep a new profile; BadInput ``guest-exists`` if its name is taken."""
        path = self.path(profile.name)
        with self._locked():
            if os.path.lexists(path):
                raise BadInput(
                    "guest-exists",
                    f"the name {profile.name}",
                    f"There is a guest profile of that name already: {path}.",
                    "Choose another name, change that profile with `watchword guest edit`, or"
                    " remove it first.",
                )
            write_file(path, profile_text(profile).encode(), field="the guest profile")
        return path

    def replace(self, before: StoredProfile, data: bytes) -> GuestProfile:
        """Put a new text in place of a profile that was loaded; the old stays if it is unsound.

        Raises as ``read_profile``, and BadInput ``guest-changed-meanwhile`` where somebody
        else has changed the file since it was loaded.
        """
        name = before.profile.name
        field = f"guest profile {name}"
        profile = self._named(name, read_profile(data, field))
        with self._locked():
            now = read_file(before.path, field, LARGEST_PROFILE, allow_empty=True)
            if now != before.data:
                raise BadInput(
                    "guest-changed-meanwhile",
                    field,
                    "Somebody else, or another program of yours, changed it in the meantime.",
                    "Look at it again, and make the change again if it is still wanted.",
                )
            write_file(before.path, data, field="the guest profile")
        return profile

    def remove(self, name: str) -> Path:
        """Remove the profile of this name, sound or not; BadInput ``no-such-guest``."""
        path = self.path(name)
        if not os.path.lexists(path):
            raise self._unknown(name)
        with self._locked():
            try:
                path.unlink(missing_ok=True)
            except OSError as fault:
                raise BadInput(
                    "guest-not-removed",
                    f"guest profile {name}",
                    f"{path} can't be removed: {os.strerror(fault.errno or 0)}.",
                    "Check the permissions of its folder.",
                ) from None
        return path

    def _named(self, name: str, profile: GuestProfile) -> GuestProfile:
        if profile.name == name:
            return profile
        problem = Problem(
            ("name",), f"It is “{profile.name}”, but the file is called {name}{_SUFFIX}."
        )
        raise ProfileInvalid(
            f"guest profile {name}",
            [problem],
            "Keep the two alike; `watchword guest import --name` makes a copy of another name.",
        )

    def _unknown(self, name: str) -> BadInput:
        names = self.names()
        there = f"There are {', '.join(names[:10])}." if names else "There is none at all yet."
        return BadInput(
            "no-such-guest",
            "the name of the guest",
            f"There is no guest profile “{name}” in {self.folder}.",
            f"{there} `watchword guest add` makes one.",
            {"known": list(names)},
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out for as long as a check and a rename take."""
        make_folder(self.folder, "the folder of guest profiles")
        try:
            lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise _unwritable(self.folder, fault) from None
        try:
            _take(lock)
            yield
        finally:
            os.close(lock)


def _take(lock: int) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_LOCK_PAUSE)
                continue
            raise BadInput(
                "guests-busy",
                "the folder of guest profiles",
                f"Another program has held it for more than {_LOCK_SECONDS:.0f} seconds.",
                "Wait until it is done, and try again.",
            ) from None
        return


def _unwritable(folder: Path, fault: OSError) -> BadInput:
    return BadInput(
        "file-not-written",
        "the folder of guest profiles",
        f"Nothing can be written to {folder}: {os.strerror(fault.errno or 0)}.",
        "Give yourself permission to write there, or set WATCHWORD_HOME to another folder.",
    )
