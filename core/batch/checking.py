# SPDX-License-Identifier: Apache-2.0
"""Checks a whole manifest before anything starts: profiles, files, chips, hosts, vault entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadInput, UsageError, WatchwordError
from ..files import read_file
from ..guest.document import profile_from_document
from ..guest.problems import Problem, ProfileInvalid, ProfilePath
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore
from ..sev.chain_files import LARGEST_FILE, recognise
from .fleet import Fleet, FleetLaunch, StatedHost, certificate_paths, is_by_hand, planned
from .guest_check import GuestFindings, look_at_guest
from .manifest import (
    MOST_PROBLEMS,
    NO_DEFAULTS,
    LaunchDefaults,
    LaunchEntry,
    ReadManifest,
    read_manifest,
)
from .manifest_errors import ManifestInvalid, ManifestRefused


@dataclass(slots=True)
class _Found:
    """Everything that was found so far, each thing once however many launches share it."""

    problems: dict[Problem, None] = field(default_factory=dict)
    refusals: dict[Problem, None] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)

    def add(self, path: ProfilePath, sentence: str) -> None:
        self.problems[Problem(path, sentence)] = None

    def refuse(self, path: ProfilePath, sentence: str) -> None:
        self.refusals[Problem(path, sentence)] = None


def check_fleet(
    data: bytes,
    field: str,
    folder: Path,
    profiles: ProfileStore,
    vault_entries: Collection[str] | None = None,
) -> Fleet:
    """The launches of a manifest's bytes, none of which has been begun.

    ``field`` is for errors; paths in the manifest begin at ``folder``; ``vault_entries`` are
    the names of the vault's entries, None where they are not known.
    Raises ManifestInvalid (exit 6), ManifestRefused (exit 3) if there is nothing wrong but
    what a batch does not allow, and BadInput as ``read_manifest`` does.
    """
    manifest = read_manifest(data, field)
    check = _Check(manifest, folder, profiles, vault_entries)
    launches = check.run()
    found = check.found
    problems = [*manifest.problems, *found.problems]
    told = manifest.locate([*problems, *found.refusals])
    untold = manifest.untold + max(0, len(told) - MOST_PROBLEMS)
    if problems:
        raise ManifestInvalid(field, told[:MOST_PROBLEMS], untold)
    if told:
        raise ManifestRefused(field, told[:MOST_PROBLEMS], untold)
    return Fleet(launches, tuple(found.warnings))


class _Check:
    """One check of one manifest; what several launches share is looked at once."""

    def __init__(
        self,
        manifest: ReadManifest,
        folder: Path,
        profiles: ProfileStore,
        vault_entries: Collection[str] | None,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._store = profiles
        self._vault_entries = None if vault_entries is None else frozenset(vault_entries)
        self._loaded: dict[str, GuestProfile | WatchwordError] = {}
        self._said: dict[str, GuestFindings] = {}
        self._certificates: dict[tuple[Path, ...], str] = {}
        self.found = _Found()

    def run(self) -> tuple[FleetLaunch, ...]:
        """All launches that are sound; what is wrong with the others is in ``found``."""
        self._same_names()
        launches = [
            launch
            for index, entry in self._manifest.entries.items()
            if (launch := self._launch(("launch", index), entry)) is not None
        ]
        self._same_hosts(launches)
        return tuple(launch for _, launch in launches)

    # -- one launch ----------------------------------------------------------------

    def _launch(
        self, place: ProfilePath, entry: LaunchEntry
    ) -> tuple[ProfilePath, FleetLaunch] | None:
        defaults = self._manifest.defaults or NO_DEFAULTS
        self._certificates_of(place, certificate_paths(entry, defaults, self._folder), entry)
        found = self._profile(place, entry)
        if found is None:
            return None
        where, profile = found
        self._judge(where, profile, entry)
        host = self._host(place, where, entry, defaults, profile)
        if host is None:
            return None
        self._start(place, entry, host)
        return (place, planned(entry, defaults, profile, host, self._folder))

    def _profile(
        self, place: ProfilePath, entry: LaunchEntry
    ) -> tuple[ProfilePath, GuestProfile] | None:
        if (entry.guest is None) is (entry.profile is None):
            if place[-1] in self._manifest.partial:  # what is missing may be what was misspelt
                return None
            several = entry.guest is not None
            said = "It takes one of the two, and there are both" if several else "It is missing"
            self.found.add(
                place,
                f"{said}: guest = “NAME” for a guest profile, or the profile under"
                " [launch.profile].",
            )
            return None
        if entry.guest is not None:
            return self._stored((*place, "guest"), entry.guest)
        return self._inline((*place, "profile"), entry.name, entry.profile or {})

    def _stored(self, place: ProfilePath, name: str) -> tuple[ProfilePath, GuestProfile] | None:
        if name not in self._loaded:
            try:
                self._loaded[name] = self._store.load(name).profile
            except WatchwordError as error:
                self._loaded[name] = error
        loaded = self._loaded[name]
        if isinstance(loaded, WatchwordError):
            self.found.add(place, f"{loaded.message} {loaded.remedy}")
            return None
        return place, loaded

    def _inline(
        self, place: ProfilePath, name: str, document: Mapping[str, Any]
    ) -> tuple[ProfilePath, GuestProfile] | None:
        try:
            profile = profile_from_document({"name": name, **document}, f"the profile of {name}")
        except ProfileInvalid as error:
            for problem in error.problems:
                self.found.add((*place, *problem.path), problem.sentence)
            return None
        return place, profile

    def _judge(self, place: ProfilePath, profile: GuestProfile, entry: LaunchEntry) -> None:
        """What a batch needs of a profile beyond its being sound."""
        said = self._said.get(entry.guest or "")
        if said is None:
            said = look_at_guest(profile, self._vault_entries, inline=entry.guest is None)
        if entry.guest is not None:
            self._said[entry.guest] = said
        for sentence in said.problems:
            self.found.add(place, sentence)
        for sentence in said.refusals:
            self.found.refuse(place, sentence)
        for sentence in said.warnings:
            self.found.warnings[f"guest profile {profile.name}: {sentence}"] = None

    def _host(
        self,
        place: ProfilePath,
        profile_place: ProfilePath,
        entry: LaunchEntry,
        defaults: LaunchDefaults,
        profile: GuestProfile,
    ) -> str | None:
        stated = StatedHost.of(entry, defaults, profile)
        if stated is None:
            unknown = self._manifest.defaults is None or place[-1] in self._manifest.partial
            if not unknown:
                self.found.add(
                    place,
                    "There is no host to launch on: neither launch, defaults nor profile"
                    " names one.",
                )
            return None
        try:
            return stated.url
        except UsageError as error:
            where = {"launch": (*place, "host"), "defaults": ("defaults", "host")}
            self.found.add(
                where.get(stated.where, profile_place), f"{error.message} {error.remedy}"
            )
            return None

    def _start(self, place: ProfilePath, entry: LaunchEntry, host: str) -> None:
        if entry.start is not None and is_by_hand(host):
            self.found.add(
                (*place, "start"),
                "Nothing is started from here where all is carried by hand. Leave it out.",
            )

    def _certificates_of(
        self, place: ProfilePath, paths: tuple[Path, ...], entry: LaunchEntry
    ) -> None:
        if not paths:
            return
        if paths not in self._certificates:
            self._certificates[paths] = _certificates_problem(paths)
        if said := self._certificates[paths]:
            own = entry.certificates is not None
            where = (*place, "certificates") if own else ("defaults", "certificates")
            self.found.add(where, said)

    # -- between launches ----------------------------------------------------------

    def _same_names(self) -> None:
        first: dict[str, int] = {}
        raw = self._manifest.document.get("launch")
        for index, value in enumerate(raw if isinstance(raw, list) else ()):
            name = value.get("name") if isinstance(value, dict) else None
            if not isinstance(name, str):
                continue
            if name in first:
                self.found.add(
                    ("launch", index, "name"),
                    f"launch[{first[name]}] has this name too. Results go by names: choose"
                    " another.",
                )
            first.setdefault(name, index)

    def _same_hosts(self, launches: list[tuple[ProfilePath, FleetLaunch]]) -> None:
        first: dict[str, str] = {}
        for place, launch in launches:
            other = first.setdefault(launch.host, launch.name)
            # Launches of one name have one host often enough, and were told of already.
            if other != launch.name and not self._lacks(place, "host"):
                self.found.add(
                    (*place, "host"),
                    f"“{other}” is launched at {launch.host} too. There is one VM behind each:"
                    " give every launch a host URL of its own.",
                )

    def _lacks(self, place: ProfilePath, key: str) -> bool:
        """Whether a launch has this key in the file, but nothing that could be read."""
        index = int(place[-1])
        entry = self._manifest.entries[index]
        return key in self._manifest.document["launch"][index] and getattr(entry, key) is None


def _certificates_problem(paths: tuple[Path, ...]) -> str:
    """What keeps these files from being a platform's certificates; empty if nothing does."""
    try:
        recognise([(str(path), read_file(path, str(path), LARGEST_FILE)) for path in paths])
    except BadInput as error:
        which = "" if error.field in error.message else f"{error.field}: "
        return f"{which}{error.message} {error.remedy}"
    return ""
