# SPDX-License-Identifier: Apache-2.0
"""Checks a whole manifest before anything starts: profiles, files, chips, hosts, vault entries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadInput, UsageError, WatchwordError
from ..files import read_file
from ..guest.document import profile_from_document
from ..guest.problems import FieldProblem, Problem, ProfileInvalid, ProfilePath
from ..guest.profile import GuestProfile
from ..guest.store import ProfileStore
from ..sev.chain_files import LARGEST_FILE, recognise
from .fleet import Fleet, FleetLaunch, StatedHost, certificate_paths, is_by_hand, planned
from .guest_check import GuestFindings, look_at_guest
from .host_warnings import fleet_host_warnings
from .manifest import MOST_LAUNCHES, MOST_PROBLEMS, LaunchEntry, ReadManifest, read_manifest
from .manifest_errors import ManifestInvalid, ManifestRefused
from .ranges import count_of, launches_of, read_launch_name
from .templates import StatedLaunch, Templates


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
    limits = {name: host.limit for name, host in manifest.hosts.items() if host.limit is not None}
    warnings = (*found.warnings, *fleet_host_warnings(launches))
    return Fleet(launches, warnings, limits)


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
        templates = Templates(self._manifest)
        for problem in templates.problems():
            self.found.add(problem.path, problem.sentence)
        launches: list[tuple[ProfilePath, FleetLaunch]] = []
        stated_so_far = 0
        for index, entry in self._manifest.entries.items():
            place = ("launch", index)
            for problem in templates.problems_of(place, entry):
                self.found.add(problem.path, problem.sentence)
            stated_so_far += count_of(entry.name)
            if stated_so_far > MOST_LAUNCHES:
                self._too_many(place)
                break
            launches += [
                (place, launch)
                for stated in templates.stated(place, entry)
                if (launch := self._launch(stated)) is not None
            ]
        self._same_hosts(launches)
        return tuple(launch for _, launch in launches)

    # -- one launch ----------------------------------------------------------------

    def _launch(self, stated: StatedLaunch) -> FleetLaunch | None:
        self._certificates_of(stated)
        found = self._profile(stated)
        if found is None:
            return None
        where, profile = found
        self._judge(where, profile, stated.entry)
        host = self._host(where, stated, profile)
        if host is None:
            return None
        self._start(stated, host)
        return planned(stated, profile, host, self._folder)

    def _profile(self, stated: StatedLaunch) -> tuple[ProfilePath, GuestProfile] | None:
        place, entry = stated.place, stated.entry
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
            return self._stored(stated.where("guest"), entry.guest)
        return self._inline((*place, "profile"), stated.name, entry.profile or {})

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
        self, profile_place: ProfilePath, stated: StatedLaunch, profile: GuestProfile
    ) -> str | None:
        host = StatedHost.of(stated, profile)
        if host is None:
            if not (self._manifest.defaults is None or stated.place[-1] in self._manifest.partial):
                self.found.add(
                    stated.place,
                    "There is no host to launch on: neither launch, defaults nor profile"
                    " names one.",
                )
            return None
        try:
            return host.url
        except UsageError as error:
            self.found.add(host.place or profile_place, f"{error.message} {error.remedy}")
            return None

    def _start(self, stated: StatedLaunch, host: str) -> None:
        if stated.entry.start is not None and is_by_hand(host):
            self.found.add(
                stated.where("start"),
                "Nothing is started from here where all is carried by hand. Leave it out.",
            )

    def _certificates_of(self, stated: StatedLaunch) -> None:
        paths, place = certificate_paths(stated, self._folder)
        if place is None:
            return
        if paths not in self._certificates:
            self._certificates[paths] = _certificates_problem(paths)
        if said := self._certificates[paths]:
            self.found.add(place, said)

    # -- between launches ----------------------------------------------------------

    def _too_many(self, place: ProfilePath) -> None:
        self.found.add(
            (*place, "name"),
            f"With it there are more than {MOST_LAUNCHES} launches; that many are the most.",
        )

    def _same_names(self) -> None:
        first: dict[str, int] = {}
        raw = self._manifest.document.get("launch")
        for index, value in enumerate(raw if isinstance(raw, list) else ()):
            text = value.get("name") if isinstance(value, dict) else None
            if len(first) > MOST_LAUNCHES:  # that there are too many is told anyway
                return
            for name in _names(text):
                if name in first:
                    own = "this name" if name == text else f"the name “{name}”"
                    self.found.add(
                        ("launch", index, "name"),
                        f"launch[{first[name]}] has {own} too. Results go by names: choose"
                        " another.",
                    )
                    break
                first[name] = index

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


def _names(text: object) -> Iterator[str]:
    """The names that a launch's name stands for; one that is not sound stands for itself."""
    if not isinstance(text, str):
        return
    try:
        yield from (named.name for named in launches_of(read_launch_name(text)))
    except FieldProblem:
        yield text


def _certificates_problem(paths: tuple[Path, ...]) -> str:
    """What keeps these files from being a platform's certificates; empty if nothing does."""
    try:
        recognise([(str(path), read_file(path, str(path), LARGEST_FILE)) for path in paths])
    except BadInput as error:
        which = "" if error.field in error.message else f"{error.field}: "
        return f"{which}{error.message} {error.remedy}"
    return ""
