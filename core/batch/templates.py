# SPDX-License-Identifier: Apache-2.0
"""What a launch of a manifest comes to: its own keys, its templates', its machine, its number."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..guest.problems import Problem, ProfilePath
from .manifest import (
    NO_DEFAULTS,
    HostEntry,
    LaunchDefaults,
    LaunchEntry,
    LaunchTemplate,
    ReadManifest,
)
from .placeholders import NAME, NUMBER
from .ranges import NamedLaunch, launches_of

_OF_ALL: Final = tuple(LaunchDefaults.model_fields)


@dataclass(frozen=True, slots=True)
class StatedLaunch:
    """One launch as the manifest states it, before the defaults.

    ``place``     of the entry that it is of
    ``entry``     what that and its templates say
    ``origins``   where each key of it is stated
    ``machine``   name and table of the machine under [hosts], where one is named
    """

    named: NamedLaunch
    place: ProfilePath
    entry: LaunchEntry
    origins: Mapping[str, ProfilePath]
    defaults: LaunchDefaults
    machine: tuple[str, HostEntry] | None

    @property
    def name(self) -> str:
        """The launch's name."""
        return self.named.name

    @property
    def values(self) -> Mapping[str, str]:
        """What the placeholders of its URL and paths stand for."""
        return {NAME: self.named.name, NUMBER: self.named.number}

    def where(self, key: str) -> ProfilePath:
        """Where a key is stated that the launch or a template states."""
        return self.origins.get(key, (*self.place, key))


class Templates:
    """The templates and machines of a manifest, and what is wrong with how they are named."""

    def __init__(self, manifest: ReadManifest) -> None:
        self._manifest = manifest
        self._chains: dict[str, tuple[str, ...] | None] = {}

    def problems(self) -> Iterator[Problem]:
        """Of the templates themselves, used or not; machines that they name too."""
        for name, template in self._manifest.templates.items():
            place = ("templates", name)
            if template.extends is not None:
                yield from self._of_extends(place, name, template.extends)
            yield from self._of_machines(place, template.on)
        if self._manifest.defaults is not None:
            yield from self._of_machines(("defaults",), self._manifest.defaults.on)

    def problems_of(self, place: ProfilePath, entry: LaunchEntry) -> Iterator[Problem]:
        """What a launch names that is not there."""
        if entry.template is not None and entry.template not in self._manifest.templates:
            yield _missing((*place, "template"), entry.template, self._manifest.templates)
        yield from self._of_machines(place, entry.on)

    def stated(self, place: ProfilePath, entry: LaunchEntry) -> Iterator[StatedLaunch]:
        """The launches of an entry; none where what it rests on is not sound or not there."""
        chain = () if entry.template is None else self._chain(entry.template)
        if chain is None or any(("templates", one) in self._manifest.unsound for one in chain):
            return
        merged, origins = self._merged(place, entry, chain)
        defaults = self._manifest.defaults or NO_DEFAULTS
        machines = merged.on or (None if merged.host else defaults.on) or ()
        if not all(self._is_sound(one) for one in machines):
            return
        for named in launches_of(entry.name):
            one = machines[named.position % len(machines)] if machines else None
            machine = None if one is None else (one, self._manifest.hosts[one])
            yield StatedLaunch(named, place, merged, origins, defaults, machine)

    def _merged(
        self, place: ProfilePath, entry: LaunchEntry, chain: Sequence[str]
    ) -> tuple[LaunchEntry, Mapping[str, ProfilePath]]:
        found: dict[str, object] = {}
        origins: dict[str, ProfilePath] = {}
        # One with a profile of its own takes no guest from a template.
        shared = _OF_ALL if entry.profile is not None else (*_OF_ALL, "guest")
        layers: list[tuple[ProfilePath, LaunchDefaults]] = [(place, entry)]
        layers += [(("templates", one), self._manifest.templates[one]) for one in chain]
        for where, layer in layers:
            for key in shared:
                value = getattr(layer, key, None)
                if value is not None and key not in found:
                    found[key], origins[key] = value, (*where, key)
        return entry.model_copy(update=found), origins

    def _is_sound(self, machine: str) -> bool:
        return machine in self._manifest.hosts and ("hosts", machine) not in self._manifest.unsound

    def _chain(self, name: str) -> tuple[str, ...] | None:
        """A template and those it extends, the nearest first; None for one without an end."""
        if name not in self._chains:
            chain = tuple(_and_what_it_extends(self._manifest.templates, name))
            last = self._manifest.templates.get(chain[-1]) if chain else None
            ends = last is not None and last.extends is None
            self._chains[name] = chain if ends else None
        return self._chains[name]

    def _of_extends(self, place: ProfilePath, name: str, extends: str) -> Iterator[Problem]:
        templates = self._manifest.templates
        if extends not in templates:
            yield _missing((*place, "extends"), extends, templates)
            return
        circle = _circle(templates, name)
        if circle:
            yield Problem(
                (*place, "extends"),
                f"It goes round in a circle: {' -> '.join(circle)}. A template can't extend"
                " itself.",
            )

    def _of_machines(self, place: ProfilePath, on: Sequence[str] | None) -> Iterator[Problem]:
        for one in on or ():
            if one not in self._manifest.hosts:
                yield _missing((*place, "on"), one, self._manifest.hosts, "machine under [hosts]")


def _circle(templates: Mapping[str, LaunchTemplate], name: str) -> tuple[str, ...]:
    """The way from a template back to itself; empty where it leads elsewhere."""
    way = tuple(_and_what_it_extends(templates, name))
    return (*way, name) if templates[way[-1]].extends == name else ()


def _and_what_it_extends(templates: Mapping[str, LaunchTemplate], name: str) -> Iterator[str]:
    """A template and those it extends, the nearest first, each once."""
    seen: set[str] = set()
    following: str | None = name
    while following is not None and following in templates and following not in seen:
        seen.add(following)
        yield following
        following = templates[following].extends


def _missing(
    place: ProfilePath, name: str, known: Mapping[str, object], what: str = "template"
) -> Problem:
    near = difflib.get_close_matches(name, list(known)[:1000], n=1)
    meant = f" Is “{near[0]}” meant?" if near else ""
    return Problem(place, f"There is no {what} “{name}”.{meant}")
