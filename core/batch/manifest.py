# SPDX-License-Identifier: Apache-2.0
"""The manifest of a fleet: its format as a model, and reading it with every problem at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from ..guest import fields
from ..guest import value_types as of
from ..guest.document import sounds_secret
from ..guest.problems import Problem, ProfilePath
from ..guest.toml_document import DocumentKind, Table, located, published, schema_for_toml
from ..guest.toml_lines import key_lines
from . import manifest_values as values

LARGEST_MANIFEST: Final = 1 << 20
"""Bytes of a manifest's file."""
MOST_LAUNCHES: Final = 10_000
"""Launches of one manifest."""
MOST_PROBLEMS: Final = 1000
"""Problems that are told of one manifest."""
_MOST_CERTIFICATES: Final = 64
_MOST_HOSTS: Final = 10_000
_MOST_TEMPLATES: Final = 1000
_FIELD: Final = "the manifest"
_T = TypeVar("_T", bound=Table)


class HostEntry(Table):
    """A machine on which VMs are launched, under the name that launches give (on)."""

    url: values.Host | None = Field(
        None, description="URL of a VM's monitor there; {name} and {number} are the launch's"
    )
    certificates: Annotated[tuple[values.Path, ...], of.OneOrMore()] | None = Field(
        None,
        max_length=_MOST_CERTIFICATES,
        description="files with this machine's certificates, from the manifest's folder on",
    )
    limit: values.Limit | None = Field(
        None, description="launches that are under way there at once; default: --per-host"
    )


class LaunchDefaults(Table):
    """What holds for every launch that says nothing else; None is not stated."""

    on: Annotated[tuple[of.ProfileName, ...], of.OneOrMore()] | None = Field(
        None,
        max_length=_MOST_HOSTS,
        description="name of the machine under [hosts]; of several, the launches of a range"
        " take turns",
    )

    host: values.Host | None = Field(
        None, description="URL of the host, before the profile's own; {name} is the launch's name"
    )
    certificates: Annotated[tuple[values.Path, ...], of.OneOrMore()] | None = Field(
        None,
        max_length=_MOST_CERTIFICATES,
        description="files with the platform's certificates, from the manifest's folder on;"
        " the host is asked where they lack the PDH",
    )
    inject: values.Flag | None = Field(
        None, description="false stops after the verdict, and hands no secret over; default true"
    )
    out: values.Folder | None = Field(
        None,
        description="folder in which a folder of each launch's name gets what its host is given;"
        " default “out”",
    )
    start: values.Command | None = Field(
        None,
        description="program and arguments that have the VM started, without a shell;"
        " run with --allow-start alone",
    )
    start_seconds: values.Seconds | None = Field(
        None, description="seconds that the start command may take, default 60"
    )
    wait: values.Seconds | None = Field(
        None,
        description="seconds to wait for the paused VM; default 60 after a start command, else 0",
    )


NO_DEFAULTS: Final = LaunchDefaults.model_validate({})


class LaunchTemplate(LaunchDefaults):
    """What launches that name it (template) have in common; before the defaults."""

    extends: of.ProfileName | None = Field(
        None, description="name of a template, for what is not stated here"
    )
    guest: of.ProfileName | None = Field(None, description="name of a guest profile")


class LaunchEntry(LaunchDefaults):
    """One launch, or a range of them: a guest, by its profile's name or with it, on a host."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [{"required": [key]} for key in ("guest", "profile", "template")],
            "not": {"required": ["guest", "profile"]},
        }
    )

    name: values.LaunchName = Field(
        description="the launch's name, which no other has; web{1..200} stands for 200 launches"
    )
    template: of.ProfileName | None = Field(
        None, description="name of a template, for what is not stated here"
    )
    guest: of.ProfileName | None = Field(None, description="name of a guest profile")
    profile: values.InlineProfile | None = Field(
        None,
        description="or the profile itself, which may leave out its name;"
        " launched with --allow-inline alone",
    )


class Manifest(Table):
    """The launches of a fleet, in the order in which they are taken."""

    format: of.Format = Field(1, description="always 1")
    description: of.LongText = Field("", description="for people")
    defaults: LaunchDefaults = Field(
        NO_DEFAULTS, description="what holds for every launch that says nothing else"
    )
    hosts: dict[of.ProfileName, HostEntry] = Field(
        {}, max_length=_MOST_HOSTS, description="machines, by the names that launches give"
    )
    templates: dict[of.ProfileName, LaunchTemplate] = Field(
        {}, max_length=_MOST_TEMPLATES, description="what launches have in common, by name"
    )
    launch: tuple[LaunchEntry, ...] = Field(
        min_length=1, max_length=MOST_LAUNCHES, description="the launches"
    )


def _hint(key: str) -> str:
    if re.search(r"waive|waiver|trust_?root|force|insecure", key, re.I):
        return (
            " Nothing is waived in a batch, and no root but AMD's is trusted: launch this guest by"
            " itself."
        )
    if sounds_secret(key):
        return (
            " A manifest holds no secrets: a profile names the vault entries that go to its guest."
        )
    return ""


MANIFEST: Final = DocumentKind(
    "manifest",
    LARGEST_MANIFEST,
    Manifest,
    {
        "defaults": LaunchDefaults,
        "hosts": HostEntry,
        "launch": LaunchEntry,
        "templates": LaunchTemplate,
    },
    _hint,
    {"model_type": "It takes a table of keys and values."},
)


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """What could be read of a manifest, sound or not.

    ``entries``   the launches by their position, each without its keys that are not sound
    ``partial``   the positions of those that lack such a key, so that nothing is missed in them
    ``defaults``  None where something in them is not sound
    ``hosts``, ``templates``  by name, each without its keys that are not sound
    ``unsound``   places of those that lack such a key
    ``problems``  what is wrong with the form, with places as the document has them
    ``untold``    how many more there are
    """

    document: Mapping[str, Any]
    text: str
    entries: Mapping[int, LaunchEntry]
    defaults: LaunchDefaults | None
    partial: frozenset[int] = frozenset()
    hosts: Mapping[str, HostEntry] = field(default_factory=dict)
    templates: Mapping[str, LaunchTemplate] = field(default_factory=dict)
    unsound: frozenset[ProfilePath] = frozenset()
    problems: tuple[Problem, ...] = ()
    untold: int = 0

    def locate(self, problems: list[Problem]) -> list[Problem]:
        """The problems with their lines, in the file's order."""
        lines: dict[ProfilePath, int] = key_lines(self.text) if problems else {}
        found = [located(problem, self.document, lines) for problem in problems]
        return sorted(found, key=lambda problem: problem.line or 0)


def read_manifest(data: bytes, field: str = _FIELD) -> ReadManifest:
    """What is in a manifest's file; its problems are in the answer.

    Raises BadInput ``manifest-too-large``, ``manifest-not-text`` or ``manifest-not-toml``.
    """
    text = MANIFEST.text(data, field)
    document = MANIFEST.parsed(text, field, "Mend what is named, and try again.")
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as fault:
        problems, untold = MANIFEST.problems(fault, MOST_PROBLEMS)
        if _has_launches(document):
            # The model counts the sound ones alone, and finds none.
            problems = [problem for problem in problems if problem.path != ("launch",)]
    else:
        entries = dict(enumerate(manifest.launch))
        return ReadManifest(
            document,
            text,
            entries,
            manifest.defaults,
            hosts=manifest.hosts,
            templates=manifest.templates,
        )
    if fields.is_newer_format(document.get("format")):
        # What a newer format may hold is not for this version to judge.
        of_format = tuple(one for one in problems if one.path == ("format",))
        return ReadManifest(document, text, {}, None, problems=of_format)
    return _what_is_sound(document, text, problems, untold)


def _has_launches(document: Mapping[str, Any]) -> bool:
    launches = document.get("launch")
    return isinstance(launches, list) and 1 <= len(launches) <= MOST_LAUNCHES


def _what_is_sound(
    document: Mapping[str, Any], text: str, problems: list[Problem], untold: int
) -> ReadManifest:
    """The parts of a manifest that can be looked at further, although others are not sound."""
    raw = document.get("launch")
    entries: dict[int, LaunchEntry] = {}
    partial: set[int] = set()
    for index, value in enumerate(raw[:MOST_LAUNCHES] if isinstance(raw, list) else ()):
        if isinstance(value, dict):
            kept = _sound_part(LaunchEntry, {"name": f"launch-{index}", **value})
            entries[index] = LaunchEntry.model_validate(kept)
            if kept != value:
                partial.add(index)
    given = document.get("defaults", {})
    defaults: LaunchDefaults | None = None
    if isinstance(given, dict) and _sound_part(LaunchDefaults, given) == given:
        defaults = LaunchDefaults.model_validate(given)
    hosts, odd_hosts = _sound_tables(HostEntry, document, "hosts")
    templates, odd_templates = _sound_tables(LaunchTemplate, document, "templates")
    return ReadManifest(
        document,
        text,
        entries,
        defaults,
        frozenset(partial),
        hosts,
        templates,
        odd_hosts | odd_templates,
        tuple(problems),
        untold,
    )


def _sound_tables(
    model: type[_T], document: Mapping[str, Any], key: str
) -> tuple[dict[str, _T], frozenset[ProfilePath]]:
    """The tables under a key by name, without what is not sound in them, and where that was."""
    given = document.get(key, {})
    tables: dict[str, _T] = {}
    unsound: set[ProfilePath] = set()
    for name, value in given.items() if isinstance(given, dict) else ():
        kept = _sound_part(model, value) if isinstance(value, dict) else {}
        tables[name] = model.model_validate(kept)
        if kept != value:
            unsound.add((key, name))
    return tables, frozenset(unsound)


def _sound_part(model: type[Table], values: Mapping[str, Any]) -> dict[str, Any]:
    """The table without its keys that are not sound; a name that is not becomes a stand-in."""
    try:
        model.model_validate(values)
    except ValidationError as fault:
        unsound = {error["loc"][0] for error in fault.errors(include_url=False) if error["loc"]}
        kept = {key: value for key, value in values.items() if key not in unsound}
        return {"name": "unnamed", **kept} if "name" in unsound else kept
    return dict(values)


def manifest_schema() -> dict[str, Any]:
    """The JSON schema of a manifest's file, for editors that complete and check."""
    schema = schema_for_toml(Manifest, "Watchword fleet manifest")
    # Within a manifest, a profile's name is the launch's unless it says another.
    inline = schema["$defs"]["GuestProfile"]
    inline["required"] = [key for key in inline["required"] if key != "name"]
    return schema


def schema_text() -> str:
    """The schema as it is published, in resources/fleet-manifest.schema.json."""
    return published(manifest_schema())
