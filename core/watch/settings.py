# SPDX-License-Identifier: Apache-2.0
"""A watch's settings: the format of WATCH.toml as a model, and reading what is sound of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, ValidationError

from ..guest import fields
from ..guest import value_types as of
from ..guest.document import sounds_secret
from ..guest.problems import Problem, ProfilePath
from ..guest.toml_document import DocumentKind, Table, located, published, schema_for_toml
from ..guest.toml_lines import key_lines
from . import settings_values as values
from .rules import DEFAULT_EXPIRE_SECONDS, DEFAULT_JOBS, DEFAULT_WAITING

LARGEST_SETTINGS: Final = 1 << 20
"""Bytes of the file."""
MOST_PROBLEMS: Final = 1000
"""Problems that are told of one file."""
_MOST_GUESTS: Final = 10_000
_MOST_HOSTS: Final = 1000
_MOST_CERTIFICATES: Final = 64
_FIELD: Final = "the watch's settings"
_Certificates = Annotated[tuple[values.Path, ...], of.OneOrMore()]
_T = TypeVar("_T", bound=Table)


class HostTable(Table):
    """Hosts that may be connected to, by the pattern of their URLs."""

    url: values.HostPattern = Field(
        description="URL of a VM there; * in its path or options stands for a name, as in"
        " qmp+unix:///run/vms/*.qmp"
    )
    certificates: _Certificates = Field(
        (),
        max_length=_MOST_CERTIFICATES,
        description="files with that machine's certificates, for requests that bring none; from"
        " this file's folder on",
    )


class FolderTable(Table):
    """A folder into which requests are dropped."""

    path: values.Path = Field(
        description="the folder, from this file's folder on; whoever may write there may ask"
    )
    group_reads: values.Flag = Field(
        False, description="whether the folder's group may read the answers"
    )


class SocketTable(Table):
    """A socket on which requests are taken."""

    path: values.Path = Field(description="the socket file, from this file's folder on")
    group: values.Group | None = Field(
        None, description="group that may connect too; without it, this user and root alone"
    )


class LibvirtTable(Table):
    """A libvirt of which the domains are watched."""

    url: values.LibvirtUrl = Field(
        description="its URL, such as libvirt+qemu:///system; its domains may be connected to"
    )
    guests: dict[str, of.ProfileName] = Field(
        {},
        max_length=_MOST_GUESTS,
        description="guest profiles by the names of domains; * in these stands for anything",
    )
    certificates: _Certificates = Field(
        (),
        max_length=_MOST_CERTIFICATES,
        description="files with that machine's certificates, where it can't be asked for them",
    )


class WatchFile(Table):
    """What a watch serves: guests, the hosts of their VMs, and where requests come from."""

    format: of.Format = Field(1, description="always 1")
    description: of.LongText = Field("", description="for people")
    guests: Annotated[tuple[of.ProfileName, ...], of.OneOrMore()] = Field(
        min_length=1,
        max_length=_MOST_GUESTS,
        description="names of the guest profiles that are served; each has a [watch] table",
    )
    hosts: tuple[HostTable, ...] = Field(
        (), max_length=_MOST_HOSTS, description="hosts that may be connected to"
    )
    folder: FolderTable | None = Field(None, description="takes requests that are dropped in")
    socket: SocketTable | None = Field(None, description="takes requests by a unix socket")
    libvirt: tuple[LibvirtTable, ...] = Field(
        (), max_length=_MOST_HOSTS, description="libvirts of which the domains are watched"
    )
    approvals: values.Path | None = Field(
        None,
        description="folder for what a person has to decide; without it nobody is asked, and"
        " what would be asked is refused",
    )
    jobs: values.AtOnce = Field(DEFAULT_JOBS, description="launches that are worked on at once")
    most_waiting: values.Waiting = Field(
        DEFAULT_WAITING, description="requests that may wait for their turn"
    )
    expire_seconds: values.Expiry = Field(
        DEFAULT_EXPIRE_SECONDS,
        description="after how long a blob with which no VM was measured is given up",
    )
    metrics: values.Metrics | None = Field(
        None,
        description="where Prometheus may ask: unix:PATH, or an address of loopback such as"
        " 127.0.0.1:9469",
    )


def _hint(key: str) -> str:
    if re.search(r"waive|waiver|trust_?root|force|insecure|allow_?all", key, re.I):
        return (
            " Nothing is waived where nobody looks, and no root but AMD's is trusted: launch such"
            " a guest by itself."
        )
    if sounds_secret(key):
        return " These settings hold no secrets: options and systemd bring what opens the vault."
    return ""


WATCH_FILE: Final = DocumentKind(
    "watch-file",
    LARGEST_SETTINGS,
    WatchFile,
    {"hosts": HostTable, "folder": FolderTable, "socket": SocketTable, "libvirt": LibvirtTable},
    _hint,
    {"model_type": "It takes a table of keys and values."},
)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """What could be read of the settings, sound or not.

    ``file``      what is sound of all that is no list of tables; these are ``hosts`` and
    ``libvirt``, by their positions
    ``problems``  what is wrong with the form, with places as the document has them
    ``untold``    how many more there are
    """

    document: Mapping[str, Any]
    text: str
    file: WatchFile
    hosts: Mapping[int, HostTable]
    libvirt: Mapping[int, LibvirtTable]
    problems: tuple[Problem, ...] = ()
    untold: int = 0

    def locate(self, problems: list[Problem]) -> list[Problem]:
        """The problems with their lines, in the file's order."""
        lines: dict[ProfilePath, int] = key_lines(self.text) if problems else {}
        found = [located(problem, self.document, lines) for problem in problems]
        return sorted(found, key=lambda problem: problem.line or 0)


def read_settings(data: bytes, field: str = _FIELD) -> ReadSettings:
    """What is in a watch's file; its problems are in the answer.

    Raises BadInput ``watch-file-too-large``, ``watch-file-not-text`` or ``watch-file-not-toml``.
    """
    text = WATCH_FILE.text(data, field)
    document = WATCH_FILE.parsed(text, field, "Mend what is named, and try again.")
    try:
        file = WatchFile.model_validate(document)
    except ValidationError as fault:
        problems, untold = WATCH_FILE.problems(fault, MOST_PROBLEMS)
    else:
        hosts, libvirts = dict(enumerate(file.hosts)), dict(enumerate(file.libvirt))
        return ReadSettings(document, text, file, hosts, libvirts)
    if fields.is_newer_format(document.get("format")):
        # What a newer format may hold is not for this version to judge.
        of_format = tuple(one for one in problems if one.path == ("format",))
        return ReadSettings(document, text, _NOTHING, {}, {}, of_format)
    return ReadSettings(
        document,
        text,
        _sound_part(WatchFile, document, {"guests": ["unnamed"]}) or _NOTHING,
        _sound_tables(HostTable, document.get("hosts")),
        _sound_tables(LibvirtTable, document.get("libvirt")),
        tuple(problems),
        untold,
    )


_NOTHING: Final = WatchFile.model_validate({"guests": ["unnamed"]})


def _sound_tables(model: type[_T], given: object) -> dict[int, _T]:
    """The tables of a list by their positions, each without its keys that are not sound."""
    found = {
        index: _sound_part(model, value)
        for index, value in enumerate(given[:_MOST_HOSTS] if isinstance(given, list) else ())
        if isinstance(value, dict)
    }
    return {index: table for index, table in found.items() if table is not None}


def _sound_part(
    model: type[_T], values: Mapping[str, Any], standing_in: Mapping[str, Any] | None = None
) -> _T | None:
    """The table without its keys that are not sound; None where it can't do without them."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        unsound = {error["loc"][0] for error in fault.errors(include_url=False) if error["loc"]}
    kept = {key: value for key, value in values.items() if key not in unsound}
    needed = {key: value for key, value in (standing_in or {}).items() if key in unsound}
    try:
        return model.model_validate({**kept, **needed})
    except ValidationError:
        return None


def settings_schema() -> dict[str, Any]:
    """The JSON schema of a watch's file, for editors that complete and check."""
    return schema_for_toml(WatchFile, "Watchword watch settings")


def schema_text() -> str:
    """The schema as it is published, in resources/watch.schema.json."""
    return published(settings_schema())
